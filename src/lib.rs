//! taptool.
pub mod counters;
pub mod diag;
pub mod units;
