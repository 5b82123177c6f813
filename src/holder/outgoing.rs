//! Answers on their way out.
//!
//! # Theory of operation
//! The outcome of a request may be a hundred megabytes as text. It is made and sent piece by piece,
//! long ones on a host thread, and each piece is freed before the next is made. A client that takes
//! nothing for too long is cut off.

use std::io;

use nix::libc;

use super::connection::Connection;
use super::message::{self, Answer};
use crate::api::{Outcome, Piece};
use crate::control::thread;
use crate::diag::{Code, Failure};

/// Short pieces are sent together, up to some more than this many bytes.
const TOGETHER: usize = 64 << 10;

/// What a call is answered with.
#[derive(Debug)]
pub(super) enum Said {
    /// A short answer.
    Answer(Answer),
    /// The outcome of a request, which may be long; whether others follow it.
    Outcome(Outcome, bool),
}

impl From<Answer> for Said {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// Sends an answer.
///
/// # Errors
/// As [`Connection::write`].
pub(super) async fn send(connection: &mut Connection, said: Said) -> io::Result<()> {
    let (outcome, continues) = match said {
        Said::Answer(answer) => return connection.send(&answer.text(), &[]).await,
        Said::Outcome(outcome, continues) => (outcome, continues),
    };
    let mut together = Vec::new();
    for piece in message::pieces(outcome, continues) {
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

/// What a client is told whose message is not taken; none where there is nobody to tell.
pub(super) fn refusal(error: &io::Error) -> Option<Failure> {
    use io::ErrorKind::{InvalidData, QuotaExceeded};
    match error.kind() {
        InvalidData => Some(Failure::usage("request", error.to_string())),
        QuotaExceeded => {
            let failure = Failure::new(Code::Failed, "request", error.to_string());
            Some(failure.hint("try again when other clients have finished theirs"))
        }
        _ if error.raw_os_error() == Some(libc::EMFILE) => {
            Some(Failure::io("recvmsg", "files of the request", error))
        }
        _ => None,
    }
}
