//! `save [FILE]`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::names;
use crate::diag::Failure;

/// Print the commands that make what is there, or write them to a file.
///
/// The same as `show running-config'. `exec FILE' makes it again: interfaces, addresses, settings, wires and
/// states, but neither namespaces nor bridges. The file is replaced at once and whole, or left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  taptool save\n  taptool save lab.conf")]
pub(super) struct Args {
    /// The file; without it, standard output.
    #[arg(value_name = "FILE", add = names::files())]
    pub file: Option<PathBuf>,
}

/// Replaces the file `path` by one with this text, or makes it.
///
/// # Errors
/// As `open(2)`, `write(2)`, `fsync(2)`, `rename(2)`; the file is then as it was.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |doing: &str, error: &io::Error| Failure::io(doing, path.display().to_string(), error);
    // A link stays one: what it names is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let kept = match fs::metadata(&target) {
        // A device or a pipe is written to.
        Ok(seen) if !seen.is_file() => {
            let written = OpenOptions::new().write(true).open(&target);
            let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
            return written.map_err(|error| failed("write", &error));
        }
        Ok(seen) => Some(seen.permissions()),
        Err(_) => None,
    };
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = target.with_file_name(name);
    let written = File::create_new(&beside).and_then(|mut file| {
        kept.map_or(Ok(()), |kept| file.set_permissions(kept))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&beside, &target));
    replaced.map_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            // It may not be there; why the write failed is what matters.
            let _ = fs::remove_file(&beside);
        }
        failed("write", &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode_and_the_link_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("lab.conf"), dir.path().join("link"));
        write(&file, "one\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("lab.conf", &link).unwrap();
        write(&link, "two\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
        let nowhere = dir.path().join("none/lab.conf");
        let failure = write(&nowhere, "x").unwrap_err();
        assert!(failure.to_string().contains("none/lab.conf"), "{failure}");
    }
}
