//! The responder behind a real tap: the kernel resolves its addresses and pings them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, recv,
    send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use taptool::action::{
    Action, Context, HeldKey, Output, PeerKey, Responder, Station, Tables, Verdict,
};
use taptool::frame::{HEAD_BYTES, NetHdr, check};
use taptool::units::{Kind, MacAddr};

use super::tap::{Tap, leave};

const HOST: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(10, 9, 0, 1), Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1));
const OURS: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(10, 9, 0, 2), Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2));

/// Answers until told to stop; returns how many replies were sent.
fn answer(kind: Kind, device: &Tap, stop: &AtomicBool) -> u32 {
    let mut action = Action::Respond(Responder::new(
        Station::new(Some(MacAddr::local(1))),
        vec![IpAddr::from(OURS.0).into(), IpAddr::from(OURS.1).into()],
    ));
    let (mut buffer, mut tables, mut output) = (vec![0; 1 << 17], Tables::default(), Output::new());
    let (own, mut replies) = (PeerKey { slot: 0, generation: 1 }, 0);
    while !stop.load(Ordering::Relaxed) {
        let fd = device.fd();
        let mut ready = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::from(50u8)).unwrap();
        while let Some((hdr, bytes)) = device.receive(&mut buffer) {
            let frame = &buffer[NetHdr::BYTES..NetHdr::BYTES + bytes];
            output.clear();
            let (tables, next_held) = (&mut tables, HeldKey(0));
            let mut context =
                Context { own, kind, now_ns: 0, next_held, tables, output: &mut output };
            match (action.visit(&mut context, &hdr, frame), output.originated(0)) {
                (Verdict::Consume, Some(answer)) => {
                    let frame = answer.frame();
                    let head = &frame[..frame.len().min(HEAD_BYTES)];
                    let plain = NetHdr::plain();
                    let len = u32::try_from(frame.len()).unwrap();
                    assert_eq!(check(kind, &plain, len, head), Ok(()));
                    device.send(&plain, frame).unwrap();
                    replies += 1;
                }
                (Verdict::Consume, None) => {}
                (other, _) => panic!("{other:?} for {hdr:?} {frame:02x?}"),
            }
        }
    }
    replies
}

/// Sends one echo request and expects its bytes back.
fn ping(to: IpAddr, bytes: usize) {
    let (family, protocol, request, reply) = if to.is_ipv4() {
        (AddressFamily::Inet, SockProtocol::Icmp, 8, 0)
    } else {
        (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129)
    };
    let fd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    setsockopt(&fd, sockopt::SndBuf, &(1 << 20)).unwrap();
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(10)).unwrap();
    connect(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(to, 0))).unwrap();
    let mut message = vec![request, 0, 0, 0, 0, 0, 0, 7];
    message.extend((0..=255).cycle().take(bytes));
    send(fd.as_raw_fd(), &message, MsgFlags::empty()).unwrap();
    let mut back = vec![0; message.len() + 1];
    let got = recv(fd.as_raw_fd(), &mut back, MsgFlags::empty()).expect("an echo reply");
    assert_eq!((got, back[0]), (message.len(), reply));
    assert_eq!(back[6..got], message[6..]);
}

pub fn run(kind: Kind) {
    thread::spawn(move || {
        leave();
        std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0").unwrap();
        let device = Tap::new(kind, "respond0");
        device.set_mtu(65521);
        device.set_addresses(HOST.0, HOST.1);
        let stop = Arc::new(AtomicBool::new(false));
        let answering = {
            let stop = stop.clone();
            thread::spawn(move || answer(kind, &device, &stop))
        };
        for to in [IpAddr::from(OURS.0), IpAddr::from(OURS.1)] {
            for bytes in [0, 1, 56, 1472, 60_000] {
                ping(to, bytes);
            }
        }
        stop.store(true, Ordering::Relaxed);
        let resolutions = if kind == Kind::Tap { 2 } else { 0 };
        assert!(answering.join().unwrap() >= 10 + resolutions);
    })
    .join()
    .unwrap();
}
