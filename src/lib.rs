//! taptool.
pub mod api;
pub mod counters;
pub mod diag;
pub mod units;
