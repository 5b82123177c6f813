//! A TCP transfer over the wire.
//!
//! # Theory of operation
//! The sockets are made in the namespaces and connected on the runtime; then each end has a thread
//! with blocking calls. The sender writes for the given time, closes its direction, and waits for
//! the other end to do the same; the receiver reads to the end. Dropping a [`Transfer`] shuts both
//! sockets down, which wakes the threads, and joins them. Both sockets are closed with a reset, so
//! that the kernel does not keep a half-closed connection, and with it the namespace, after us.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{AddressFamily, SockProtocol, SockType, setsockopt, sockopt};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::place::Room;
use crate::diag::{Code, Failure};

/// Bytes of one write.
const CHUNK_BYTES: usize = 256 << 10;
/// How long the connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long the remaining bytes may take after the last write.
const REST: Duration = Duration::from_secs(10);
/// How often progress is reported.
const TICK: Duration = Duration::from_millis(200);

/// Bytes that arrived, and how long that took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Throughput {
    pub(super) bytes: u64,
    pub(super) time: Duration,
}

impl Throughput {
    #[expect(clippy::cast_precision_loss, reason = "53 bits of bytes are enough")]
    fn bits_per_second(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { self.bytes as f64 * 8.0 / seconds } else { 0.0 }
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "seconds": (self.time.as_secs_f64() * 1e3).round() / 1e3,
            "bytes": self.bytes,
            "bits_per_second": self.bits_per_second().round(),
        })
    }
}

impl fmt::Display for Throughput {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = |n: f64| if n < 1e9 { (n / 1e6, 'M') } else { (n / 1e9, 'G') };
        let (bytes, b) = scaled(self.bytes as f64);
        let (bits, r) = scaled(self.bits_per_second());
        write!(f, "{:.1} s, {bytes:.1} {b}B, {bits:.1} {r}bit/s", self.time.as_secs_f64())
    }
}

/// Connects a namespace to an address of another.
///
/// # Errors
/// The connection took too long, or a call failed.
pub(super) async fn connect(
    from: &Room,
    to: &Room,
    address: Ipv4Addr,
) -> Result<[TcpStream; 2], Failure> {
    let failed =
        |doing: &'static str| move |e: io::Error| Failure::io(doing, address.to_string(), &e);
    let listener = tcp(to).await?;
    listener.bind(SocketAddr::from((address, 0))).map_err(failed("bind"))?;
    let listener = listener.listen(1).map_err(failed("listen"))?;
    let at = listener.local_addr().map_err(failed("getsockname"))?;
    let both = async {
        let client = tcp(from).await?.connect(at).await.map_err(failed("connect"))?;
        let (server, _) = listener.accept().await.map_err(failed("accept"))?;
        Ok([client, server])
    };
    let both = timeout(CONNECT, both).await.unwrap_or_else(|_| {
        let cause = format!("no connection within {} s", CONNECT.as_secs());
        Err(Failure::new(Code::Failed, at.to_string(), cause))
    })?;
    let [client, server] = both.map(|stream| -> Result<TcpStream, Failure> {
        let stream = stream.into_std().map_err(failed("take a socket from the runtime"))?;
        stream.set_nonblocking(false).map_err(failed("fcntl"))?;
        let reset = libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&stream, sockopt::Linger, &reset)
            .map_err(|e| Failure::sys("setsockopt(SO_LINGER)", address.to_string(), e))?;
        Ok(stream)
    });
    Ok([client?, server?])
}

async fn tcp(room: &Room) -> Result<TcpSocket, Failure> {
    let socket = room.socket(AddressFamily::Inet, SockType::Stream, SockProtocol::Tcp).await?;
    Ok(TcpSocket::from_std_stream(TcpStream::from(socket)))
}

/// Sends for `span` from the first socket to the second. `progress` is called from time to time with
/// the elapsed time and the bytes that have arrived.
///
/// # Errors
/// The connection broke, or did not end in time.
pub(super) async fn run(
    ends: [TcpStream; 2],
    span: Duration,
    mut progress: impl FnMut(Throughput),
) -> Result<Throughput, Failure> {
    let began = Instant::now();
    let mut transfer = Transfer { arrived: Arc::default(), ends, threads: Vec::new() };
    let sent = transfer.start("demo-send", move |transfer| {
        let [mut stream, _] = transfer;
        send(&mut stream, began + span)
    })?;
    let arrived = Arc::clone(&transfer.arrived);
    let received = transfer.start("demo-receive", move |transfer| {
        let [_, mut stream] = transfer;
        receive(&mut stream, &arrived).map(|()| began.elapsed())
    })?;
    let arrived = Arc::clone(&transfer.arrived);
    let now = |time| Throughput { bytes: arrived.load(Ordering::Relaxed), time };
    let ended = async {
        let (sent, received) = tokio::join!(sent, received);
        let panicked = |_| Failure::new(Code::Failed, "tcp", "a thread panicked");
        let broken = |e: io::Error| Failure::io("transfer", "tcp", &e);
        sent.map_err(panicked)?.map_err(broken)?;
        received.map_err(panicked)?.map_err(broken).map(now)
    };
    let mut ended = std::pin::pin!(timeout(span + REST, ended));
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            biased;
            ended = &mut ended => {
                return ended.unwrap_or_else(|_| {
                    let cause = format!("the transfer does not end; {}", now(began.elapsed()));
                    Err(Failure::new(Code::Failed, "tcp", cause))
                });
            }
            _ = ticks.tick() => progress(now(began.elapsed())),
        }
    }
}

/// A transfer under way.
struct Transfer {
    arrived: Arc<AtomicU64>,
    ends: [TcpStream; 2],
    threads: Vec<JoinHandle<()>>,
}

impl Transfer {
    fn start<T: Send + 'static>(
        &mut self,
        name: &str,
        work: impl FnOnce([TcpStream; 2]) -> io::Result<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<io::Result<T>>, Failure> {
        let failed = |doing: &'static str| move |e| Failure::io(doing, "tcp", &e);
        let [a, b] = &self.ends;
        let ends = [
            a.try_clone().map_err(failed("dup of a socket"))?,
            b.try_clone().map_err(failed("dup of a socket"))?,
        ];
        let (done, result) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            // The receiver is gone when the demo was interrupted.
            let _ = done.send(work(ends));
        });
        self.threads.push(thread.map_err(failed("start a thread"))?);
        Ok(result)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        for end in &self.ends {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            // Its failure was reported already.
            let _ = thread.join();
        }
    }
}

fn send(stream: &mut TcpStream, end: Instant) -> io::Result<()> {
    let chunk = vec![0x5a; CHUNK_BYTES];
    while Instant::now() < end {
        stream.write_all(&chunk)?;
    }
    stream.shutdown(Shutdown::Write)?;
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::other("the receiver sent something")),
    }
}

fn receive(stream: &mut TcpStream, arrived: &AtomicU64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match stream.read(&mut chunk)? {
            0 => return stream.shutdown(Shutdown::Write),
            n => arrived.fetch_add(n as u64, Ordering::Relaxed),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_reads_in_the_unit_that_fits() {
        let time = Duration::from_secs(2);
        let said = |bytes| Throughput { bytes, time }.to_string();
        assert_eq!(said(2_900_000_000), "2.0 s, 2.9 GB, 11.6 Gbit/s");
        assert_eq!(said(40_000_000), "2.0 s, 40.0 MB, 160.0 Mbit/s");
        assert_eq!(Throughput { bytes: 0, time: Duration::ZERO }.bits_per_second(), 0.0);
    }
}
