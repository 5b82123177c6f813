//! Where the lines that were typed are kept.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// The file of this user, made with mode 0600 if need be: `$XDG_STATE_HOME/taptool/history`, else
/// ~/.local/state/taptool/history. None where there is no such place.
pub(super) fn file() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    let dir = state.join("taptool");
    // If it cannot be made, the open below says no.
    let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    let path = dir.join("history");
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&path);
    file.is_ok().then_some(path)
}
