//! Feature bits: what each side offers, and what we acknowledge ([VIRTIO-1.3 §6] "Reserved Feature
//! Bits", `linux/virtio_net.h`, `linux/vhost.h`).

use virtio_bindings::virtio_config::{
    VIRTIO_F_ACCESS_PLATFORM, VIRTIO_F_IN_ORDER, VIRTIO_F_VERSION_1,
};
use virtio_bindings::virtio_net::VIRTIO_NET_F_MRG_RXBUF;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};

/// One bit.
#[derive(Debug)]
pub struct FeatureRow {
    /// Its number.
    pub bit: u32,
    /// Its name.
    pub name: &'static str,
    /// Whether we acknowledge it.
    pub need: Need,
}

/// Whether a bit is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Always: a backend that does not offer it cannot be used.
    Required,
    /// Where it is offered.
    Optional,
    /// Never.
    Never,
}

const fn row(bit: u32, name: &'static str, need: Need) -> FeatureRow {
    FeatureRow { bit, name, need }
}

/// The bits that backends are known to offer.
///
/// Never acknowledged: LOG_ALL (needs a log), VHOST_NET_F_VIRTIO_NET_HDR (vhost would strip the
/// header that the tap itself carries), ACCESS_PLATFORM (turns an IOTLB on), IN_ORDER (vhost then
/// ignores the ids of the available ring).
pub const FEATURES: &[FeatureRow] = &[
    row(VIRTIO_NET_F_MRG_RXBUF, "VIRTIO_NET_F_MRG_RXBUF", Need::Required),
    row(24, "VIRTIO_F_NOTIFY_ON_EMPTY", Need::Never),
    row(26, "VHOST_F_LOG_ALL", Need::Never),
    row(27, "VHOST_NET_F_VIRTIO_NET_HDR", Need::Never),
    row(VIRTIO_RING_F_INDIRECT_DESC, "VIRTIO_RING_F_INDIRECT_DESC", Need::Required),
    row(VIRTIO_RING_F_EVENT_IDX, "VIRTIO_RING_F_EVENT_IDX", Need::Optional),
    row(VIRTIO_F_VERSION_1, "VIRTIO_F_VERSION_1", Need::Required),
    row(VIRTIO_F_ACCESS_PLATFORM, "VIRTIO_F_ACCESS_PLATFORM", Need::Never),
    row(VIRTIO_F_IN_ORDER, "VIRTIO_F_IN_ORDER", Need::Never),
    row(40, "VIRTIO_F_RING_RESET", Need::Never),
];

fn bits(need: Need) -> u64 {
    FEATURES.iter().filter(|row| row.need == need).map(|row| 1 << row.bit).sum()
}

/// All bits that are acknowledged where they are offered.
pub fn known_features() -> u64 {
    bits(Need::Required) | bits(Need::Optional)
}

/// What is acknowledged of the `offered` bits.
///
/// # Errors
/// The required bits that are not among them.
pub fn negotiate(offered: u64) -> Result<u64, u64> {
    match bits(Need::Required) & !offered {
        0 => Ok(known_features() & offered),
        missing => Err(missing),
    }
}

/// Whether EVENT_IDX is among `features`.
pub const fn has_event_idx(features: u64) -> bool {
    features & (1 << VIRTIO_RING_F_EVENT_IDX) != 0
}

/// The names of the bits of `word`, lowest first: `VIRTIO_F_VERSION_1`, `unknown(50)`.
pub fn feature_names(word: u64) -> Vec<String> {
    (0..64)
        .filter(|bit| word & (1 << bit) != 0)
        .map(|bit| match FEATURES.iter().find(|row| row.bit == bit) {
            Some(row) => row.name.to_owned(),
            None => format!("unknown({bit})"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_bits_15_28_29_and_32_are_acknowledged_and_29_may_be_missing() {
        let (all, event_idx) = (1 << 15 | 1 << 28 | 1 << 29 | 1 << 32, 1 << 29);
        assert_eq!(negotiate(u64::MAX), Ok(all));
        assert_eq!(negotiate(all & !event_idx), Ok(all & !event_idx));
        assert_eq!(negotiate(event_idx | 1 << 15), Err(1 << 28 | 1 << 32));
    }

    #[test]
    fn event_idx_is_bit_29_whatever_others_are_set() {
        for (word, has) in [(0, false), (1 << 29, true), (u64::MAX, true), (!(1 << 29), false)] {
            assert_eq!(has_event_idx(word), has, "{word:#x}");
        }
    }

    #[test]
    fn a_bit_without_a_name_is_shown_by_its_number() {
        assert_eq!(feature_names(1 << 50 | 1 << 32), ["VIRTIO_F_VERSION_1", "unknown(50)"]);
    }
}
