//! One end of a varlink connection: NUL-terminated JSON, with files.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::diag::Failure;
use crate::sys::socket::{self, Peer};

/// Longest call, bytes.
pub(super) const CALL_MAX: usize = 1 << 20;

/// Longest answer that a client reads, bytes: a thousand interfaces make some 4 MB.
pub(super) const ANSWER_MAX: usize = 256 << 20;

/// How long a message that has begun, or a stretch of a long one, may take to arrive or to leave.
const DEADLINE: Duration = Duration::from_secs(10);

#[cfg(not(feature = "test-hooks"))]
const fn deadline() -> Duration {
    DEADLINE
}

#[cfg(feature = "test-hooks")]
fn deadline() -> Duration {
    let seconds = std::env::var("TAPTOOL_TEST_DEADLINE").ok().and_then(|s| s.parse().ok());
    seconds.map_or(DEADLINE, Duration::from_secs)
}

/// So many bytes of a long message have a deadline of their own.
const STRETCH: usize = 1 << 20;

/// Most files that one message may bring.
const FILES_MAX: usize = 8;

/// Most files of unread messages, over all connections and beyond one for each: as many files wait
/// as there are clients, and this many. A request needs one at most, so nobody has to wait for the
/// files of others.
const FILES_SPARE: usize = 64;

/// Counts the files of unread messages, over all connections that share it.
#[derive(Debug, Clone, Default)]
pub(super) struct SpareFiles(Arc<AtomicUsize>);

/// How many of the spare files one connection has.
#[derive(Debug)]
struct Share {
    all: SpareFiles,
    taken: usize,
}

impl Share {
    /// Takes or gives back, so that `files` may wait here.
    fn fit(&mut self, files: usize) -> io::Result<()> {
        let taken = files.saturating_sub(1);
        let all = self.all.0.load(Ordering::Relaxed) - self.taken + taken;
        if taken > self.taken && all > FILES_SPARE {
            let why = "too many files wait for the rest of their messages";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, why));
        }
        self.all.0.store(all, Ordering::Relaxed);
        self.taken = taken;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Gives back, which nothing refuses.
        let _ = self.fit(0);
    }
}

/// A message and the files that came with it.
#[derive(Debug)]
pub(super) struct Message {
    /// JSON, without the NUL.
    pub text: Vec<u8>,
    /// In the order in which they were sent.
    pub files: Vec<OwnedFd>,
}

/// A connected socket, and the bytes and files that arrived after the last message.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    inbox: Vec<u8>,
    /// Files, each with the length of the inbox when it arrived. The file belongs to the message
    /// that contains the byte before that position, because the kernel ends a read after the bytes
    /// that files were sent with.
    files: Vec<(usize, OwnedFd)>,
    share: Share,
}

