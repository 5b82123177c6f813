//! ICMP echo through a raw socket, timed as `ping` does it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockProtocol, SockType, SockaddrStorage, connect, recv, send,
};
use serde_json::{Value, json};
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};

use super::place::Room;
use crate::diag::{Code, Failure};
use crate::sys::readiness;

/// Number of requests.
const COUNT: u16 = 5;
/// Pause between an answer and the next request.
const INTERVAL: Duration = Duration::from_millis(20);
/// How long an answer may take. The first includes neighbour resolution.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes behind the ICMP header, as many as `ping` sends.
const PAYLOAD: [u8; 56] = [0x5a; 56];
/// Identifier of our requests. No other process sends requests here.
const ID: u16 = 0x7461;

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ping {
    to: IpAddr,
    sent: u16,
    /// Round trips, shortest first.
    trips: Vec<Duration>,
}

impl Ping {
    fn median(&self) -> Option<Duration> {
        self.trips.get(self.trips.len() / 2).copied()
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "to": self.to.to_string(),
            "sent": self.sent,
            "answered": self.trips.len(),
            "min_ms": self.trips.first().copied().map(ms),
            "median_ms": self.median().map(ms),
            "max_ms": self.trips.last().copied().map(ms),
        })
    }
}

fn ms(time: Duration) -> f64 {
    // Whole microseconds: finer is noise.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl fmt::Display for Ping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} answered", self.trips.len(), self.sent)?;
        if let (Some(min), Some(median), Some(max)) =
            (self.trips.first(), self.median(), self.trips.last())
        {
            let [min, median, max] = [*min, median, *max].map(ms);
            write!(f, ", {median:.3} ms median, {min:.3} min, {max:.3} max")?;
        }
        Ok(())
    }
}

/// Sends echo requests from a namespace, one after another.
///
/// # Errors
/// No request was answered, or a call failed.
pub(super) async fn ping(from: &Room, to: IpAddr) -> Result<Ping, Failure> {
    let socket = open(from, to).await?;
    let mut ping = Ping { to, sent: 0, trips: Vec::new() };
    for sequence in 1..=COUNT {
        if sequence > 1 {
            sleep(INTERVAL).await;
        }
        let request = request(to, sequence);
        let began = Instant::now();
        send(socket.as_raw_fd(), &request, MsgFlags::empty())
            .map_err(|e| Failure::sys("send an echo request", to.to_string(), e))?;
        ping.sent += 1;
        match timeout(PATIENCE, answer(&socket, to, sequence)).await {
            Ok(answered) => {
                answered?;
                ping.trips.push(began.elapsed());
            }
            // Requests may be lost once one was answered.
            Err(_) if ping.trips.is_empty() => {
                let cause = format!("no answer to ping within {} s", PATIENCE.as_secs());
                return Err(Failure::new(Code::Failed, to.to_string(), cause));
            }
            Err(_) => {}
        }
    }
    ping.trips.sort_unstable();
    Ok(ping)
}

async fn open(from: &Room, to: IpAddr) -> Result<AsyncFd<OwnedFd>, Failure> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let socket = from.socket(family, SockType::Raw, protocol).await?;
    let address = SockaddrStorage::from(SocketAddr::new(to, 0));
    let end = Instant::now() + PATIENCE;
    loop {
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => return readiness::readable(socket, "echo replies"),
            // The kernel makes an IPv6 address usable a moment after the device is up.
            Err(Errno::EADDRNOTAVAIL | Errno::ENETUNREACH) if Instant::now() < end => {
                sleep(Duration::from_millis(2)).await;
            }
            Err(e) => return Err(Failure::sys("connect a ping socket", to.to_string(), e)),
        }
    }
}

fn request(to: IpAddr, sequence: u16) -> Vec<u8> {
    let echo = IcmpEchoHeader { id: ID, seq: sequence };
    let header = match to {
        IpAddr::V4(_) => {
            Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(echo), &PAYLOAD).to_bytes()
        }
        // The kernel fills in the checksum: only it knows the source (RFC 3542 §3.1).
        IpAddr::V6(_) => {
            Icmpv6Header::new(Icmpv6Type::EchoRequest(echo)).to_bytes().into_iter().collect()
        }
    };
    [&header, &PAYLOAD[..]].concat()
}

/// Waits for the answer to one request and ignores other messages.
async fn answer(socket: &AsyncFd<OwnedFd>, to: IpAddr, sequence: u16) -> Result<(), Failure> {
    let mut buffer = [0; 512];
    loop {
        let mut ready = socket
            .readable()
            .await
            .map_err(|e| Failure::io("wait for an echo reply", to.to_string(), &e))?;
        match recv(ready.get_inner().as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(length) => {
                let message = buffer.get(..length).unwrap_or_default();
                if is_reply(to, message, sequence) {
                    return Ok(());
                }
            }
            Err(Errno::EAGAIN) => ready.clear_ready(),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(Failure::sys("receive an echo reply", to.to_string(), e)),
        }
    }
}

/// Whether a message read from the socket answers our request. An IPv4 socket gives the IP header
/// too (raw(7)), an IPv6 one does not.
fn is_reply(to: IpAddr, message: &[u8], sequence: u16) -> bool {
    let (header, kind) = match (to, message.first()) {
        (IpAddr::V4(_), Some(first)) => (usize::from(first & 0xf) * 4, 0),
        _ => (0, 129),
    };
    let [i, d] = ID.to_be_bytes();
    let [s, q] = sequence.to_be_bytes();
    match message.get(header..) {
        Some([t, 0, _, _, rest @ ..]) if *t == kind => rest.starts_with(&[i, d, s, q]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_last_request_counts() {
        let four: IpAddr = "10.9.0.2".parse().unwrap();
        let mut reply = vec![0x46; 24];
        reply.extend([0, 0, 0xab, 0xcd, 0x74, 0x61, 0, 3, 1, 2]);
        assert!(is_reply(four, &reply, 3));
        assert!(!is_reply(four, &reply, 2));
        reply[24] = 8;
        assert!(!is_reply(four, &reply, 3), "a request");
        for end in 0..32 {
            assert!(!is_reply(four, &reply[..end], 3));
        }
        let six: IpAddr = "fd00::2".parse().unwrap();
        assert!(is_reply(six, &[129, 0, 1, 1, 0x74, 0x61, 0, 3], 3));
        assert!(!is_reply(six, &[136, 0, 1, 1, 0x74, 0x61, 0, 3], 3), "a neighbour's answer");
    }

    #[test]
    fn it_reads_as_one_line() {
        let us = Duration::from_micros;
        let to = "10.9.0.2".parse().unwrap();
        let ping = Ping { to, sent: 3, trips: vec![us(18), us(21), us(50)] };
        assert_eq!(ping.to_string(), "3 of 3 answered, 0.021 ms median, 0.018 min, 0.050 max");
    }
}
