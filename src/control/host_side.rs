//! The host side of an interface, looked up by its tap file.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::diag::{Code, Failure};
use crate::host::namespace::{self, NamespaceId};
use crate::host::{self, Absent, HostFacts, HostThread, StagingNamespace};

/// How often a lookup is repeated if the device moves meanwhile.
const CHASES: u32 = 8;

/// A namespace as `create` named it, and its id at that time. Later the name may stand for another
/// namespace, or for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) words: String,
    pub(super) meant: NamespaceId,
}

impl Label {
    /// What the namespace is called where it is not the holder's own.
    fn of(label: Option<&Self>, now: NamespaceId) -> Option<String> {
        match label {
            Some(label) if label.meant == now => Some(label.words.clone()),
            _ => namespace::words(now),
        }
    }
}

/// The result of a lookup.
#[derive(Debug)]
pub(super) struct HostSide {
    pub(super) facts: HostFacts,
    /// What its namespace is called: in the creator's words while it is the one that they meant.
    pub(super) namespace: Option<String>,
    /// Number of its namespace in the staging namespace: from then on its events are heard.
    pub(super) nsid: Option<i32>,
}

impl HostSide {
    /// Looks, on a host thread; none when the device is gone. `known` is the number of a namespace
    /// that has one: it keeps it as long as it lives.
    ///
    /// # Errors
    /// The device cannot be asked.
    pub(super) async fn find(
        staging: &Arc<StagingNamespace>,
        taps: Vec<Arc<OwnedFd>>,
        label: Option<Label>,
        known: Option<(NamespaceId, i32)>,
    ) -> Result<Option<Self>, Failure> {
        let staging = Arc::clone(staging);
        // The files are let go on that thread, before it answers.
        let found = move |thread: &mut HostThread| {
            let taps = taps;
            let Some(tap) = taps.first() else { return Ok(None) };
            Self::look(thread, &staging, tap.as_fd(), label.as_ref(), known)
        };
        host::aside("look", found).await?
    }

    /// As [`HostSide::find`], on the calling thread.
    ///
    /// # Errors
    /// The device cannot be asked.
    pub(super) fn look(
        thread: &mut HostThread,
        staging: &StagingNamespace,
        tap: BorrowedFd<'_>,
        label: Option<&Label>,
        known: Option<(NamespaceId, i32)>,
    ) -> Result<Option<Self>, Failure> {
        let absent = |absent| match absent {
            Absent::Gone => Ok(None),
            Absent::Failed(failure) => Err(failure),
        };
        for _ in 0..CHASES {
            // The number first: what changes after the look is then heard.
            let numbered = match host::locate(tap) {
                Ok(located) => match &located.namespace {
                    Some(namespace) => {
                        let id = namespace::identity(namespace.as_fd())?;
                        let nsid = match known {
                            Some((known, nsid)) if known == id => nsid,
                            _ => host::nsid_of(thread, staging, namespace.as_fd())?,
                        };
                        Some((id, nsid))
                    }
                    None => None,
                },
                Err(e) => return absent(e),
            };
            let facts = match host::facts(thread, tap) {
                Ok(facts) => facts,
                Err(e) => return absent(e),
            };
            // Moved between the two, it has the number of a namespace that it left.
            if numbered.is_none_or(|(id, _)| id == facts.namespace) {
                let namespace = Label::of(label, facts.namespace);
                let nsid = numbered.map(|(_, nsid)| nsid);
                return Ok(Some(Self { facts, namespace, nsid }));
            }
        }
        let cause = "the device was moved each time it was looked at";
        Err(Failure::new(Code::Failed, "", cause))
    }
}