impl Connection {
    /// Takes over a connected socket. Call it on the runtime.
    pub(super) fn new(socket: OwnedFd, spare: SpareFiles) -> Result<Self, Failure> {
        let refused = |error: io::Error| Failure::io("use", "control socket", &error);
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true).map_err(refused)?;
        let stream = UnixStream::from_std(stream).map_err(refused)?;
        Ok(Self::of_stream(stream, spare))
    }

    /// As [`Connection::new`], of a stream that is on the runtime already.
    pub(super) fn of_stream(stream: UnixStream, all: SpareFiles) -> Self {
        let share = Share { all, taken: 0 };
        Self { stream, inbox: Vec::new(), files: Vec::new(), share }
    }

    /// The process at the other end.
    pub(super) fn peer(&self) -> Result<Peer, Failure> {
        socket::peer(self.stream.as_fd())
    }

    /// The next message; none at the end between two messages. Once its first byte is there, the
    /// rest must follow in time.
    ///
    /// # Errors
    /// `UnexpectedEof` in the middle of a message, `TimedOut`, `InvalidData` for a message that is
    /// longer than `most` bytes or brings too many files, `QuotaExceeded` when too many files of
    /// all connections wait, or the socket's own.
    pub(super) async fn receive(&mut self, most: usize) -> io::Result<Option<Message>> {
        if self.inbox.is_empty() && self.fill().await? == 0 {
            return Ok(None);
        }
        let (mut seen, mut due) = (0, (Instant::now() + deadline(), STRETCH));
        let end = loop {
            if let Some(end) = self.inbox[seen..].iter().position(|byte| *byte == 0) {
                break seen + end;
            }
            seen = self.inbox.len();
            if seen > most {
                return Err(invalid("a message is too long"));
            }
            if seen > due.1 {
                due = (Instant::now() + deadline(), seen + STRETCH);
            }
            let filled = timeout_at(due.0, self.fill()).await;
            if filled.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        if end > most {
            return Err(invalid("a message is too long"));
        }
        let rest = self.inbox.split_off(end + 1);
        let mut text = std::mem::replace(&mut self.inbox, rest);
        text.pop();
        let mut files = Vec::new();
        for (at, file) in std::mem::take(&mut self.files) {
            if at <= end + 1 {
                files.push(file);
            } else {
                self.files.push((at - end - 1, file));
            }
        }
        self.share.fit(self.files.len())?;
        if files.len() > FILES_MAX {
            return Err(invalid("too many files"));
        }
        Ok(Some(Message { text, files }))
    }

    /// Waits for bytes and takes what there is.
    async fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let mut came = Vec::new();
        let Self { stream, inbox, files, share } = self;
        let read = || socket::receive(stream.as_fd(), &mut buffer, &mut came);
        let got = stream.async_io(Interest::READABLE, read).await?;
        inbox.extend_from_slice(&buffer[..got]);
        share.fit(files.len() + came.len())?;
        files.extend(came.into_iter().map(|file| (inbox.len(), file)));
        Ok(got)
    }

    /// Sends a message. The connection is closed if it is not read in time.
    ///
    /// # Errors
    /// As [`Connection::write`].
    pub(super) async fn send(&mut self, text: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.write(&[text, b"\0"].concat(), files).await
    }

    /// Sends a part of a message and, with its first byte, files.
    ///
    /// # Errors
    /// `TimedOut`, or the socket's own.
    pub(super) async fn write(
        &mut self,
        bytes: &[u8],
        mut files: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        for stretch in bytes.chunks(STRETCH) {
            let mut sent = 0;
            let send = async {
                while sent < stretch.len() {
                    let write = || socket::send(self.stream.as_fd(), &stretch[sent..], files);
                    sent += self.stream.async_io(Interest::WRITABLE, write).await?;
                    files = &[];
                }
                io::Result::Ok(())
            };
            timeout(deadline(), send)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
        Ok(())
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use std::fs::File;
    use std::io::{Read, Write};

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(test);
    }

    fn pair() -> (std::os::unix::net::UnixStream, Connection) {
        let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
        (a, Connection::new(b.into(), SpareFiles::default()).unwrap())
    }

    #[test]
    fn each_file_stays_with_the_message_that_it_was_sent_with() {
        run(async {
            let (peer, mut connection) = pair();
            let null = File::open("/dev/null").unwrap();
            let send = |text: &[u8], files: &[BorrowedFd<'_>]| {
                assert_eq!(socket::send(peer.as_fd(), text, files).unwrap(), text.len());
            };
            send(b"one\0", &[]);
            send(b"two\0", &[null.as_fd()]);
            send(b"three\0", &[]);
            for (text, files) in [("one", 0), ("two", 1), ("three", 0)] {
                let message = connection.receive(100).await.unwrap().unwrap();
                assert_eq!(message.text, text.as_bytes());
                assert_eq!(message.files.len(), files, "{text}");
            }
            drop(peer);
            assert!(connection.receive(100).await.unwrap().is_none());
        });
    }

    #[test]
    fn a_message_that_does_not_end_is_cut_off() {
        run(async {
            let (mut peer, mut connection) = pair();
            peer.write_all(b"half").unwrap();
            let late = connection.receive(100).await.unwrap_err();
            assert_eq!(late.kind(), io::ErrorKind::TimedOut);
            drop(peer);
            let torn = connection.receive(100).await.unwrap_err();
            assert_eq!(torn.kind(), io::ErrorKind::UnexpectedEof);
        });
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_before_it_is_whole() {
        run(async {
            let (mut peer, mut connection) = pair();
            peer.write_all(&[b'x'; 200]).unwrap();
            let long = connection.receive(100).await.unwrap_err();
            assert_eq!(long.kind(), io::ErrorKind::InvalidData);
        });
    }

    #[test]
    fn a_peer_that_does_not_read_is_cut_off() {
        run(async {
            let (_peer, mut connection) = pair();
            let stuck = connection.send(&vec![b'x'; 8 << 20], &[]).await.unwrap_err();
            assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_peer_that_reads_slowly_but_steadily_gets_a_long_message_whole() {
        run(async {
            let (peer, mut connection) = pair();
            peer.set_nonblocking(true).unwrap();
            let mut peer = UnixStream::from_std(peer).unwrap();
            let (text, began) = (vec![b'x'; 8 << 20], Instant::now());
            let read = async {
                let (mut got, mut part) = (0, vec![0; 1 << 16]);
                while got < text.len() + 1 {
                    peer.readable().await.unwrap();
                    got += peer.try_read(&mut part).unwrap_or(0);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            };
            let (sent, ()) = tokio::join!(connection.send(&text, &[]), read);
            sent.unwrap();
            assert!(began.elapsed() > DEADLINE);
            let _ = &mut peer;
        });
    }

    #[test]
    fn a_message_with_too_many_files_is_refused_and_they_are_closed() {
        run(async {
            let (peer, mut connection) = pair();
            let (end, file) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
            let many: Vec<_> = (0..100).map(|_| file.as_fd()).collect();
            socket::send(peer.as_fd(), b"x\0", &many).unwrap();
            let refused = connection.receive(100).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
            // The other end hears it when the last of them is closed.
            drop(file);
            assert_eq!(File::from(end).read(&mut [0]).unwrap(), 0);
        });
    }

    #[test]
    fn files_of_others_that_wait_leave_one_for_everybody_and_are_counted_until_they_go() {
        run(async {
            let null = File::open("/dev/null").unwrap();
            let spare = SpareFiles::default();
            let pair = || {
                let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
                (a, Connection::new(b.into(), spare.clone()).unwrap())
            };
            let send = |peer: &std::os::unix::net::UnixStream, text: &[u8], files: usize| {
                let files = vec![null.as_fd(); files];
                socket::send(peer.as_fd(), text, &files).unwrap();
            };
            let (greedy, mut first) = pair();
            send(&greedy, b"half", FILES_SPARE + 1);
            let late = first.receive(100).await.unwrap_err();
            assert_eq!(late.kind(), io::ErrorKind::TimedOut);
            let (peer, mut second) = pair();
            send(&peer, b"one\0", 1);
            assert_eq!(second.receive(100).await.unwrap().unwrap().files.len(), 1);
            send(&peer, b"two\0", 2);
            let refused = second.receive(100).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
            drop(first);
            let (peer, mut third) = pair();
            send(&peer, b"two\0", 2);
            assert_eq!(third.receive(100).await.unwrap().unwrap().files.len(), 2);
            assert_eq!(spare.0.load(Ordering::Relaxed), 0);
        });
    }
}
