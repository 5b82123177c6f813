//! The descriptor table of a ring, in VPP's layout.

use super::pad::Text;
use crate::api::RingEntry;

pub(super) fn table(entries: &[RingEntry], out: &mut Text) {
    out.line("");
    out.line("  descriptor table:");
    out.line("   id          addr         len  flags  next/id      user_addr");
    out.line("  ===== ================== ===== ====== ======= ==================");
    for e in entries {
        out.line(format_args!(
            "  {:<5} {:#018x} {:<5} {:#06x} {:<8} {:#018x}",
            e.id, e.addr, e.len, e.flags, e.next, e.user_addr
        ));
    }
}
