//! Network namespaces: how the caller names them, and the open files that requests carry.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diag::Failure;
use crate::units::{Invalid, digits};

/// How a user names a network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceSpec {
    /// The caller's namespace.
    Own,
    /// A name under /run/netns, as `ip netns` makes them.
    Name(String),
    /// An absolute path of a namespace file.
    Path(PathBuf),
    /// `pid:N`: the namespace of a process.
    Pid(u32),
}

impl NamespaceSpec {
    /// The file that stands for it, in the caller's mount namespace.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Own => "/proc/self/ns/net".into(),
            Self::Name(name) => PathBuf::from("/run/netns").join(name),
            Self::Path(path) => path.clone(),
            Self::Pid(pid) => format!("/proc/{pid}/ns/net").into(),
        }
    }

    /// How `tool`, `ip` or `bridge`, is called to work there: the words before its own.
    pub fn tool(&self, tool: &str) -> String {
        match self {
            Self::Name(name) => format!("{tool} -n {}", shell_word(name)),
            other => other.command(tool),
        }
    }

    /// Any command, as it is called to work there.
    pub fn command(&self, command: &str) -> String {
        match self {
            Self::Own => command.to_owned(),
            Self::Name(name) => format!("ip netns exec {} {command}", shell_word(name)),
            Self::Path(path) => {
                format!("nsenter --net={} {command}", shell_word(&path.to_string_lossy()))
            }
            Self::Pid(pid) => format!("nsenter -t {pid} -n {command}"),
        }
    }

    /// Opens it in the caller's context. That it is a network namespace is checked where it is used.
    ///
    /// # Errors
    /// As `open(2)`: `NotFound` where there is none of that name.
    pub fn open(&self) -> io::Result<Namespace> {
        // The path may be a FIFO, and opening one would wait for a writer.
        let nonblock = nix::fcntl::OFlag::O_NONBLOCK.bits();
        let file = File::options().read(true).custom_flags(nonblock).open(self.path())?;
        let label = (*self != Self::Own).then(|| self.to_string());
        Ok(Namespace::new(file.into(), label))
    }
}

/// Quotes a word for a shell: another user may have chosen the name of the device or namespace file
/// in a command that a reader pastes.
pub fn shell_word(text: &str) -> String {
    // A word with a zero byte has no spelling; device names and paths cannot have one.
    shlex::try_quote(text).map_or_else(|_| "?".into(), |quoted| quoted.into_owned())
}

impl FromStr for NamespaceSpec {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        if let Some(pid) = s.strip_prefix("pid:") {
            return match digits(pid) {
                Some(pid) if pid > 0 => Ok(Self::Pid(pid)),
                _ => Err(Invalid("`pid:' is followed by a process number".into())),
            };
        }
        if s.starts_with('/') {
            return Ok(Self::Path(s.into()));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if s.is_empty() || s.len() > 255 || matches!(s, "." | "..") || !s.bytes().all(plain) {
            return Err(Invalid(
                "not a namespace: a name under /run/netns, an absolute path, or pid:N".into(),
            ));
        }
        Ok(Self::Name(s.to_owned()))
    }
}

impl fmt::Display for NamespaceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Name(name) => f.write_str(name),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Pid(pid) => write!(f, "pid:{pid}"),
        }
    }
}

/// An open network namespace and the words it was named with.
///
/// As JSON it is the words; the file travels beside the message. Two are equal whose words are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Option<String>")]
pub struct Namespace {
    fd: Option<Arc<OwnedFd>>,
    label: Option<String>,
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.label == other.label
    }
}

impl Eq for Namespace {}

impl Namespace {
    /// A namespace by its file. `label` is what `show` prints; none for the caller's own.
    pub fn new(fd: OwnedFd, label: Option<String>) -> Self {
        Self { fd: Some(Arc::new(fd)), label }
    }

    /// Its words alone, to be kept: they keep no namespace alive.
    #[must_use]
    pub fn words(&self) -> Self {
        Self { fd: None, label: self.label.clone() }
    }

    /// What `show` prints; none for the caller's own.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The file, if it has arrived.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(|fd| fd.as_fd())
    }

    /// Adds the file that arrived with the message.
    pub(super) fn attach(&mut self, fd: OwnedFd) {
        self.fd = Some(Arc::new(fd));
    }

    /// The file itself.
    ///
    /// # Errors
    /// When no file came with the request.
    pub fn into_fd(self) -> Result<Arc<OwnedFd>, Failure> {
        self.fd.ok_or_else(|| Failure::usage("host-ns", "no namespace file came with the request"))
    }
}

impl Serialize for Namespace {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.label.serialize(s)
    }
}

impl From<Option<String>> for Namespace {
    fn from(label: Option<String>) -> Self {
        Self { fd: None, label }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_is_no_number_and_a_name_with_a_slash_are_refused() {
        for bad in ["pid:", "pid:abc", "pid:0", "pid:-1", "a/b", "..", "", "a b"] {
            assert!(bad.parse::<NamespaceSpec>().is_err(), "{bad}");
        }
        assert_eq!("foo".parse(), Ok(NamespaceSpec::Name("foo".into())));
        assert_eq!("pid:7".parse(), Ok(NamespaceSpec::Pid(7)));
        assert_eq!("/proc/1/ns/net".parse(), Ok(NamespaceSpec::Path("/proc/1/ns/net".into())));
    }
}
