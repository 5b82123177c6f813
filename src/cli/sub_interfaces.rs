//! `create sub-interfaces`, `delete sub-interfaces`, `set interface l2 tag-rewrite`.

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::names;
use crate::api::{InterfaceRef, Request, SubInterfaceRequest};
use crate::diag::Failure;
use crate::units::{
    Encapsulation, IfName, InnerTag, Invalid, TagRewrite, TagType, VlanId, VlanTag, digits,
};

/// A VLAN, or any.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vlan(Option<VlanId>);

fn vlan(text: &str) -> Result<Vlan, Invalid> {
    match text {
        "any" => Ok(Vlan(None)),
        id => id.parse().map(|id| Vlan(Some(id))),
    }
}

/// `ID` or `MIN-MAX`.
fn numbers(text: &str) -> Result<(u32, u32), Invalid> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let wrong = || Invalid(format!("expected ID or ID MIN-MAX, got `{text}'"));
    match (digits(first), digits(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(wrong()),
    }
}

// A comment and no doc: clap would print it as the command's own.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The interface.
    #[arg(value_name = "NAME", add = names::interfaces())]
    name: IfName,
    /// Number of the sub-interface, which is called NAME.ID; or MIN-MAX for one of each.
    #[arg(value_name = "ID", value_parser = numbers)]
    id: (u32, u32),
    /// It takes what no other sub-interface does.
    #[arg(long, conflicts_with_all = ["untagged", "dot1q", "dot1ad", "inner_dot1q", "exact_match"])]
    default: bool,
    /// It takes frames without a tag.
    #[arg(long, conflicts_with_all = ["dot1q", "dot1ad", "inner_dot1q", "exact_match"])]
    untagged: bool,
    /// It takes frames with this outer tag of type 0x8100: a VLAN id 0-4095, or any.
    #[arg(long, value_name = "VLAN", value_parser = vlan, conflicts_with = "dot1ad")]
    dot1q: Option<Vlan>,
    /// The same with an outer tag of type 0x88a8.
    #[arg(long, value_name = "VLAN", value_parser = vlan)]
    dot1ad: Option<Vlan>,
    /// And with this tag of type 0x8100 behind the outer one.
    #[arg(long, value_name = "VLAN", value_parser = vlan)]
    inner_dot1q: Option<Vlan>,
    /// And with no more tags than these.
    #[arg(long)]
    exact_match: bool,
}

impl TryFrom<Create> for Request {
    type Error = Failure;
    fn try_from(args: Create) -> Result<Self, Failure> {
        let Create { name, id: (first, last), .. } = args;
        let inner = args.inner_dot1q.map(|Vlan(id)| id.map_or(InnerTag::Any {}, InnerTag::Id));
        let outer = match (args.dot1q, args.dot1ad) {
            (Some(Vlan(id)), _) => Some((TagType::Dot1q, id)),
            (None, Some(Vlan(id))) => Some((TagType::Dot1ad, id)),
            (None, None) => None,
        };
        let encapsulation = match outer {
            Some((outer_type, outer)) => {
                if matches!((outer, inner), (None, Some(InnerTag::Id(_)))) {
                    return Err(Failure::usage(
                        "inner-dot1q",
                        "with an outer `any' it is `any' too",
                    ));
                }
                let exact_match = args.exact_match;
                Some(Encapsulation::Tagged { outer_type, outer, inner, exact_match })
            }
            None if args.default => Some(Encapsulation::Default {}),
            None if args.untagged => Some(Encapsulation::Untagged {}),
            None if inner.is_some() || args.exact_match => {
                return Err(Failure::usage("", "expected dot1q config"));
            }
            None => None,
        };
        let interface = InterfaceRef::Name(name);
        let request = SubInterfaceRequest::Create { interface, first, last, encapsulation };
        request.check()?;
        Ok(Self::SubInterface(request))
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The sub-interface.
    #[arg(value_name = "NAME.ID", add = names::interfaces())]
    name: IfName,
}

impl From<Delete> for Request {
    fn from(Delete { name }: Delete) -> Self {
        let interface = InterfaceRef::Name(name);
        Self::SubInterface(SubInterfaceRequest::Delete { interface })
    }
}

/// For the words of a tag rewrite.
pub(super) fn operations() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let words = ["disable", "pop", "push", "translate", "dot1q", "dot1ad"];
        words.map(CompletionCandidate::new).into()
    })
}

/// What VPP says of another line.
const EXPECTED: &str = "expecting [disable | pop 1 | pop 2 | push {dot1q|dot1ad} <tag> [<tag>] | translate \
     {1|2}-{1|2} {dot1q|dot1ad} <tag> [<tag>]]";

/// Reads the words behind the interface.
pub(super) fn rewrite(words: &[String]) -> Result<TagRewrite, Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let wrong = || {
        let got = crate::render::escape(&words.join(" ")).into_owned();
        Failure::usage("", format!("{EXPECTED} but got `{got}'"))
    };
    let (pop, count, tags) = match words.as_slice() {
        ["disable"] => (0, 0..=0, &[][..]),
        ["pop", "1"] => (1, 0..=0, &[][..]),
        ["pop", "2"] => (2, 0..=0, &[][..]),
        ["push", tags @ ..] => (0, 1..=2, tags),
        ["translate", "1-1", tags @ ..] => (1, 1..=1, tags),
        ["translate", "1-2", tags @ ..] => (1, 2..=2, tags),
        ["translate", "2-1", tags @ ..] => (2, 1..=1, tags),
        ["translate", "2-2", tags @ ..] => (2, 2..=2, tags),
        _ => return Err(wrong()),
    };
    let mut push = Vec::new();
    if let [outer, ids @ ..] = tags {
        let mut kind = match *outer {
            "dot1q" => TagType::Dot1q,
            "dot1ad" => TagType::Dot1ad,
            _ => return Err(wrong()),
        };
        for id in ids {
            let id = id.parse::<VlanId>().map_err(|why| Failure::usage(*id, why.0))?;
            push.push(VlanTag { kind, id });
            kind = TagType::Dot1q;
        }
    }
    if count.contains(&push.len()) { Ok(TagRewrite { pop, push }) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_is_read_as_vpp_spells_it_and_all_else_is_refused_with_what_is_expected() {
        let read = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            rewrite(&words).map(|rewrite| rewrite.to_string())
        };
        for (line, shown) in [
            ("disable", "none"),
            ("pop 1", "pop-1"),
            ("pop 2", "pop-2"),
            ("push dot1q 10", "push-1 dot1q 10"),
            ("push dot1ad 10 20", "push-2 dot1ad 10 20"),
            ("translate 1-1 dot1ad 5", "trans-1-1 dot1ad 5"),
            ("translate 2-2 dot1q 5 6", "trans-2-2 dot1q 5 6"),
        ] {
            assert_eq!(read(line).unwrap(), shown);
        }
        for bad in [
            "",
            "pop",
            "pop 3",
            "push",
            "push dot1q",
            "push vlan 5",
            "translate 1-2 dot1q 5",
            "off",
        ] {
            let failure = read(bad).unwrap_err().to_string();
            assert!(failure.contains(&format!("but got `{bad}'")), "{failure}");
        }
        assert!(read("push dot1q 4096").unwrap_err().to_string().contains("4096"));
    }

    #[test]
    fn numbers_are_one_or_a_range() {
        assert_eq!(numbers("10"), Ok((10, 10)));
        assert_eq!(numbers("10-12"), Ok((10, 12)));
        for bad in ["", "x", "12-10", "-1", "1-", "1-2-3"] {
            assert!(numbers(bad).is_err(), "{bad}");
        }
    }
}
