//! What no event told of host sides.
//!
//! # Theory of operation
//! Once a second each tap file is asked for its device's name and namespace, on one host thread that
//! stays. Those that differ from what is known are told, and so are those whose last look failed;
//! where events cannot be heard at all, every one.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use super::Shared;
use super::interface::Interface;
use super::thread::StepThread;
use crate::diag::Failure;
use crate::host::namespace::NamespaceId;
use crate::host::{self, Difference};
use crate::units::SwIfIndex;

/// A host side to ask about.
struct Asked {
    index: SwIfIndex,
    file: Weak<OwnedFd>,
    /// The right to use it.
    right: Arc<tokio::sync::Mutex<()>>,
    name: String,
    namespace: NamespaceId,
    /// It is to be looked up whatever the file says.
    look: bool,
}

impl Asked {
    fn of(interface: &Interface, all: bool) -> Option<Self> {
        let tap = interface.port.tap().filter(|_| interface.life.is_living())?;
        Some(Self {
            index: interface.sw_if_index,
            file: tap.weak_file()?,
            right: Arc::clone(&interface.files),
            name: tap.facts().name.clone(),
            namespace: tap.facts().namespace,
            look: all || tap.is_unsure(),
        })
    }

    /// What there is to look up; none where all is as it was.
    fn ask(self) -> Option<(SwIfIndex, Difference)> {
        // Who has the files now finds out by itself. One at a time: asking may wait for the kernel's
        // rtnl lock, and no other interface waits with it.
        let right = self.right.try_lock().ok()?;
        let file = self.file.upgrade()?;
        let difference = host::difference(file.as_fd(), &self.name, self.namespace);
        // The file is let go before the right to it.
        drop(file);
        drop(right);
        let difference = match difference {
            Difference::None if self.look => Difference::Elsewhere,
            difference => difference,
        };
        (difference != Difference::None).then_some((self.index, difference))
    }
}

/// The interfaces whose tap file says something else than what is known. `all`: every host side that
/// is there is to be looked up.
///
/// # Errors
/// The thread panicked.
pub(super) async fn unnoticed(
    shared: Arc<Shared>,
    thread: Arc<StepThread>,
    all: bool,
) -> Result<Vec<(SwIfIndex, Difference)>, Failure> {
    let asked: Vec<Asked> =
        shared.registry().all().filter_map(|interface| Asked::of(interface, all)).collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    thread.run(move |_| asked.into_iter().filter_map(Asked::ask).collect()).await
}
