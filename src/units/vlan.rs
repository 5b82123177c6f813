//! VLAN tags: which frames a sub-interface takes, and what a tag rewrite does with them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Invalid, digits, invalid};

/// The number of a VLAN: 0…4095, as VPP takes it; IEEE 802.1Q gives 0 and 4095 no VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct VlanId(u16);

impl VlanId {
    /// Checks `id`.
    ///
    /// # Errors
    /// When it has more than 12 bits.
    pub fn new(id: u64) -> Result<Self, Invalid> {
        match u16::try_from(id) {
            Ok(n) if n < 4096 => Ok(Self(n)),
            _ => invalid("not a VLAN id between 0 and 4095"),
        }
    }

    /// The id in a tag's control information (TCI).
    pub const fn of_tci(tci: u16) -> Self {
        Self(tci & 0xfff)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for VlanId {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        match digits(s) {
            Some(n) => Self::new(n),
            None => invalid("not a VLAN id between 0 and 4095"),
        }
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ethertype of a VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagType {
    /// 0x8100, a customer's tag.
    Dot1q,
    /// 0x88a8, a provider's tag.
    Dot1ad,
}

impl TagType {
    /// The ethertype.
    pub const fn ether_type(self) -> u16 {
        match self {
            Self::Dot1q => 0x8100,
            Self::Dot1ad => 0x88a8,
        }
    }

    /// The type of tag that this ethertype announces.
    pub const fn of_ether_type(ether_type: u16) -> Option<Self> {
        match ether_type {
            0x8100 => Some(Self::Dot1q),
            0x88a8 => Some(Self::Dot1ad),
            _ => None,
        }
    }

    /// As commands spell it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dot1q => "dot1q",
            Self::Dot1ad => "dot1ad",
        }
    }
}

/// A VLAN tag without its priority bits, which are zero where a tag is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VlanTag {
    /// Its ethertype.
    #[serde(rename = "type")]
    pub kind: TagType,
    /// Its VLAN.
    pub id: VlanId,
}

impl VlanTag {
    /// Bytes of a tag in a frame.
    pub const BYTES: usize = 4;

    /// The tag as it lies in a frame: ethertype, then control information.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        let [a, b] = self.kind.ether_type().to_be_bytes();
        let [c, d] = self.id.0.to_be_bytes();
        [a, b, c, d]
    }
}

/// Most tags that a rewrite removes, and most that it adds.
pub const REWRITTEN_TAGS_MAX: usize = 2;

/// What is done with the tags of each received frame: the outermost `pop` are removed, then `push`
/// are put in front, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRewrite {
    /// Tags to remove, at most 2.
    pub pop: u8,
    /// Tags to add, at most 2.
    pub push: Vec<VlanTag>,
}

impl TagRewrite {
    /// What undoes it where the removed tags were these, outermost first.
    #[must_use]
    pub fn reverse(&self, removed: &[VlanTag]) -> Self {
        Self {
            pop: u8::try_from(self.push.len()).unwrap_or(0),
            push: removed.iter().take(self.pop.into()).copied().collect(),
        }
    }

    /// Whether it does nothing.
    pub fn is_none(&self) -> bool {
        self.pop == 0 && self.push.is_empty()
    }
}

/// As VPP's `show bridge-domain detail` words it.
impl fmt::Display for TagRewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match (self.pop, self.push.as_slice()) {
            (0, []) => "none".to_owned(),
            (pop, []) => format!("pop-{pop}"),
            (pop, push @ [first, ..]) => {
                let ids = push.iter().map(|tag| tag.id.to_string()).collect::<Vec<_>>().join(" ");
                let op = match pop {
                    0 => format!("push-{}", push.len()),
                    _ => format!("trans-{pop}-{}", push.len()),
                };
                format!("{op} {} {ids}", first.kind.word())
            }
        };
        f.pad(&words)
    }
}

/// Which frames of an interface are a sub-interface's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Encapsulation {
    /// Those that no other sub-interface takes.
    Default {},
    /// Those without a tag.
    Untagged {},
    /// Those of a VLAN.
    Tagged {
        /// Type of the outer tag.
        outer_type: TagType,
        /// VLAN of the outer tag; none is any.
        outer: Option<VlanId>,
        /// The inner tag, whose type is dot1q; none where one tag is enough.
        inner: Option<InnerTag>,
        /// There are no more tags than these.
        exact_match: bool,
    },
}

