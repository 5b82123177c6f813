//! The primitives of what threads share without waiting. Here they are the standard library's;
//! `tests/orderings.rs` compiles the files that name this module with those of a model checker, which
//! tries every order in which the threads may see each other's stores.

pub use std::sync::Mutex;
pub use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, fence};
