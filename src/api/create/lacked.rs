//! Options that this version lacks. Each is refused by its name, with what to do instead.

use super::CreateRequest;
use crate::diag::Failure;

/// Instead of `gro-coalesce`.
pub const GRO_COALESCE: &str =
    "leave it out: frames go on as they came, and the host coalesces by itself";
/// Instead of `packed`.
pub const PACKED: &str =
    "leave it out: neither backend offers VIRTIO_F_RING_PACKED (bit 34), and VPP ignored the word";
/// Instead of `in-order`.
pub const IN_ORDER: &str = "leave it out: no backend before the vhost-net of Linux 7.3 offers VIRTIO_F_IN_ORDER (bit 35), and VPP \
     ignored the word";

/// Refuses what is lacked: all of it at once, so that nobody meets the words one after another.
pub(super) fn check(request: &CreateRequest) -> Result<(), Failure> {
    let flags = [
        ("gro-coalesce", request.gro_coalesce, GRO_COALESCE),
        ("packed", request.packed, PACKED),
        ("in-order", request.in_order, IN_ORDER),
    ];
    let lacked = flags.into_iter().filter(|(_, given, _)| *given);
    let lacked: Vec<(&str, &str)> = lacked.map(|(word, _, instead)| (word, instead)).collect();
    let hint = match &lacked[..] {
        [] => return Ok(()),
        [(_, instead)] => (*instead).to_owned(),
        several => {
            let lines = several.iter().map(|(word, instead)| format!("{word}: {instead}"));
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    let given: Vec<&str> = lacked.into_iter().map(|(word, _)| word).collect();
    Err(Failure::usage(given.join(", "), "not supported in this version").hint(hint))
}
