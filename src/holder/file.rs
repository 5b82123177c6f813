//! Opening a file that must be a regular one: another user, or an accident, may have put anything
//! in its place, and opening a FIFO or a device may wait or do something.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;

use crate::api::shell_word;
use crate::diag::{Code, Failure};

/// Which file: its device and inode.
pub(super) type FileId = (u64, u64);

/// Why there is no file.
#[derive(Debug)]
pub(super) enum Unopened {
    /// open(2) failed.
    Refused(io::Error),
    /// Something else stands there.
    NotRegular(Failure),
}

/// Opens a regular file, without following a link and without waiting.
pub(super) fn open(path: &Path, how: &mut OpenOptions) -> Result<File, Unopened> {
    match how.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) => match file.metadata().map_err(Unopened::Refused)?.file_type() {
            kind if kind.is_file() => Ok(file),
            kind => Err(other(path, kind)),
        },
        Err(error) => match fs::symlink_metadata(path) {
            Ok(there) if !there.is_file() => Err(other(path, there.file_type())),
            _ => Err(Unopened::Refused(error)),
        },
    }
}

/// Which file stands at a path; none where there is none.
pub(super) fn id(path: &Path) -> Option<FileId> {
    fs::symlink_metadata(path).ok().map(|there| (there.dev(), there.ino()))
}

fn other(path: &Path, kind: FileType) -> Unopened {
    let on = path.display().to_string();
    let what = match kind {
        _ if kind.is_dir() => "a directory",
        _ if kind.is_symlink() => "a symbolic link",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device file",
    };
    let hint = format!(
        "look what it is for and move it away (`mv {0} {0}.old'): a regular file is made there",
        shell_word(&on)
    );
    let failure = Failure::new(Code::NoAnswer, on, format!("this is {what}, not a regular file"));
    Unopened::NotRegular(failure.hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    #[test]
    fn what_is_no_regular_file_is_named_at_once_and_neither_followed_nor_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        let opened = |name: &str| {
            let how = &mut OpenOptions::new();
            open(&at(name), how.append(true).create(true).mode(0o600))
        };
        for (name, what) in [
            ("fifo", "a FIFO"),
            ("link", "a symbolic link"),
            ("socket", "a socket"),
            ("dir", "a directory"),
        ] {
            let Err(Unopened::NotRegular(failure)) = opened(name) else { panic!("{name}") };
            assert_eq!(failure.cause, format!("this is {what}, not a regular file"));
            assert_eq!(failure.on, at(name).display().to_string());
        }
        // With a reader, a FIFO can be opened without waiting.
        let _reader = open(&at("fifo"), OpenOptions::new().read(true)).unwrap_err();
        assert!(!at("file").exists(), "the link was followed");
        assert!(opened("file").is_ok());
    }
}
