//! Errors that a user sees: the failed operation, its object, the cause, and what the user can do.
//!
//! One type serves every layer outside the frame path. The code that parsed a command puts the
//! command's words (`create tap:`) in front; a [`Failure`] never contains them. One kind is no
//! user's concern: an invariant of ours that does not hold ([`Failure::bug`]). It says where in the
//! source, and who prints it asks for a report.

use std::fmt;
use std::io;
use std::panic::Location;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// How a command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Code {
    /// A call failed.
    Failed = 1,
    /// The words are not a command, or a value is not of its form.
    Usage = 2,
    /// No such interface, namespace, bridge or device.
    NotFound = 3,
    /// It exists already, or is in use.
    Exists = 4,
    /// Not permitted.
    NotPermitted = 5,
    /// Something listens but does not answer.
    NoAnswer = 6,
    /// The backend or /dev/net/tun is missing.
    NoBackend = 7,
}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// What to do where a process may open no more files.
const FILES_HINT: &str = "RLIMIT_NOFILE is reached: raise it before the program or the holder starts, \
    with `ulimit -Hn 524288' or LimitNOFILE=524288 in its unit";

/// An operation that failed.
///
/// Displays as `on: doing: cause`, then the hint on a line of its own, indented by two spaces. One
/// that is a bug says so, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The operation: the call by its name (`ioctl(TUNSETIFF) on /dev/net/tun`). May be empty.
    pub doing: String,
    /// The object in the user's words (`tap0`, `host-bridge br7`). May be empty.
    pub on: String,
    /// The answer; a system error with its symbol: `Operation not permitted (EPERM)`.
    pub cause: String,
    /// The system's answer, where it was one: what code asks, as the cause is for people.
    pub errno: Option<Errno>,
    /// What to do about it: one sentence, lower case, no full stop.
    pub hint: Option<String>,
    /// The exit code of the command.
    pub code: Code,
    /// Where in our source an invariant did not hold (`src/control/mod.rs:120`); none where nothing
    /// of ours is wrong.
    pub bug: Option<Box<str>>,
}

impl Failure {
    /// A refusal by taptool itself: `on: cause`.
    pub fn new(code: Code, on: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            doing: String::new(),
            on: on.into(),
            cause: cause.into(),
            errno: None,
            hint: None,
            code,
            bug: None,
        }
    }

    /// An invariant of ours that does not hold, found by the caller: exit code 1.
    #[track_caller]
    pub fn bug(on: impl Into<String>, cause: impl Into<String>) -> Self {
        let found = Location::caller();
        let bug = Some(format!("{}:{}", found.file(), found.line()).into());
        Self { bug, ..Self::new(Code::Failed, on, cause) }
    }

    /// An invalid value or word: exit code 2.
    pub fn usage(on: impl Into<String>, cause: impl Into<String>) -> Self {
        Self::new(Code::Usage, on, cause)
    }

    /// A system call that failed. The errno decides the exit code; `EMFILE` brings its hint.
    pub fn sys(doing: impl Into<String>, on: impl Into<String>, errno: Errno) -> Self {
        let code = match errno {
            Errno::EPERM | Errno::EACCES => Code::NotPermitted,
            Errno::EEXIST | Errno::EBUSY | Errno::EADDRINUSE => Code::Exists,
            Errno::ENODEV | Errno::ESRCH | Errno::EBADFD => Code::NotFound,
            _ => Code::Failed,
        };
        let hint = match errno {
            Errno::EMFILE => Some(FILES_HINT.to_owned()),
            _ => None,
        };
        Self {
            doing: doing.into(),
            on: on.into(),
            cause: errno_text(errno),
            errno: Some(errno),
            hint,
            code,
            bug: None,
        }
    }

    /// As [`Failure::sys`], from an [`io::Error`].
    pub fn io(doing: impl Into<String>, on: impl Into<String>, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(n) => Self::sys(doing, on, Errno::from_raw(n)),
            None => Self { doing: doing.into(), ..Self::new(Code::Failed, on, error.to_string()) },
        }
    }

    /// Adds the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the exit code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Names the object, for a layer below that did not know it.
    #[must_use]
    pub fn on(mut self, on: impl Into<String>) -> Self {
        self.on = on.into();
        self
    }

    /// Names the object unless one is named.
    #[must_use]
    pub fn on_if_none(self, on: &str) -> Self {
        if self.on.is_empty() { self.on(on) } else { self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.on, &self.doing, &self.cause];
        let parts: Vec<&str> = parts.iter().filter(|p| !p.is_empty()).map(|p| p.as_str()).collect();
        f.write_str(&parts.join(": "))?;
        if let Some(place) = &self.bug {
            write!(f, "; this is a bug ({place})")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  {}", hint.replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// `Operation not permitted (EPERM)`: the C library's sentence and the symbol.
pub fn errno_text(errno: Errno) -> String {
    if errno == Errno::UnknownErrno {
        return "unknown error".into();
    }
    // `Errno`'s Debug is the symbol, its `desc` the sentence.
    format!("{} ({errno:?})", errno.desc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_object_call_cause_then_the_hint_on_its_own_line() {
        let f = Failure::sys("ioctl(TUNSETIFF) on /dev/net/tun", "tap0", Errno::EPERM)
            .hint("run it with sudo");
        assert_eq!(
            f.to_string(),
            "tap0: ioctl(TUNSETIFF) on /dev/net/tun: Operation not permitted (EPERM)\n  run it with sudo"
        );
        assert_eq!(f.code, Code::NotPermitted);
        assert_eq!(Failure::usage("id 9000", "too big").to_string(), "id 9000: too big");
    }

    #[test]
    fn a_bug_says_that_it_is_one_and_where_it_was_found() {
        let (failure, line) = (Failure::bug("tap0", "no backend").hint("try again"), line!());
        let at = format!("{}:{line}", file!());
        assert_eq!(
            failure.to_string(),
            format!("tap0: no backend; this is a bug ({at})\n  try again")
        );
        assert_eq!((failure.code, failure.bug), (Code::Failed, Some(at.into())));
        assert_eq!(Failure::sys("ioctl", "tap0", Errno::EPERM).bug, None);
    }
}
