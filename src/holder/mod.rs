//! The process that owns interfaces, as others find it: its socket, its life, and their way to it.
//!
//! The protocol is varlink (<https://varlink.org>): NUL-terminated JSON over a Unix socket, the
//! interface described in `io.taptool.varlink`, open files beside the message that needs them.
//! Only the same user and root are answered. Nobody here sees the text of a command, and no path
//! that a client names is opened.

mod client;
mod connection;
mod crowd;
mod door;
mod listener;
mod message;
mod place;
mod server;
mod service;
mod start;
#[cfg(test)]
mod tests;

pub use client::{Client, Events};
pub use door::Door;
pub use place::Place;
pub use server::{Life, serve};
pub use service::DESCRIPTION;
pub use start::{First, into_background, log_path};

use tokio::sync::broadcast;

use crate::api::{LogRow, Submit};
use crate::control::Control;

/// The unit of a holder that the system runs, as a file.
pub const UNIT: &str = include_str!("taptool.service");

/// Whoever owns interfaces and answers for them.
pub trait Owner: Submit {
    /// How many it owns.
    fn owned(&self) -> usize;

    /// What happens to them from now on. Who falls behind misses some.
    fn events(&self) -> broadcast::Receiver<LogRow>;
}

impl Owner for Control {
    fn owned(&self) -> usize {
        self.interfaces()
    }

    fn events(&self) -> broadcast::Receiver<LogRow> {
        Self::events(self)
    }
}
