//! A queue that splits large frames and completes partial checksums.

use std::sync::Arc;

use etherparse::PacketBuilder;

use super::frames::assert_lost;
use super::rig::{Rig, Shape};
use crate::counters::{Counter, DropReason};
use crate::device::{BufferClass, Pool};
use crate::frame::NetHdr;

/// A TCP frame behind its virtio header, with a partial checksum of no meaning.
fn frame(payload: usize, size: Option<u16>) -> Vec<u8> {
    let hdr = NetHdr {
        flags: NetHdr::NEEDS_CSUM,
        gso_type: size.map_or(NetHdr::GSO_NONE, |_| NetHdr::GSO_TCPV4),
        hdr_len: 54,
        gso_size: size.unwrap_or(0),
        csum_start: 34,
        csum_offset: 16,
        num_buffers: 0,
    };
    let mut bytes = hdr.to_bytes().to_vec();
    let packet = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    packet.tcp(1, 2, 3, 4).write(&mut bytes, &vec![7; payload]).unwrap();
    bytes
}

/// Two interfaces, the second with the promise and so many buffers for it.
fn rig(shape: Shape, buffers: u32) -> (Rig, usize, usize, Arc<Pool>) {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, shape), rig.add(1, shape));
    rig.connect(a, b);
    let slot = rig.engine.reserve_pool().unwrap();
    let pool = Pool::new(&rig.memory, slot, BufferClass::Small, buffers, buffers).unwrap();
    let pool = Arc::new(pool);
    let (poller, key) = (rig.interfaces[b].poller, rig.interfaces[b].tx);
    rig.ask(|engine| engine.set_segment_pool(poller, key, Some(Arc::clone(&pool))));
    (rig, a, b, pool)
}

fn splits(shape: Shape) {
    let (rig, a, b, pool) = rig(shape, 512);
    for _ in 0..50 {
        // 23 segments, one frame to complete, and one that is whole.
        let mut plain = frame(100, None);
        plain[..12].fill(0);
        rig.interfaces[a].wire.inject(vec![frame(32_000, Some(1448)), frame(900, None), plain]);
        rig.settle();
    }
    let out = rig.interfaces[b].wire.collect();
    assert_eq!(out.len(), 50 * 25);
    assert!(out.iter().all(|frame| frame[..10] == [0; 10] && frame.len() <= 12 + 54 + 1448));
    let sent = rig.interfaces[b].sent();
    assert_eq!((sent.get(Counter::Offered), sent.get(Counter::Segments)), (1250, 1100));
    assert_lost(&sent, &[]);
    assert_eq!(pool.lent(), 0);
    assert_eq!(pool.free(), 512);
}

#[test]
fn each_segment_is_a_frame_of_its_own_and_all_buffers_return_in_userspace() {
    splits(Shape::LARGE);
}

#[test]
fn each_segment_is_a_frame_of_its_own_and_all_buffers_return_from_a_device_with_a_thread() {
    splits(Shape::SMALL);
}

#[test]
fn a_frame_that_cannot_be_split_is_dropped_as_gso_off() {
    let (rig, a, b, _) = rig(Shape::LARGE, 64);
    let mut longer = frame(3000, Some(1000));
    // The packet says that it is longer than the frame.
    longer[12 + 16] = 0xff;
    rig.interfaces[a].wire.inject(vec![longer]);
    rig.settle();
    assert_lost(&rig.interfaces[b].sent(), &[(DropReason::GsoOff, 1)]);
    assert_eq!(rig.interfaces[b].out(), 0);
}
