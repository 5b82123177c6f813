//! The log of background holders.
//!
//! # Theory of operation
//! All background holders of a user append to one file, their standard error. After each line the
//! writer looks at it: one that has grown too long becomes the old one, under a lock on it, so that
//! of several holders one moves it, and the others find that their file is not the one at the path
//! any more and open that one. The same brings a holder back to a log that somebody else moved away
//! or removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::dup2_stderr;

use super::file::{self, FileId, Unopened};
use crate::diag::Failure;
use crate::sys::userns;

/// A log above this many bytes becomes the old one.
const LOG_MAX: u64 = 1 << 20;

/// Where background holders write their log: /var/log/taptool.log for real root, else
/// `$XDG_STATE_HOME/taptool/holder.log`, else ~/.local/state/taptool/holder.log.
pub fn log_path() -> Option<PathBuf> {
    if userns::is_root() {
        return Some("/var/log/taptool.log".into());
    }
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("taptool/holder.log"))
}

/// Opens the log for appending; none if that is not possible, which is no error.
///
/// # Errors
/// Something else than a regular file stands there.
pub(super) fn open() -> Result<Option<File>, Failure> {
    log_path().map_or(Ok(None), |path| open_at(&path))
}

fn open_at(path: &Path) -> Result<Option<File>, Failure> {
    if let Some(dir) = path.parent() {
        // If the directory cannot be made, the open below fails.
        let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    }
    let open = || match file::open(path, OpenOptions::new().append(true).create(true).mode(0o600)) {
        Ok(file) => Ok(Some(file)),
        Err(Unopened::Refused(_)) => Ok(None),
        Err(Unopened::NotRegular(failure)) => Err(failure),
    };
    let Some(log) = open()? else { return Ok(None) };
    let long = seen(&log).is_some_and(|(_, length)| length > LOG_MAX);
    if long && make_old(path, &log) { open() } else { Ok(Some(log)) }
}

/// Makes the log the old one; whether it is not the one at the path any more.
fn make_old(path: &Path, log: &File) -> bool {
    let there = || seen(log).map(|(id, _)| id) == file::id(path);
    let Ok(same) = log.try_clone() else { return false };
    // Another holder that has the lock does it.
    let Ok(_lock) = Flock::lock(same, FlockArg::LockExclusiveNonblock) else { return false };
    !there() || fs::rename(path, path.with_extension("log.1")).is_ok()
}

/// Which regular file this is, and its length; none where it is none.
fn seen(file: &impl AsFd) -> Option<(FileId, u64)> {
    let stat = fstat(file).ok()?;
    let format = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let length = u64::try_from(stat.st_size).ok()?;
    (format == SFlag::S_IFREG).then_some(((stat.st_dev, stat.st_ino), length))
}

/// Standard error, kept short where it is the log.
#[derive(Debug)]
pub struct LogWriter<W> {
    stderr: W,
    /// None where there can be no log.
    path: Option<PathBuf>,
    /// Standard error was seen to be the log.
    is_log: bool,
}

impl<W: Write + AsFd> LogWriter<W> {
    /// Of this process's standard error.
    pub fn new(stderr: W) -> Self {
        Self { stderr, path: log_path(), is_log: false }
    }

    /// Puts the log at the path in the place of one that is long or elsewhere.
    fn look(&mut self) -> Option<()> {
        let path = self.path.as_deref()?;
        let (id, length) = seen(&self.stderr)?;
        if file::id(path) == Some(id) {
            self.is_log = true;
            if length <= LOG_MAX {
                return None;
            }
        } else if !self.is_log {
            return None;
        }
        let log = open_at(path).ok()??;
        if seen(&log)?.0 != id {
            dup2_stderr(&log).ok()?;
        }
        Some(())
    }
}

impl<W: Write + AsFd> Write for LogWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stderr.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stderr.flush()?;
        // Where there can be no other log, lines go on to this one.
        let _ = self.look();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_long_becomes_the_old_one_for_all_who_write_to_it_and_no_line_is_lost() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("taptool/holder.log");
        let [mut one, mut other] = [(); 2].map(|()| open_at(&path).unwrap().unwrap());
        one.write_all(&vec![b'x'; 1 << 20]).unwrap();
        let same = open_at(&path).unwrap().unwrap();
        assert_eq!(seen(&same), seen(&one), "it is not too long yet");
        one.write_all(b"y").unwrap();
        let new = open_at(&path).unwrap().unwrap();
        assert_ne!(seen(&new), seen(&one));
        // Who moves it second finds that it has been done.
        assert!(make_old(&path, &other));
        assert_eq!(file::id(&path), seen(&new).map(|(id, _)| id));
        other.write_all(b"z").unwrap();
        let old = fs::read(path.with_extension("log.1")).unwrap();
        assert!(old.ends_with(b"xyz"));
        let again = open_at(&path).unwrap().unwrap();
        assert_eq!(seen(&again), seen(&new));
    }
}
