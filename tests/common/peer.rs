//! The control socket as a foreign program speaks on it: varlink, byte by byte.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use serde_json::{Value, json};

use super::{World, eventually};

/// Somebody who has connected to the holder.
pub fn connect(world: &World) -> UnixStream {
    UnixStream::connect(world.socket()).unwrap()
}

/// Sends a message.
pub fn send(stream: &mut UnixStream, message: &Value) {
    stream.write_all(format!("{message}\0").as_bytes()).unwrap();
}

/// The next message; none at the end.
pub fn message(stream: &mut UnixStream) -> Option<Value> {
    let mut text = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap_or(0) == 1 {
        if byte[0] == 0 {
            return Some(serde_json::from_slice(&text).unwrap());
        }
        text.push(byte[0]);
    }
    None
}

/// Sends a call and reads its answer.
pub fn ask(stream: &mut UnixStream, question: &Value) -> Value {
    send(stream, question);
    message(stream).unwrap()
}

/// `show`.
pub fn show() -> Value {
    json!({ "method": "io.taptool.Show", "parameters": { "overview": [] } })
}

/// `show tap descriptors`: some 40 kB an interface.
pub fn show_descriptors() -> Value {
    let tap = json!({ "kind": "tap", "interfaces": [], "descriptors": true });
    json!({ "method": "io.taptool.Show", "parameters": { "tap": tap } })
}

/// How many bytes wait to be read.
fn waiting(stream: &UnixStream) -> usize {
    let mut room = vec![0; 1 << 20];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    match recv(stream.as_raw_fd(), &mut room, flags) {
        Ok(bytes) => bytes,
        Err(Errno::EAGAIN) => 0,
        Err(error) => panic!("recv: {error}"),
    }
}

/// Whether the holder has closed a connection, read or not.
pub fn is_closed(stream: &UnixStream) -> bool {
    let mut asked = [PollFd::new(stream.as_fd(), PollFlags::POLLHUP)];
    poll(&mut asked, PollTimeout::ZERO).unwrap() > 0
}

/// Somebody who asks for more than a socket has room for and reads nothing: the holder is stuck
/// with an answer.
#[derive(Debug)]
pub struct Mute(UnixStream);

impl Mute {
    /// How often it asks; some 40 kB each time, where a socket takes some 200.
    const ASKED: usize = 40;

    /// Connects and asks; at least one interface must be there.
    pub fn new(world: &World) -> Self {
        let mut stream = connect(world);
        for _ in 0..Self::ASKED {
            send(&mut stream, &show_descriptors());
        }
        Self(stream)
    }

    /// Whether the holder has given it up.
    pub fn is_cut_off(&self) -> bool {
        is_closed(&self.0)
    }

    /// Waits until the holder closes the connection, and only then reads what it said: less than
    /// was asked for.
    pub fn ends_cut_off(mut self) {
        eventually("it is cut off", 20.0, || is_closed(&self.0));
        let mut said = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut said) {
            // What the holder has not read any more.
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        let answers = said.iter().filter(|byte| **byte == 0).count();
        assert!((1..Self::ASKED).contains(&answers), "{answers} of {} answers", Self::ASKED);
    }
}

/// Waits until the holder has said as much as it can to each of them: it says no more for as long as
/// it takes to answer somebody else many times.
pub fn are_stuck(world: &World, mutes: &[Mute]) {
    const ANSWERS: usize = 50;
    let mut other = connect(world);
    let (mut last, mut answers) = (Vec::new(), 0);
    eventually("the sockets are full", 20.0, || {
        let now: Vec<usize> = mutes.iter().map(|mute| waiting(&mute.0)).collect();
        answers = if now == last { answers + 1 } else { 0 };
        last = now;
        ask(&mut other, &show());
        answers >= ANSWERS && last.iter().all(|bytes| *bytes > 100_000)
    });
}
