//! The process that listens on a control socket or has its lock: for messages about one that does
//! not answer.

use std::fmt;
use std::fs;
use std::os::fd::BorrowedFd;

use nix::unistd::{Uid, User, geteuid};

use crate::sys::socket;

/// A process that listens or has the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listener {
    pid: i32,
    name: String,
    stopped: bool,
    /// Its user, where that is another than ours.
    user: Option<u32>,
}

impl Listener {
    /// The process at the other end; none where it cannot be told. The kernel notes who called
    /// listen(2), so a socket that a service manager made is the manager's.
    pub(super) fn of(socket: BorrowedFd<'_>) -> Option<Self> {
        let pid = socket::peer(socket).ok()?.pid;
        // A holder of our own making is at the other end of a socketpair of ours.
        let other = u32::try_from(pid).is_ok_and(|pid| pid != std::process::id());
        Self::numbered(pid).filter(|process| other && process.name != "systemd")
    }

    /// The process of this number; none where there is none.
    pub(super) fn numbered(pid: i32) -> Option<Self> {
        if pid <= 0 {
            return None;
        }
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let (name, state) = read(&String::from_utf8_lossy(&stat))?;
        let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
        let user = effective_user(&String::from_utf8_lossy(&status));
        let user = user.filter(|user| *user != geteuid().as_raw());
        Some(Self { pid, name, stopped: matches!(state, 'T' | 't'), user })
    }

    /// Whether it is this program, by its name.
    pub(super) fn is_taptool(&self) -> bool {
        self.name == "taptool"
    }

    /// The hint about a holder that does not answer.
    pub(super) fn remedy(&self) -> String {
        let Self { pid, .. } = self;
        let end = format!("`kill {pid}', else `kill -KILL {pid}', ends it and its interfaces");
        match self.stopped {
            true => format!("it is stopped: `kill -CONT {pid}' lets it go on; {end}"),
            false => format!("it may be busy: try again; {end}"),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)?;
        self.user.map_or(Ok(()), |uid| write!(f, " of {}", user(uid)))
    }
}

/// A user by name and number.
pub(super) fn user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("user {} (uid {uid})", user.name),
        _ => format!("uid {uid}"),
    }
}

/// The effective user in the text of /proc/PID/status.
fn effective_user(status: &str) -> Option<u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().nth(1)?.parse().ok()
}

/// Name and state in the text of /proc/PID/stat. The name may hold anything.
fn read(stat: &str) -> Option<(String, char)> {
    let (before, after) = stat.rsplit_once(") ")?;
    let name = before.split_once(" (")?.1.replace(char::is_control, "?");
    Some((name, after.chars().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_name_that_looks_like_more_of_the_line_is_read_whole() {
        let read = |stat| read(stat).unwrap();
        assert_eq!(read("12 (taptool) S 1 12"), ("taptool".into(), 'S'));
        assert_eq!(read("12 (a) R (b\u{1b}) T 1 12"), ("a) R (b?".into(), 'T'));
        assert_eq!(super::read("12 (a"), None);
    }

    #[test]
    fn the_second_of_the_four_users_is_the_effective_one() {
        assert_eq!(effective_user("Name:\ta\nUid:\t1\t2\t3\t4\nGid:\t5"), Some(2));
        assert_eq!(effective_user(""), None);
    }

    #[test]
    fn the_other_end_of_a_socketpair_of_ours_is_nobody_else() {
        let (here, _there) = UnixStream::pair().unwrap();
        assert_eq!(Listener::of(here.as_fd()), None);
    }

    #[test]
    fn a_holder_that_is_stopped_is_to_go_on_and_another_to_be_asked_again() {
        let holder = Listener { pid: 7, name: "taptool".into(), stopped: true, user: None };
        assert_eq!(holder.to_string(), "process 7 (taptool)");
        assert!(
            holder.remedy().starts_with("it is stopped: `kill -CONT 7' lets it go on; `kill 7'")
        );
        let others = Listener { user: Some(u32::MAX - 1), ..holder.clone() };
        assert_eq!(others.to_string(), "process 7 (taptool) of uid 4294967294");
        let busy = Listener { stopped: false, ..holder };
        assert!(busy.remedy().starts_with("it may be busy: try again; `kill 7', else"));
    }
}
