//! Offloads: what the host leaves undone in the frames that it sends us.

use std::sync::Arc;

use super::interface::vanished;
use super::{Shared, thread};
use crate::diag::Failure;
use crate::host;
use crate::units::{HostOffload, IfName, SwIfIndex};

/// Sets what the host leaves undone from now on. Frames that wait in its queue are as they were made,
/// and are taken as they are.
pub(super) async fn of_host(
    shared: &Arc<Shared>,
    index: SwIfIndex,
    wanted: HostOffload,
) -> Result<(), Failure> {
    let files = shared.registry().get(index).map(|i| Arc::clone(&i.files)).ok_or_else(vanished)?;
    let _held = files.lock().await;
    let (name, files, before) = {
        let registry = shared.registry();
        let interface = registry.with_host(index)?;
        let tap = interface.port.tap().ok_or_else(|| no_host_side(&interface.name))?;
        (interface.name.clone(), interface.port.files(), tap.offloads)
    };
    let offloads = thread::run("offload", move || {
        // The files are let go before this thread answers.
        let files = files;
        host::set_offloads(&files.0, wanted, before)
    })
    .await?
    .map_err(|f| f.on(name.as_str()))?;
    let mut registry = shared.registry();
    let interface = registry.get_mut(index).ok_or_else(vanished)?;
    if let Some(tap) = interface.port.tap_mut() {
        tap.set_offloads(wanted, offloads);
    }
    Ok(())
}

pub(super) fn no_host_side(name: &IfName) -> Failure {
    Failure::usage(name.as_str(), "it has no host side")
}
