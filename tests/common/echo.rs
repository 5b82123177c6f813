//! Echo requests and their answers.
//!
//! `ping` gives up twice the longest round trip after its last request, so that an answer which a busy
//! machine delays counts as lost. Here each is waited for.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, recv,
    send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::patience;

/// From one request to the next, and between two looks at the clock.
const PAUSE: Duration = Duration::from_millis(20);

/// Tells the requests of one call from those of another.
static IDENTIFIER: AtomicU16 = AtomicU16::new(1);

/// Sends `count` requests with so many bytes of data from the caller's namespace, and gives how many
/// were answered with the same data.
pub fn echo(address: IpAddr, bytes: usize, count: u16) -> u32 {
    let (family, protocol, request, reply) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8, 0),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 20_000)).unwrap();
    // Room for all answers, however late they are read.
    setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).unwrap();
    connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, 0)))
        .unwrap_or_else(|e| panic!("no route to {address}: {e}"));

    let identifier = IDENTIFIER.fetch_add(1, Ordering::Relaxed);
    let data: Vec<u8> = (0..=250).cycle().take(bytes).collect();
    let end = Instant::now() + patience(2.0);
    let (mut sent, mut next) = (0, Instant::now());
    let mut answered = vec![false; count.into()];
    let mut buffer = vec![0; bytes + 128];
    while answered.contains(&false) && Instant::now() < end {
        if sent < count && Instant::now() >= next {
            let message = message(request, identifier, sent, &data);
            send(socket.as_raw_fd(), &message, MsgFlags::empty())
                .unwrap_or_else(|e| panic!("echo request to {address}: {e}"));
            sent += 1;
            next = Instant::now() + PAUSE;
        }
        let came = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(came) => &buffer[..came],
            Err(e) if std::io::Error::from(e).kind() == ErrorKind::WouldBlock => continue,
            Err(e) => panic!("echo reply from {address}: {e}"),
        };
        // IPv4 comes with its header.
        let header = if address.is_ipv4() { usize::from(came[0] & 0xf) * 4 } else { 0 };
        let Some((head, rest)) = came.get(header..).and_then(|m| m.split_first_chunk::<8>()) else {
            continue;
        };
        let sequence = u16::from_be_bytes([head[6], head[7]]);
        let ours = head[0] == reply && head[4..6] == identifier.to_be_bytes() && rest == data;
        if let Some(answered) = answered.get_mut(usize::from(sequence)).filter(|_| ours) {
            *answered = true;
        }
    }
    u32::try_from(answered.iter().filter(|answered| **answered).count()).unwrap()
}

/// An echo request ([RFC 792], [RFC 4443]). The kernel fills in the checksum of ICMPv6.
fn message(kind: u8, identifier: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(data);
    let sum = message.chunks(2).fold(0_u64, |sum, pair| {
        sum + u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))
    });
    let folded = (sum & 0xffff) + (sum >> 16 & 0xffff);
    let folded = (folded & 0xffff) + (folded >> 16);
    message[2..4].copy_from_slice(&(!u16::try_from(folded).unwrap()).to_be_bytes());
    message
}
