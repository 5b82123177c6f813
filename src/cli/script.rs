//! Script lines as they arrive.
//!
//! # Theory of operation
//! A thread of its own opens and reads the file (a FIFO's open and every read may block for ever)
//! and passes one logical line at a time through a bounded channel: comments and blank lines
//! dropped, continued lines joined, each with the place where it began. The thread ends with its
//! input, with the first line that cannot be read, or when the receiver of the lines is gone. A
//! read that blocks does not keep the process from ending.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::thread;

use tokio::sync::mpsc;

use crate::diag::{Code, Failure};

/// Lines read ahead of the one that runs.
const AHEAD: usize = 16;

/// Longest logical line, bytes.
const LINE_MAX: usize = 64 * 1024;

/// A logical line.
#[derive(Debug)]
pub(super) struct Input {
    /// `FILE:LINE: `, which messages about it begin with.
    pub place: String,
    /// The line, or why there is none.
    pub text: Result<String, Failure>,
}

/// Starts reading `path`; `-` is standard input. `place` begins the message when it cannot be
/// opened.
pub(super) fn start(path: PathBuf, place: String) -> Result<mpsc::Receiver<Input>, Failure> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::Builder::new()
        .name("script".into())
        .spawn(move || read_file(&path, place, &sender))
        .map_err(|error| Failure::io("start of the script thread", "", &error))?;
    Ok(receiver)
}

fn read_file(path: &Path, place: String, sender: &mpsc::Sender<Input>) {
    if path == Path::new("-") {
        return read(std::io::stdin().lock(), "<stdin>", sender);
    }
    let name = crate::render::escape(&path.to_string_lossy()).into_owned();
    let failure = match File::open(path) {
        Ok(file) if file.metadata().is_ok_and(|about| about.is_dir()) => {
            Failure::new(Code::Failed, name, "is a directory, not a script")
        }
        Ok(file) => return read(BufReader::new(file), &name, sender),
        Err(error) => Failure::io("open", name, &error),
    };
    // If the receiver is gone, there is nothing to report.
    let _ = sender.blocking_send(Input { place, text: Err(failure) });
}

/// Reads `from` to its end. `name` is what places begin with.
pub(super) fn read(from: impl BufRead, name: &str, sender: &mpsc::Sender<Input>) {
    let mut lines = Lines { from, number: 0 };
    while let Some((number, text)) = lines.logical() {
        let last = text.is_err();
        let place = format!("{name}:{number}: ");
        if sender.blocking_send(Input { place, text }).is_err() || last {
            return;
        }
    }
}

struct Lines<R> {
    from: R,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    /// The next line that says something, and the number of its first part.
    fn logical(&mut self) -> Option<(usize, Result<String, Failure>)> {
        let mut joined: Option<(usize, String)> = None;
        loop {
            let line = match self.physical() {
                Ok(Some(line)) => line,
                // A continuation with nothing after it ends there.
                Ok(None) => return joined.map(|(number, text)| (number, Ok(text))),
                Err(failure) => return Some((self.number, Err(failure))),
            };
            let (number, mut text) = match joined.take() {
                Some((number, text)) => (number, text + &line),
                None if line.trim_start().starts_with('#') || line.trim().is_empty() => continue,
                None => (self.number, line),
            };
            if text.len() > LINE_MAX {
                return Some((number, Err(too_long())));
            }
            // An even number of them at the end are escaped ones.
            if text.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1 {
                text.pop();
                text.push(' ');
                joined = Some((number, text));
                continue;
            }
            return Some((number, Ok(text)));
        }
    }

    /// The next line of the file without its end; none at the end of the file.
    fn physical(&mut self) -> Result<Option<String>, Failure> {
        let mut bytes = Vec::new();
        // One byte more than is allowed tells a line that is too long from one that just fits.
        let most = u64::try_from(LINE_MAX + 2).unwrap_or(u64::MAX);
        let read = self.from.by_ref().take(most).read_until(b'\n', &mut bytes);
        self.number += 1;
        match read {
            Ok(0) => Ok(None),
            Ok(_) => {
                if bytes.last() == Some(&b'\n') {
                    bytes.pop();
                } else if bytes.len() > LINE_MAX {
                    return Err(too_long());
                }
                if bytes.last() == Some(&b'\r') {
                    bytes.pop();
                }
                // The mark that some editors put in front of UTF-8.
                if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                    bytes.drain(..3);
                }
                let text = String::from_utf8(bytes);
                text.map(Some).map_err(|_| Failure::usage("", "line is not UTF-8"))
            }
            Err(error) => Err(Failure::io("read", "", &error)),
        }
    }
}

fn too_long() -> Failure {
    Failure::usage("", "line is longer than 64 KiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(String, Result<String, String>)> {
        let (sender, mut receiver) = mpsc::channel(100);
        read(text, "f", &sender);
        drop(sender);
        let mut all = Vec::new();
        while let Some(Input { place, text }) = receiver.blocking_recv() {
            all.push((place, text.map_err(|f| f.to_string())));
        }
        all
    }

    fn ok(place: &str, text: &str) -> (String, Result<String, String>) {
        (format!("f:{place}: "), Ok(text.into()))
    }

    #[test]
    fn comments_blank_lines_and_continuations() {
        let script = b"# head\n\n  # indented \\\ncreate tap \\\n id 3 \\\n gso\r\nshow";
        assert_eq!(lines(script), [ok("4", "create tap   id 3   gso"), ok("7", "show")]);
        assert_eq!(lines(b"show \\"), [ok("1", "show  ")]);
        assert_eq!(lines(b"a \\\\\nb"), [ok("1", "a \\\\"), ok("2", "b")]);
        assert_eq!(lines(b"a \\\\\\\nb"), [ok("1", "a \\\\ b")]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_byte_order_mark_is_skipped_in_front_of_the_first_line_only() {
        assert_eq!(lines(b"\xef\xbb\xbfshow\nshow"), [ok("1", "show"), ok("2", "show")]);
        assert_eq!(lines(b"\xef\xbb\xbf# head\nshow"), [ok("2", "show")]);
        assert_eq!(lines(b"show\n\xef\xbb\xbfshow")[1], ok("2", "\u{feff}show"));
    }

    #[test]
    fn a_directory_is_no_script() {
        let mut lines = start("/".into(), "exec: ".to_owned()).unwrap();
        let Input { place, text } = lines.blocking_recv().unwrap();
        assert_eq!(place + &text.unwrap_err().to_string(), "exec: /: is a directory, not a script");
        assert!(lines.blocking_recv().is_none());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_the_last() {
        let said = lines(b"show\n\xff\nshow");
        assert_eq!(said[0], ok("1", "show"));
        assert_eq!(said[1], ("f:2: ".into(), Err("line is not UTF-8".into())));
        assert_eq!(said.len(), 2);
        // The rest of a long comment is no command.
        let mut long = vec![b'x'; LINE_MAX + 10];
        long[0] = b'#';
        assert_eq!(lines(&long), [("f:1: ".into(), Err("line is longer than 64 KiB".into()))]);
        long[0] = b'x';
        assert_eq!(lines(&long), [("f:1: ".into(), Err("line is longer than 64 KiB".into()))]);
    }
}
