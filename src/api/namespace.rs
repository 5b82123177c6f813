//! Network namespaces as the caller names them, and as open files from then on.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::units::Invalid;

/// How a user names a network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceSpec {
    /// The caller's own.
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

    /// Opens it in the caller's context. That it is a network namespace is checked where it is used.
    ///
    /// # Errors
    /// As `open(2)`: `NotFound` where there is none of that name.
    pub fn open(&self) -> io::Result<Namespace> {
        // Somebody may name a FIFO: its open would wait for a writer.
        let nonblock = nix::fcntl::OFlag::O_NONBLOCK.bits();
        let file = File::options().read(true).custom_flags(nonblock).open(self.path())?;
        let fd = file.into();
        let label = (*self != Self::Own).then(|| self.to_string());
        Ok(Namespace { fd, label })
    }
}

impl FromStr for NamespaceSpec {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        if let Some(pid) = s.strip_prefix("pid:") {
            return match pid.parse() {
                Ok(pid) if pid > 0 => Ok(Self::Pid(pid)),
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
#[derive(Debug)]
pub struct Namespace {
    /// The namespace file.
    pub fd: OwnedFd,
    /// What `show` prints; none for the caller's own.
    pub label: Option<String>,
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
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
