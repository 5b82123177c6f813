//! Two namespaces whose taps are joined by a pump: what the kernel's own TCP and UDP hand over is
//! shown to the check, and passed on as it is.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use nix::sys::socket::{setsockopt, sockopt};
use taptool::frame::{HEAD_BYTES, NetHdr, check};
use taptool::units::Kind;

use super::tap::{Tap, leave};

const PORT: u16 = 5201;
const DEADLINE: Duration = Duration::from_secs(120);
const NEAR: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(10, 9, 0, 1), Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1));
const FAR: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(10, 9, 0, 2), Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2));
/// Bytes of a transfer, and its MSS where it is not the path's.
const TRANSFERS: [(usize, Option<u32>); 3] =
    [(8 << 20, None), (1 << 20, Some(536)), (1 << 18, Some(88))];

fn device(addresses: (Ipv4Addr, Ipv6Addr)) -> Tap {
    let tap = Tap::new(Kind::Tap, "pump0");
    tap.set_addresses(addresses.0, addresses.1);
    tap
}

/// Carries frames both ways; returns how often each pair of `gso_type` and flags came.
fn pump(ends: [Tap; 2], stop: &AtomicBool) -> BTreeMap<(u8, u8), u32> {
    let mut seen = BTreeMap::new();
    let mut buffer = vec![0; 1 << 17];
    while !stop.load(Ordering::Relaxed) {
        let fds = [ends[0].fd(), ends[1].fd()];
        let mut ready = fds.each_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        poll(&mut ready, PollTimeout::from(50u8)).unwrap();
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some((hdr, bytes)) = ends[from].receive(&mut buffer) {
                let frame = &buffer[NetHdr::BYTES..NetHdr::BYTES + bytes];
                let head = &frame[..bytes.min(HEAD_BYTES)];
                let verdict = check(Kind::Tap, &hdr, u32::try_from(bytes).unwrap(), head);
                assert_eq!(verdict, Ok(()), "{hdr:?}, {bytes} bytes: {head:02x?}");
                ends[to].send(&hdr, frame).unwrap();
                *seen.entry((hdr.gso_type, hdr.flags)).or_default() += 1;
            }
        }
    }
    seen
}

/// Reads every transfer to its end.
fn serve(ready: &mpsc::Sender<()>) {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap();
    let _udp = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap();
    ready.send(()).unwrap();
    for (bytes, _) in TRANSFERS.iter().chain(&TRANSFERS) {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), *bytes);
        assert!(got.iter().enumerate().all(|(i, b)| usize::from(*b) == i % 251), "bytes changed");
        stream.write_all(&[1]).unwrap();
    }
}

fn transfer(to: IpAddr, bytes: usize, mss: Option<u32>) {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    if let Some(mss) = mss {
        setsockopt(&fd, sockopt::TcpMaxSeg, &mss).unwrap();
    }
    let address = SockaddrStorage::from(SocketAddr::new(to, PORT));
    connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &address).unwrap();
    let mut stream = TcpStream::from(fd);
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let data: Vec<u8> = (0..251).cycle().take(bytes).collect();
    stream.write_all(&data).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // The far end says that it has all of them.
    stream.read_exact(&mut [0]).unwrap();
}

fn datagrams(to: IpAddr) {
    let any: IpAddr =
        if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let udp = UdpSocket::bind((any, 0)).unwrap();
    for size in [1, 500, 1000, 1400] {
        setsockopt(&udp, sockopt::UdpGsoSegment, &size).unwrap();
        let bytes = usize::try_from(size).unwrap() * 40 + 1;
        for _ in 0..20 {
            udp.send_to(&vec![9; bytes], (to, PORT)).unwrap();
        }
    }
}

pub fn run() {
    thread::spawn(|| {
        leave();
        let near = device(NEAR);
        let (tap_sent, tap) = mpsc::channel();
        let (ready_sent, ready) = mpsc::channel();
        let server = thread::spawn(move || {
            leave();
            tap_sent.send(device(FAR)).unwrap();
            serve(&ready_sent);
        });
        let far = tap.recv().unwrap();
        let has_uso = near.has_uso;
        ready.recv().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let pumping = {
            let stop = stop.clone();
            thread::spawn(move || pump([near, far], &stop))
        };
        for to in [IpAddr::from(FAR.0), IpAddr::from(FAR.1)] {
            for (bytes, mss) in TRANSFERS {
                transfer(to, bytes, mss);
            }
            datagrams(to);
        }
        server.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        let seen = pumping.join().unwrap();
        eprintln!("(gso_type, flags): frames {seen:?}");
        for wanted in [
            (NetHdr::GSO_NONE, NetHdr::NEEDS_CSUM),
            (NetHdr::GSO_TCPV4, NetHdr::NEEDS_CSUM),
            (NetHdr::GSO_TCPV6, NetHdr::NEEDS_CSUM),
            (NetHdr::GSO_UDP_L4, NetHdr::NEEDS_CSUM),
        ] {
            if wanted.0 == NetHdr::GSO_UDP_L4 && !has_uso {
                assert_eq!(seen.get(&wanted), None);
                continue;
            }
            assert!(seen.get(&wanted).is_some_and(|frames| *frames > 10), "{wanted:?}: {seen:?}");
        }
    })
    .join()
    .unwrap();
}
