//! A tap port under construction: what the steps of a create do to its device.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::look::{Label, Lookup};
use super::{Port, TapPort};
use crate::control::thread::StepThread;
use crate::device::PortFiles;
use crate::diag::{Code, Failure};
use crate::host::{self, HostThread, Offloads, Session, StagingNamespace, Subject, Tap, TapSpec};
use crate::units::HostOffload;

/// The device as far as it has come. Dropping it removes it.
#[derive(Default)]
pub(in crate::control) struct NewTap {
    /// While it is in the staging namespace.
    staged: Option<Tap>,
    files: PortFiles,
    offloads: Offloads,
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
        Ok(Port::Tap(TapPort::new(files, (offload, self.offloads), label, side)))
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
