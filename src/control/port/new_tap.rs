//! A tap port under construction: what the steps of a create do to its device.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ipnet::IpNet;

use super::look::{Label, Lookup};
use super::{Port, Stay, TapPort};
use crate::control::thread::StepThread;
use crate::device::PortFiles;
use crate::diag::{Code, Failure};
use crate::host::{
    self, Additions, Before, Gateway, HostThread, Offloads, Session, StagingNamespace, Subject,
    Tap, TapSpec,
};
use crate::units::HostOffload;

/// The device as far as it has come. Dropping it removes it.
#[derive(Default)]
pub(in crate::control) struct NewTap {
    /// While it is in the staging namespace.
    staged: Option<Tap>,
    files: PortFiles,
    offloads: Offloads,
    /// What it was, where it was attached to.
    before: Option<Before>,
    stay: Stay,
}

impl NewTap {
    /// Makes the device: in place for the holder's own namespace, else in the staging namespace.
    ///
    /// # Errors
    /// As [`host::open`].
    pub(in crate::control) async fn open(
        &mut self,
        thread: &StepThread,
        staging: &Arc<StagingNamespace>,
        namespace: &Arc<OwnedFd>,
        spec: TapSpec,
    ) -> Result<(), Failure> {
        let (staging, namespace) = (Arc::clone(staging), Arc::clone(namespace));
        let open =
            move |thread: &mut HostThread| host::open(thread, &staging, namespace.as_fd(), &spec);
        let tap = thread.run(move |site| open(&mut site.thread)).await??;
        self.offloads = tap.offloads();
        if tap.is_staged() {
            self.staged = Some(tap);
            Ok(())
        } else {
            self.settle(tap)
        }
    }

    /// Attaches to a device of the namespace.
    ///
    /// # Errors
    /// As [`host::attach`]; the device is as it was.
    pub(in crate::control) async fn attach(
        &mut self,
        thread: &StepThread,
        (namespace, subject): (&Arc<OwnedFd>, Subject),
        spec: TapSpec,
        additions: Additions,
    ) -> Result<(), Failure> {
        let namespace = Arc::clone(namespace);
        let attach = move |thread: &mut HostThread| {
            let elsewhere =
                host::namespace::identity(namespace.as_fd())? != host::namespace::own()?.1;
            let (tap, before) = host::attach(thread, namespace.as_fd(), &spec, subject, additions)?;
            Ok::<_, Failure>((elsewhere, tap, before))
        };
        let (pinned, tap, before) = thread.run(move |site| attach(&mut site.thread)).await??;
        self.offloads = tap.offloads();
        self.before = Some(before);
        self.stay = Stay { persist: true, attached: true, pinned };
        self.settle(tap)
    }

    /// Whether the device had this address before it was attached to.
    pub(in crate::control) fn had_address(&self, address: &IpNet) -> bool {
        self.before.as_ref().is_some_and(|before| before.had_address(address))
    }

    /// Whether it had a default route to this gateway.
    pub(in crate::control) fn had_gateway(&self, gateway: &Gateway) -> bool {
        self.before.as_ref().is_some_and(|before| before.had_gateway(gateway))
    }

    /// Lets the device outlive us, or not.
    ///
    /// # Errors
    /// The device is gone.
    pub(in crate::control) async fn set_persist(
        &mut self,
        thread: &StepThread,
        on: bool,
    ) -> Result<(), Failure> {
        let Some(file) = self.files.0.first().cloned() else { return Ok(()) };
        let set = move || {
            // The file is let go before the thread answers.
            let file = file;
            host::set_persist(file.as_fd(), on)
        };
        thread.run(move |_| set()).await??;
        self.stay.persist = on;
        Ok(())
    }

