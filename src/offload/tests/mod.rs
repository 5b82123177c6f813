//! Splitting and merging of arbitrary packets, each checked by code that shares nothing with what
//! it checks.

mod checksum;
mod merge;
mod segment;
mod stack;

use stack::Stack;
