//! An outcome as it travels: pieces of one JSON object, each made when it is asked for. What a piece
//! was made of is freed with it, so that a long reply is never in memory as a whole and as text.

use std::fmt;

use serde::Serialize;

use super::{Interface, Named, Numbered, Outcome, Reply};

/// Descriptors of an interface whose text takes no time worth a thread.
const DESCRIPTORS_SHORT: usize = 4096;

/// A part of the text.
pub enum Piece {
    /// It is there.
    Text(Vec<u8>),
    /// It is long: this makes it, and may take some time.
    Long(Box<dyn FnOnce() -> Vec<u8> + Send>),
}

type Pieces = Box<dyn Iterator<Item = Piece>>;

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => {
                f.debug_tuple("Text").field(&String::from_utf8_lossy(text)).finish()
            }
            Self::Long(_) => f.write_str("Long"),
        }
    }
}

impl Piece {
    /// The text, made here.
    pub fn text(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text,
            Self::Long(make) => make(),
        }
    }
}

impl Outcome {
    /// The outcome as it travels: an object with the array under the name of what it lists, and the
    /// notices.
    pub fn into_pieces(self) -> impl Iterator<Item = Piece> {
        let plain = |text: String| Piece::Text(text.into_bytes());
        let (key, items) = self.reply.into_items();
        let items = items.enumerate().flat_map(move |(i, item)| {
            let comma = (i > 0).then(|| plain(",".into()));
            comma.into_iter().chain([item])
        });
        let tail =
            [plain("],\"notices\":".into()), Piece::Text(text(&self.notices)), plain("}".into())];
        [plain(format!("{{\"{key}\":["))].into_iter().chain(items).chain(tail)
    }
}

impl Reply {
    /// The name of what it lists, and the items.
    fn into_items(self) -> (&'static str, Pieces) {
        let key = self.key();
        let items = match self {
            Self::Created(interface) => interfaces(vec![*interface]),
            Self::Planned(steps) => each(steps),
            Self::Deleted(gone) => each(gone),
            Self::Changed(names) | Self::SubInterfaces(names) => {
                each(names.into_iter().map(|name| Named { name }).collect())
            }
            Self::Interfaces(all, _) => interfaces(all),
            Self::BridgesChanged(ids, _) => {
                each(ids.into_iter().map(|bd_id| Numbered { bd_id }).collect())
            }
            Self::BridgeDomains(all, _) => each(all),
            Self::L2Fib(all, _) => each(all),
            Self::Errors(rows, _) => each(rows),
            Self::Runtime(pollers, _) => each(pollers),
            Self::Threads(threads) => each(threads),
            Self::Nsim(all) => each(all),
            Self::Logging(rows) => each(rows),
            Self::Version(versions, _) => each(versions),
        };
        (key, items)
    }
}

fn each<T: Serialize + 'static>(all: Vec<T>) -> Pieces {
    Box::new(all.into_iter().map(|item| Piece::Text(text(&item))))
}

/// Those with many descriptors are long: a ring may have 32768.
fn interfaces(all: Vec<Interface>) -> Pieces {
    let piece = |interface: Interface| {
        let queues = interface.rx_queues.iter().chain(&interface.tx_queues);
        match queues.map(|queue| queue.descriptors.len()).sum::<usize>() > DESCRIPTORS_SHORT {
            true => Piece::Long(Box::new(move || text(&interface))),
            false => Piece::Text(text(&interface)),
        }
    };
    Box::new(all.into_iter().map(piece))
}

/// Every type here has string keys and no failing serializer, so this cannot be `null` in practice.
fn text<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}