/// An inner tag that a frame must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InnerTag {
    /// Of any VLAN.
    Any {},
    /// Of this VLAN.
    Id(VlanId),
}

impl Encapsulation {
    /// What VPP makes of a number alone: exactly one dot1q tag of that VLAN.
    pub const fn of_number(id: VlanId) -> Self {
        let outer_type = TagType::Dot1q;
        Self::Tagged { outer_type, outer: Some(id), inner: None, exact_match: true }
    }

    /// The tags whose VLANs are given, outermost first: as many as a rewrite may remove, and what it
    /// puts back on the way out.
    pub fn known_tags(&self) -> Vec<VlanTag> {
        let Self::Tagged { outer_type, outer: Some(outer), inner, .. } = *self else {
            return Vec::new();
        };
        let mut tags = vec![VlanTag { kind: outer_type, id: outer }];
        if let Some(InnerTag::Id(id)) = inner {
            tags.push(VlanTag { kind: TagType::Dot1q, id });
        }
        tags
    }
}

/// As `create sub-interfaces` takes it.
impl fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outer_type, outer, inner, exact) = match *self {
            Self::Default {} => return f.write_str("default"),
            Self::Untagged {} => return f.write_str("untagged"),
            Self::Tagged { outer_type, outer, inner, exact_match } => {
                (outer_type, outer, inner, exact_match)
            }
        };
        write!(f, "{} ", outer_type.word())?;
        match outer {
            Some(id) => id.fmt(f)?,
            None => f.write_str("any")?,
        }
        match inner {
            None => {}
            Some(InnerTag::Any {}) => f.write_str(" inner-dot1q any")?,
            Some(InnerTag::Id(id)) => write!(f, " inner-dot1q {id}")?,
        }
        if exact { f.write_str(" exact-match") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: TagType, id: u64) -> VlanTag {
        VlanTag { kind, id: VlanId::new(id).unwrap() }
    }

    #[test]
    fn vlan_ids_end_at_4095() {
        assert_eq!(["0", "4095"].map(|s| s.parse().map(VlanId::get).ok()), [Some(0), Some(4095)]);
        for bad in ["4096", "-1", "", "x", "65546"] {
            assert!(bad.parse::<VlanId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rewrite_is_undone_with_the_tags_that_it_removed() {
        let (outer, inner) = (tag(TagType::Dot1ad, 5), tag(TagType::Dot1q, 6));
        let new = tag(TagType::Dot1q, 9);
        let there = TagRewrite { pop: 2, push: vec![new] };
        let back = there.reverse(&[outer, inner]);
        assert_eq!(back, TagRewrite { pop: 1, push: vec![outer, inner] });
        assert_eq!(back.reverse(&[new]), there);
        assert_eq!(there.to_string(), "trans-2-1 dot1q 9");
        assert_eq!(TagRewrite { pop: 1, push: Vec::new() }.to_string(), "pop-1");
        assert_eq!(
            TagRewrite { pop: 0, push: vec![outer, inner] }.to_string(),
            "push-2 dot1ad 5 6"
        );
        assert_eq!(TagRewrite::default().to_string(), "none");
    }

    #[test]
    fn an_encapsulation_reads_as_the_command_takes_it_and_knows_the_tags_that_are_given() {
        let id = |n| VlanId::new(n).unwrap();
        let number = Encapsulation::of_number(id(10));
        assert_eq!(number.to_string(), "dot1q 10 exact-match");
        assert_eq!(number.known_tags(), [tag(TagType::Dot1q, 10)]);
        let both = Encapsulation::Tagged {
            outer_type: TagType::Dot1ad,
            outer: Some(id(100)),
            inner: Some(InnerTag::Id(id(200))),
            exact_match: false,
        };
        assert_eq!(both.to_string(), "dot1ad 100 inner-dot1q 200");
        assert_eq!(both.known_tags(), [tag(TagType::Dot1ad, 100), tag(TagType::Dot1q, 200)]);
        let any = Encapsulation::Tagged {
            outer_type: TagType::Dot1q,
            outer: None,
            inner: Some(InnerTag::Any {}),
            exact_match: true,
        };
        assert_eq!(any.to_string(), "dot1q any inner-dot1q any exact-match");
        assert!(any.known_tags().is_empty());
    }
}
