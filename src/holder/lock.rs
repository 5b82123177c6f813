//! The lock beside a control socket.
//!
//! # Theory of operation
//! A holder takes it before it makes the socket and gives it back when it has removed the socket. So
//! who has it is the one holder of that place, also where its socket is gone. The file stays; the
//! lock ends with its process.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{major, minor};

use super::file::{self, FileId, Unopened};
use super::listener::Listener;
use super::place::{Place, no_place};
use crate::diag::{Code, Failure};

/// The lock, held.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    id: FileId,
    _held: Flock<File>,
}

impl Lock {
    /// Takes the lock of a place; none when another process has it.
    ///
    /// # Errors
    /// Exit code 5 or 6 when there can be no file beside the socket, or it is not regular.
    pub(super) fn take(place: &Place) -> Result<Option<Self>, Failure> {
        let path = path(place);
        let on = path.display().to_string();
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(false).mode(0o600);
        let file = file::open(&path, &mut how).map_err(|unopened| match unopened {
            Unopened::NotRegular(failure) => failure,
            Unopened::Refused(error) => whose(&path, no_place("open", &on, &error)),
        })?;
        let held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => held,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, e)) => return Err(Failure::sys("flock", on, e)),
        };
        let there = held.metadata().map_err(|e| Failure::io("fstat", &*on, &e))?;
        let id = (there.dev(), there.ino());
        // Says who has it where /proc/locks does not. A full disk only leaves that out.
        let _ = held.set_len(0).and_then(|()| (&*held).write_all(&own_number()));
        // It may have been removed and made anew by another process meanwhile.
        Ok((file::id(&path) == Some(id)).then_some(Self { path, id, _held: held }))
    }

    /// Whether its file is still the one that others find.
    pub(super) fn stands(&self) -> bool {
        file::id(&self.path) == Some(self.id)
    }
}

/// Who has the lock of a place: none where nobody has, or it cannot be told.
pub(super) fn owner(place: &Place) -> Option<Owner> {
    let path = path(place);
    let file = file::open(&path, OpenOptions::new().read(true)).ok()?;
    // Held for a moment alone, which a holder that starts now does not mind: it tries again.
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Err((file, Errno::EWOULDBLOCK)) => {
            Some(Owner { process: listed(&file).or_else(|| noted(&path)), lock: path })
        }
        _ => None,
    }
}

/// Who has a lock.
#[derive(Debug)]
pub(super) struct Owner {
    lock: PathBuf,
    /// None where it cannot be told: it may live in another process namespace.
    process: Option<Listener>,
}

impl Owner {
    /// The process.
    pub(super) fn process(&self) -> Option<&Listener> {
        self.process.as_ref()
    }

    /// It has the lock and nobody listens.
    pub(super) fn failure(&self, place: &Place) -> Failure {
        let who = self.process.as_ref().map_or_else(|| "a process".into(), ToString::to_string);
        let why = format!("{who} has the lock {} but does not listen", self.lock.display());
        let on = format!("holder at {}", place.path().display());
        let hint = match &self.process {
            Some(process) if process.is_taptool() => process.remedy(),
            _ => "end it, or name another socket with --socket or TAPTOOL_SOCKET".into(),
        };
        Failure::new(Code::NoAnswer, on, why).hint(hint)
    }
}

fn path(place: &Place) -> PathBuf {
    let mut path = place.path().as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

fn own_number() -> Vec<u8> {
    format!("{}\n", std::process::id()).into_bytes()
}

/// Whose a lock is that cannot be opened.
fn whose(path: &Path, failure: Failure) -> Failure {
    let Ok(there) = fs::symlink_metadata(path) else { return failure };
    if failure.code != Code::NotPermitted || there.uid() == nix::unistd::geteuid().as_raw() {
        return failure;
    }
    let user = super::listener::user(there.uid());
    let process = listed_of(&there).map_or_else(String::new, |p| format!(", and {p} has the lock"));
    let cause = format!("{}: the file belongs to {user}{process}", failure.cause);
    Failure { cause, ..failure }
}

/// The process that /proc/locks lists for a file.
fn listed(file: &File) -> Option<Listener> {
    listed_of(&file.metadata().ok()?)
}

fn listed_of(file: &fs::Metadata) -> Option<Listener> {
    let (major, minor) = (major(file.dev()), minor(file.dev()));
    let name = format!("{major:02x}:{minor:02x}:{}", file.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    Listener::numbered(number(&locks, &name)?)
}

/// The number of the process that has the write lock by flock(2) on a file, in the text of
/// /proc/locks: `1: FLOCK  ADVISORY  WRITE 708 00:1a:5678 0 EOF`.
fn number(locks: &str, file: &str) -> Option<i32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [_, "FLOCK", _, "WRITE", number, there, ..] if there == file => number.parse().ok(),
            _ => None,
        }
    })
}

/// The process that wrote its number into the lock, where it still is a taptool.
fn noted(path: &Path) -> Option<Listener> {
    use std::io::Read;
    let mut text = String::new();
    let file = file::open(path, OpenOptions::new().read(true)).ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    Listener::numbered(text.trim().parse().ok()?).filter(Listener::is_taptool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_listed_locks_the_flock_of_this_file_counts() {
        let locks = "\
            1: POSIX  ADVISORY  WRITE 7 fe:00:12 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 8 fe:00:13 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 9 fe:00:12 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE 10 fe:00:12 0 EOF\n";
        assert_eq!(number(locks, "fe:00:12"), Some(10));
        assert_eq!(number(locks, "fe:00:14"), None);
    }

    #[test]
    fn a_lock_is_had_once_until_it_is_dropped_and_its_file_may_go_and_come_back() {
        let temp = tempfile::tempdir().unwrap();
        let place = Place::find(Some(&temp.path().join("s"))).unwrap();
        assert!(owner(&place).is_none());
        let lock = Lock::take(&place).unwrap().unwrap();
        assert!(Lock::take(&place).unwrap().is_none());
        let said = owner(&place).unwrap().failure(&place).to_string();
        assert!(said.contains("s.lock but does not listen"), "{said}");
        assert!(lock.stands());
        fs::remove_file(path(&place)).unwrap();
        assert!(!lock.stands());
        let second = Lock::take(&place).unwrap().unwrap();
        assert!(second.stands() && !lock.stands());
        drop(second);
        assert!(owner(&place).is_none());
    }

    #[test]
    fn a_lock_that_is_a_fifo_is_refused_at_once() {
        let temp = tempfile::tempdir().unwrap();
        let place = Place::find(Some(&temp.path().join("s"))).unwrap();
        nix::unistd::mkfifo(&path(&place), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let refused = Lock::take(&place).unwrap_err();
        assert_eq!(refused.code, Code::NoAnswer);
        assert!(refused.to_string().contains("s.lock: this is a FIFO, not a regular file"));
        assert!(owner(&place).is_none());
    }
}
