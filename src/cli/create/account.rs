//! Users and groups by name or number.
//!
//! Names are looked up here, on the side of the command: its user database is the one that whoever
//! types the name means. The request carries numbers only.

use nix::errno::Errno;
use nix::unistd::{Group, User};

use crate::diag::Failure;
use crate::units::digits;

/// The number of `--owner USER`.
pub(super) fn user(word: &str) -> Result<u32, Failure> {
    let find = |name: &str| Ok(User::from_name(name)?.map(|user| user.uid.as_raw()));
    number("owner", word, "user", find)
        .map_err(|failure| failure.hint("`getent passwd' lists the users by name and number"))
}

/// The number of `--group GROUP`.
pub(super) fn group(word: &str) -> Result<u32, Failure> {
    let find = |name: &str| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()));
    number("group", word, "group", find)
        .map_err(|failure| failure.hint("`getent group' lists the groups by name and number"))
}

fn number(
    option: &str,
    word: &str,
    what: &str,
    find: impl FnOnce(&str) -> Result<Option<u32>, Errno>,
) -> Result<u32, Failure> {
    let on = format!("{option} {word}");
    if let Some(number) = digits::<u32>(word) {
        // The largest number means "none" to the kernel; the request's check refuses it.
        return Ok(number);
    }
    let unknown =
        || Failure::usage(&on, format!("no such {what}, and not a number up to 4294967294"));
    // A look-up takes a C string.
    if word.is_empty() || word.contains('\0') {
        return Err(unknown());
    }
    match find(word) {
        Ok(Some(number)) => Ok(number),
        // Both are how user databases say that they do not have it (getpwnam(3)).
        Ok(None) | Err(Errno::ENOENT | Errno::ESRCH) => Err(unknown()),
        Err(errno) => Err(Failure::sys(format!("look up the {what}"), on, errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    #[test]
    fn names_and_numbers_are_accounts_and_other_words_are_not() {
        assert_eq!((user("root"), group("root")), (Ok(0), Ok(0)));
        assert_eq!((user("1234"), group("567")), (Ok(1234), Ok(567)));
        for word in ["", "+5", "-1", "4294967296", "no-such-account", "ro\0ot"] {
            for refused in [user(word), group(word)] {
                let failure = refused.unwrap_err();
                assert_eq!(failure.code, Code::Usage, "{word:?}: {failure}");
                assert!(failure.hint.is_some_and(|hint| hint.contains("getent")), "{word:?}");
            }
        }
    }
}
