//! Makes two namespaces without names, and removes them.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::api::{DeleteRequest, Namespace, Reply, Request, Submit};
use crate::control::Control;
use crate::diag::{Code, Failure};
use crate::host::{self, HostThread, StagingNamespace, Watch, WatchEvent};

/// How long the kernel may take to destroy two namespaces; others may be queued before them.
const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace of the demo.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// What `show` calls it.
    pub(super) label: &'static str,
    fd: Arc<OwnedFd>,
}

/// Both namespaces.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) rooms: [Room; 2],
    /// Why they have no IPv6, if so.
    pub(super) no_ipv6: Option<Failure>,
    /// A namespace of ours, in which the kernel reports the end of the others.
    ear: StagingNamespace,
    /// The ids (nsid) of the two namespaces in it.
    numbers: [i32; 2],
}

impl Room {
    fn new(label: &'static str) -> Result<Self, Failure> {
        let (fd, _) = host::anonymous()?;
        Ok(Self { label, fd: Arc::new(fd) })
    }

    /// The namespace for a create.
    pub(super) fn namespace(&self) -> Result<Namespace, Failure> {
        let fd = self.fd.try_clone().map_err(|e| Failure::io("dup of a namespace", "", &e))?;
        Ok(Namespace::new(fd, Some(self.label.to_owned())))
    }

    /// A non-blocking socket in it.
    pub(super) async fn socket(
        &self,
        family: AddressFamily,
        kind: SockType,
        protocol: SockProtocol,
    ) -> Result<OwnedFd, Failure> {
        self.inside(move || {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            socket(family, kind, flags, protocol).map_err(|e| Failure::sys("socket", "", e))
        })
        .await
    }

    async fn inside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let fd = Arc::clone(&self.fd);
        let inside = move |thread: &mut HostThread| {
            thread.enter(fd.as_fd())?;
            work()
        };
        host::aside("demo", inside).await?
    }

    /// What the kernel has counted on a device there.
    pub(super) async fn counted(&self, name: &str) -> Result<host::link::LinkStats, Failure> {
        let (fd, name) = (Arc::clone(&self.fd), name.to_owned());
        let look = move |thread: &mut HostThread| {
            let link = thread.session(fd.as_fd(), name.as_str())?.link_by_name(&name)?;
            link.map(|link| link.stats)
                .ok_or_else(|| Failure::new(Code::NotFound, name, "no such device"))
        };
        host::aside("demo", look).await?
    }

    /// Turns off duplicate address detection, so that IPv6 addresses work at once.
    fn hasten_ipv6(&self) -> Result<(), Failure> {
        host::in_namespace(self.fd.as_fd(), || {
            for name in ["disable_ipv6", "accept_dad"] {
                let path = format!("/proc/sys/net/ipv6/conf/default/{name}");
                fs::write(&path, "0").map_err(|e| Failure::io(format!("write {path}"), "", &e))?;
            }
            Ok(())
        })
    }
}

impl Place {
    /// Makes the namespaces. Blocks, so that no runtime may run here yet.
    pub(super) fn new() -> Result<Self, Failure> {
        let rooms = [Room::new("A")?, Room::new("B")?];
        let ear = StagingNamespace::new()?;
        let [a, b] = &rooms;
        let number =
            |room: &Room| host::on_a_thread(|thread| host::nsid_of(thread, &ear, room.fd.as_fd()));
        let numbers = [number(a)?, number(b)?];
        let no_ipv6 = rooms.iter().try_for_each(Room::hasten_ipv6).err();
        Ok(Self { rooms, no_ipv6, ear, numbers })
    }

    /// Begins to listen for the end of the namespaces.
    pub(super) fn witness(&self) -> Result<Witness, Failure> {
        Ok(Witness { watch: Watch::new(&self.ear)?, left: self.numbers.to_vec() })
    }
}

/// Tells whether the namespaces still exist.
#[derive(Debug)]
pub(super) struct Witness {
    watch: Watch,
    left: Vec<i32>,
}

impl Witness {
    /// Deletes all interfaces, closes the namespaces, and waits until the kernel has freed them.
    ///
    /// # Errors
    /// Names what was not removed.
    pub(super) async fn see_off(mut self, control: &Control, place: Place) -> Result<(), Failure> {
        let deleted =
            control.submit(Request::Delete(DeleteRequest::All { destroy: false })).await?;
        if let Reply::Deleted(gone) = deleted.reply
            && let Some(step) = gone.iter().find_map(|deleted| deleted.not_undone.first())
        {
            return Err(Failure::new(Code::Failed, "", format!("not undone: {step}")));
        }
        // All sockets in the namespaces are closed by now.
        drop(place.rooms);
        let gone = async {
            while !self.left.is_empty() {
                if let WatchEvent::NamespaceGone { nsid } = self.watch.next().await? {
                    self.left.retain(|number| *number != nsid);
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| {
            let cause = format!("still there after {} s", PATIENCE.as_secs());
            Err(Failure::new(Code::Failed, "namespaces", cause))
        })
    }
}
