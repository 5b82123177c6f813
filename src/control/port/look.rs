//! The host side of an interface, looked up by its tap file.

use std::os::fd::{AsFd, OwnedFd};
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
    words: String,
    meant: NamespaceId,
}

impl Label {
    /// What `namespace` is called by its creator.
    ///
    /// # Errors
    /// The kernel does not say which it is.
    pub(super) fn new(words: &str, namespace: &OwnedFd) -> Result<Self, Failure> {
        Ok(Self { words: words.to_owned(), meant: namespace::identity(namespace.as_fd())? })
    }

    /// What the namespace is called where it is not the holder's own.
    fn of(label: Option<&Self>, now: NamespaceId) -> Option<String> {
        match label {
            Some(label) if label.meant == now => Some(label.words.clone()),
            _ => namespace::words(now),
        }
    }
}

/// The result of a look.
#[derive(Debug)]
pub(in crate::control) struct HostSide {
    pub(super) facts: HostFacts,
    /// What its namespace is called: in the creator's words while it is the one that they meant.
    pub(super) namespace: Option<String>,
    /// Number of its namespace in the staging namespace: from then on its events are heard.
    pub(super) nsid: Option<i32>,
}

/// What it takes to look at a host side.
#[derive(Debug)]
pub(in crate::control) struct Lookup {
    /// A file of the device.
    pub(super) file: Option<Arc<OwnedFd>>,
    pub(super) label: Option<Label>,
    /// The number of a namespace that has one: it keeps it as long as it lives.
    pub(super) known: Option<(NamespaceId, i32)>,
}

impl Lookup {
    /// Looks, on a host thread; none when the device is gone.
    ///
    /// # Errors
    /// The device cannot be asked.
    pub(in crate::control) async fn find(
        self,
        staging: &Arc<StagingNamespace>,
    ) -> Result<Option<HostSide>, Failure> {
        let staging = Arc::clone(staging);
        host::aside("look", move |thread| self.look(thread, &staging)).await?
    }

    /// As [`Lookup::find`], on the calling thread, and lets go of the file.
    ///
    /// # Errors
    /// The device cannot be asked.
    pub(super) fn look(
        self,
        thread: &mut HostThread,
        staging: &StagingNamespace,
    ) -> Result<Option<HostSide>, Failure> {
        let Self { file, label, known } = self;
        let Some(file) = file else { return Ok(None) };
        let tap = file.as_fd();
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
                let namespace = Label::of(label.as_ref(), facts.namespace);
                let nsid = numbered.map(|(_, nsid)| nsid);
                return Ok(Some(HostSide { facts, namespace, nsid }));
            }
        }
        let cause = "the device was moved each time it was looked at";
        Err(Failure::new(Code::Failed, "", cause))
    }
}
