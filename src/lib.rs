//! taptool.
pub mod action;
pub mod api;
pub mod cli;
pub mod control;
pub mod counters;
pub mod demo;
pub mod device;
pub mod diag;
pub mod engine;
pub mod frame;
pub mod host;
pub mod render;
pub mod ring;
pub mod sys;
pub mod units;
