//! The process that owns interfaces: its control socket, its life, and its clients.
//!
//! The protocol is varlink (<https://varlink.org>): NUL-terminated JSON over a Unix socket, the
//! interface described in `io.taptool.varlink`, open files beside the message that needs them. The
//! holder answers only its own user and root. It sees requests, never the text of a command, and
//! opens no path that a client names.

mod client;
mod client_table;
mod connection;
mod control_socket;
mod file;
mod listener;
mod lock;
mod log;
mod message;
mod note;
mod outgoing;
mod place;
mod server;
mod service;
mod start;

pub use client::Client;
pub use control_socket::ControlSocket;
pub use log::{LogWriter, log_path};
pub use place::Place;
pub use server::{Life, serve};
pub use service::DESCRIPTION;
pub use start::{First, into_background};

use crate::api::Submit;
use crate::control::Control;

/// The unit of a holder that the system runs, as a file.
pub const UNIT: &str = include_str!("taptool.service");

/// Owns interfaces and answers requests about them.
pub trait Owner: Submit {
    /// How many it owns.
    fn owned(&self) -> usize;
}

impl Owner for Control {
    fn owned(&self) -> usize {
        self.interfaces() + self.bridge_domains()
    }
}
