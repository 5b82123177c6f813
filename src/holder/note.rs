//! What the log says of a request.

use crate::api::{Outcome, Reply};
use crate::diag::Failure;
use crate::sys::socket::Peer;

/// Most bytes of what the log says of one request.
const NOTE_MAX: usize = 4096;

/// The line about a request that changes something; none where it changed nothing.
pub(super) fn line(peer: Peer, result: &Result<Outcome, Failure>) -> Option<String> {
    let what = match result {
        Err(failure) => format!("refused: {}", failure.to_string().replace('\n', "; ")),
        Ok(outcome) => match &outcome.reply {
            Reply::Created(interface) => format!("created {}", interface.name),
            Reply::Deleted(gone) => {
                let names: Vec<&str> = gone.iter().map(|gone| gone.name.as_str()).collect();
                format!("deleted {}", names.join(" "))
            }
            Reply::Changed(names) => {
                let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
                format!("changed {}", names.join(" "))
            }
            Reply::BridgesChanged(ids, _) if ids.is_empty() => return None,
            Reply::BridgesChanged(ids, made) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                let done = if *made { "created" } else { "changed" };
                format!("{done} bridge-domain {}", ids.join(" "))
            }
            _ => return None,
        },
    };
    Some(format!("uid {} pid {}: {}", peer.uid, peer.pid, short(what)))
}

/// A text for the log, cut where it is long: a client may make it as long as its request.
fn short(mut text: String) -> String {
    if text.len() <= NOTE_MAX {
        return text;
    }
    let whole = text.len();
    text.truncate((0..=NOTE_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
    let left_out = whole - text.len();
    text.push_str(&format!("... ({left_out} bytes left out)"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_two_characters_and_says_how_much_is_left_out() {
        assert_eq!(short("x".repeat(NOTE_MAX)), "x".repeat(NOTE_MAX));
        let cut = short("\u{20ac}".repeat(300_000));
        assert_eq!(cut, "\u{20ac}".repeat(1365) + "... (895905 bytes left out)");
    }
}
