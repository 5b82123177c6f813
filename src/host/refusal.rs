//! Refusals in words: what rtnetlink refused, with the errno and the kernel's own sentence, and a name
//! that is taken.

use nix::errno::Errno;
use rtnetlink::Error;

use crate::diag::{Code, Failure};
use crate::sys::userns::rights;
use crate::units::IfName;

/// `struct nlmsghdr`, which stands before the attributes in an error that is capped.
const HEADER_BYTES: usize = 16;
/// `NLMSGERR_ATTR_MSG` (`linux/netlink.h`).
const ATTR_MSG: u16 = 1;
/// Without the bits `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const ATTR_TYPE: u16 = 0x3fff;

/// The errno of a refusal; none when it was not the kernel that refused.
pub(super) fn errno(error: &Error) -> Option<Errno> {
    match error {
        Error::NetlinkError(message) => Some(Errno::from_raw(message.raw_code().wrapping_abs())),
        _ => None,
    }
}

/// The refusal as people read it. `doing` is the request in words.
pub(super) fn failure(doing: impl Into<String>, on: &str, error: &Error) -> Failure {
    let Error::NetlinkError(message) = error else {
        let cause = match error {
            Error::RequestFailed => {
                "the kernel did not acknowledge the request, which may not have been sent"
                    .to_owned()
            }
            _ => format!("rtnetlink: {error}"),
        };
        let mut failure = Failure::new(Code::Failed, on, cause);
        failure.doing = doing.into();
        return failure;
    };
    let mut failure = Failure::sys(doing, on, Errno::from_raw(message.raw_code().wrapping_abs()));
    // Where the kernel says what it is, a guess at missing rights would mislead.
    let explained = sentence(&message.header);
    if let Some(sentence) = &explained {
        failure.cause = format!("{}: {sentence}", failure.cause);
    }
    match failure.code {
        Code::NotPermitted if explained.is_none() => {
            failure.hint(rights("needs CAP_NET_ADMIN in that network namespace", None))
        }
        _ => failure,
    }
}

/// Another device has the name.
pub(super) fn taken(name: &IfName, doing: String) -> Failure {
    let mut failure = Failure::new(
        Code::Exists,
        name.as_str(),
        "a device of this name exists already in that namespace (EEXIST)",
    )
    .hint("it is left as it is; choose another name with `host-if-name'");
    failure.doing = doing;
    failure
}

/// The kernel's sentence (`NLMSGERR_ATTR_MSG`) in the payload of an error after its code.
///
/// The socket asks for `NETLINK_CAP_ACK`, so the attributes follow the header of our request and
/// not the whole of it.
fn sentence(payload: &[u8]) -> Option<String> {
    let mut rest = payload.get(HEADER_BYTES..)?;
    while let [a, b, c, d, ..] = *rest {
        let bytes = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..bytes)?;
        if u16::from_ne_bytes([c, d]) & ATTR_TYPE == ATTR_MSG {
            let text = value.split(|b| *b == 0).next().unwrap_or(value);
            // The kernel writes these; a name in one may come from any user, so control characters
            // are removed.
            let text = String::from_utf8_lossy(text).replace(char::is_control, " ");
            return (!text.is_empty()).then_some(text);
        }
        rest = rest.get(bytes.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn the_sentence_is_found_behind_other_attributes() {
        let mut payload = vec![0; 16];
        payload.extend(attribute(2, &[0; 4]));
        payload.extend(attribute(1, b"Nexthop has invalid gateway\0"));
        assert_eq!(sentence(&payload).unwrap(), "Nexthop has invalid gateway");
    }

    #[test]
    fn a_payload_that_ends_early_or_lies_about_lengths_has_no_sentence() {
        let mut whole = vec![0; 16];
        whole.extend(attribute(2, &[0; 4]));
        whole.extend(attribute(1, b"text\0"));
        for end in 0..whole.len() {
            let _ = sentence(&whole[..end]);
        }
        let mut zero = vec![0; 16];
        zero.extend([0, 0, 1, 0]);
        assert_eq!(sentence(&zero), None, "a length below the header's");
        let mut long = vec![0; 16];
        long.extend([255, 255, 1, 0, b'x']);
        assert_eq!(sentence(&long), None);
    }
}
