//! Answers on their way out.
//!
//! # Theory of operation
//! The outcome of a request may be a hundred megabytes as text. It is made and sent piece by piece,
//! long ones on a host thread, and each piece is freed before the next is made. A client that takes
//! nothing for too long is cut off.

use std::io;

use super::connection::Connection;
use super::message;
use crate::api::{Outcome, Piece};
use crate::control::thread;
use crate::diag::Failure;

/// Short pieces are sent together, up to some more than this many bytes.
const TOGETHER: usize = 64 << 10;

/// Sends an outcome as an answer.
///
/// # Errors
/// As [`Connection::write`].
pub(super) async fn send(connection: &mut Connection, outcome: Outcome) -> io::Result<()> {
    let mut together = Vec::new();
    for piece in message::pieces(outcome) {
        let text = match piece {
            Piece::Text(text) => text,
            Piece::Long(make) => {
                let failed = |failure: Failure| io::Error::other(failure.to_string());
                thread::finish("answer", make).await.map_err(failed)?
            }
        };
        if together.is_empty() {
            together = text;
        } else {
            together.extend_from_slice(&text);
        }
        if together.len() > TOGETHER {
            connection.write(&together, &[]).await?;
            together = Vec::new();
            // Others may go on in between.
            tokio::task::yield_now().await;
        }
    }
    together.push(0);
    connection.write(&together, &[]).await
}