    /// Lets go of a device that was attached to, as it was. Returns what could not be put back.
    pub(in crate::control) async fn put_back(&mut self, thread: &StepThread) -> Vec<Failure> {
        let Some(before) = self.before.take() else { return Vec::new() };
        let files = std::mem::take(&mut self.files);
        let put = move |thread: &mut HostThread| before.put_back(thread, files.0);
        thread.run(move |site| put(&mut site.thread)).await.unwrap_or_else(|failure| vec![failure])
    }

    /// Moves the device from the staging namespace to its namespace.
    ///
    /// # Errors
    /// As [`Tap::enter`]; it stays where it is.
    pub(in crate::control) async fn enter(
        &mut self,
        thread: &StepThread,
        staging: &Arc<StagingNamespace>,
        namespace: &Arc<OwnedFd>,
    ) -> Result<(), Failure> {
        let mut tap = self.staged.take().ok_or_else(|| Failure::bug("", "no tap to move"))?;
        let (staging, namespace) = (Arc::clone(staging), Arc::clone(namespace));
        let moving = move |thread: &mut HostThread| {
            let moved = tap.enter(thread, &staging, namespace.as_fd());
            (tap, moved)
        };
        let (tap, moved) = thread.run(move |site| moving(&mut site.thread)).await?;
        if moved.is_err() {
            self.staged = Some(tap);
            return moved;
        }
        self.settle(tap)
    }

    /// The device is where it belongs.
    fn settle(&mut self, tap: Tap) -> Result<(), Failure> {
        self.files = PortFiles(tap.into_fds()?.into_iter().map(Arc::new).collect());
        Ok(())
    }

    /// What a backend puts behind the rings.
    pub(in crate::control) fn files(&self) -> PortFiles {
        self.files.clone()
    }

    /// One request about the device, where it is by now.
    ///
    /// # Errors
    /// As [`host::with_device`].
    pub(in crate::control) async fn request(
        &self,
        thread: &StepThread,
        subject: Subject,
        request: impl FnOnce(&Session, u32) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        let file = self.file()?;
        let ask = move |thread: &mut HostThread| {
            // The file is let go before the thread answers: the undo closes the last one.
            let file = file;
            host::with_device(thread, file.as_fd(), subject, request)
        };
        thread.run(move |site| ask(&mut site.thread)).await?
    }

    fn file(&self) -> Result<Arc<OwnedFd>, Failure> {
        self.files.0.first().cloned().ok_or_else(|| Failure::bug("", "no tap"))
    }

    /// Looks at the device as it has become, and gives the port away. `words` are the creator's for
    /// the namespace, `offload` what was asked for.
    ///
    /// # Errors
    /// The device is gone or cannot be asked; it stays here, to be closed.
    pub(in crate::control) async fn finish(
        &mut self,
        thread: &StepThread,
        staging: &Arc<StagingNamespace>,
        (words, namespace): (Option<&str>, &OwnedFd),
        offload: HostOffload,
    ) -> Result<Port, Failure> {
        let label = words.map(|words| Label::new(words, namespace)).transpose()?;
        let lookup = Lookup { file: Some(self.file()?), label: label.clone(), known: None };
        let staging = Arc::clone(staging);
        let look = move |thread: &mut HostThread| lookup.look(thread, &staging);
        let side = thread.run(move |site| look(&mut site.thread)).await??;
        let side = side.ok_or_else(|| Failure::new(Code::NotFound, "", "the host side is gone"))?;
        let files = std::mem::take(&mut self.files);
        Ok(Port::Tap(TapPort::new(files, (offload, self.offloads), self.stay, label, side)))
    }

    /// Takes back what was given away, to be closed.
    pub(in crate::control) fn take_back(&mut self, mut port: Port) {
        self.files = port.take_files();
    }

    /// Closes the files. With the last one the kernel removes the device, which takes some 20 ms.
    pub(in crate::control) async fn close(&mut self, thread: &StepThread) -> Result<(), Failure> {
        let device = (self.staged.take(), std::mem::take(&mut self.files));
        thread.finish(move || drop(device)).await
    }
}
