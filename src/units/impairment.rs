//! What an impaired wire does to the frames of one direction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Invalid, digits, invalid};

/// Reads a decimal number times `scale`; none where it has more digits than that makes whole.
fn scaled(text: &str, scale: u64) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || (part.is_empty() && text.contains('.')) {
        return None;
    }
    let whole: u64 = digits(whole)?;
    let mut total = whole.checked_mul(scale)?;
    let mut unit = scale;
    for digit in part.bytes() {
        let digit = u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        if digit > 0 && !unit.is_multiple_of(10) {
            return None;
        }
        unit /= 10;
        total = total.checked_add(digit * unit)?;
    }
    Some(total)
}

/// The number in front of the letters, and the letters.
fn number_and_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

/// Prints a number in the largest of these units that makes it whole.
fn in_whole(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let unit = units.iter().find(|(_, unit)| value.is_multiple_of(*unit));
    let (name, unit) = unit.copied().unwrap_or(("", 1));
    write!(f, "{}{name}", value / unit)
}

/// A time that a frame takes, 0…60 s, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Delay(u64);

impl Delay {
    const MAX_NS: u64 = 60_000_000_000;
    const UNITS: [(&'static str, u64); 4] =
        [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

    /// Checks `ns`.
    ///
    /// # Errors
    /// When it is above 60 s.
    pub fn new(ns: u64) -> Result<Self, Invalid> {
        match ns {
            0..=Self::MAX_NS => Ok(Self(ns)),
            _ => invalid("not a time between 0ms and 60s, as 10ms"),
        }
    }

    /// Nanoseconds.
    pub const fn ns(self) -> u64 {
        self.0
    }
}

impl FromStr for Delay {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        let (number, unit) = number_and_unit(s);
        let unit = match unit {
            "sec" | "secs" => "s",
            "usec" | "usecs" => "us",
            "msec" | "msecs" => "ms",
            unit => unit,
        };
        let scale = Self::UNITS.iter().find(|(name, _)| *name == unit);
        // What is too large for the number is too long, too.
        let ns = scale.and_then(|(_, scale)| scaled(number, *scale));
        Self::new(ns.unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0ms"),
            ns => in_whole(f, ns, &Self::UNITS),
        }
    }
}

/// A share of frames, in billionths: 0 is none, 1000000000 all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Share(u32);

impl Share {
    /// Billionths of the whole.
    pub const WHOLE: u32 = 1_000_000_000;
    const PERCENT: u64 = 10_000_000;

    /// Checks a number of billionths.
    ///
    /// # Errors
    /// When it is more than all.
    pub fn new(billionths: u64) -> Result<Self, Invalid> {
        match u32::try_from(billionths) {
            Ok(n) if n <= Self::WHOLE => Ok(Self(n)),
            _ => invalid("not a percentage between 0% and 100%, as 0.1%"),
        }
    }

    /// One frame in `frames`; none of 0.
    pub fn one_in(frames: u32) -> Self {
        Self(Self::WHOLE.checked_div(frames).unwrap_or(0))
    }

    /// Billionths.
    pub const fn billionths(self) -> u32 {
        self.0
    }

    /// Whether it is no frame at all.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Share {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        let percent = s.strip_suffix('%').and_then(|number| scaled(number, Self::PERCENT));
        Self::new(percent.unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (u64::from(self.0) / Self::PERCENT, u64::from(self.0) % Self::PERCENT);
        if part == 0 {
            return write!(f, "{whole}%");
        }
        write!(f, "{whole}.{}%", format!("{part:07}").trim_end_matches('0'))
    }
}

/// Bits in a second, 1 kbit…1000 Gbit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(u64);

impl BitRate {
    const UNITS: [(&'static str, u64); 4] =
        [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

    /// Checks a number of bits in a second.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn new(bits: u64) -> Result<Self, Invalid> {
        match bits {
            1_000..=1_000_000_000_000 => Ok(Self(bits)),
            _ => invalid("not a rate between 1kbit and 1000Gbit, as 100Mbit"),
        }
    }

    /// Bits in a second.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl FromStr for BitRate {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        let (number, unit) = number_and_unit(s);
        let scale = Self::UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let bits = scale.and_then(|(_, scale)| scaled(number, *scale));
        Self::new(bits.unwrap_or(0))
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_whole(f, self.0, &Self::UNITS)
    }
}

/// What a wire does to the frames of one direction, in the order in which it does it. Without any of
/// it the wire is a plain one.
///
/// As text and as JSON the values are spelled as in the options of `xconnect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Impairment {
    /// Frames that are lost.
    #[serde(skip_serializing_if = "is_default")]
    pub loss: Share,
    /// Frames that come twice.
    #[serde(skip_serializing_if = "is_default")]
    pub duplicate: Share,
    /// Frames of which one bit is flipped.
    #[serde(skip_serializing_if = "is_default")]
    pub corrupt: Share,
    /// How fast the wire takes frames; the others wait for it.
    #[serde(skip_serializing_if = "is_default")]
    pub rate: Option<BitRate>,
    /// How long a frame is on the wire.
    #[serde(skip_serializing_if = "is_default")]
    pub delay: Delay,
    /// How much more or less than `delay` that may be. Frames keep their order.
    #[serde(skip_serializing_if = "is_default")]
    pub jitter: Delay,
    /// Frames that skip the delay, and so overtake others.
    #[serde(skip_serializing_if = "is_default")]
    pub reorder: Share,
    /// Most frames on the wire, waiting for the rate or for the end of the delay.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: Option<u32>,
    /// First state of the random numbers. With the same one, the same frames of a sequence are
    /// lost, doubled and so on.
    #[serde(skip_serializing_if = "is_default")]
    pub seed: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Impairment {
    /// Whether it leaves frames as they are.
    pub fn is_none(&self) -> bool {
        *self == Self { limit: self.limit, seed: self.seed, ..Self::default() }
    }

    /// Whether frames may have to wait.
    pub const fn holds(&self) -> bool {
        self.rate.is_some() || self.delay.ns() > 0
    }

    /// Checks the values against each other.
    ///
    /// # Errors
    /// Why they do not go together, in the words of the options.
    pub fn check(&self) -> Result<(), Invalid> {
        let draws = [self.loss, self.duplicate, self.corrupt, self.reorder];
        let random = self.jitter.ns() > 0 || draws.iter().any(|share| !share.is_none());
        if self.jitter > self.delay {
            return invalid("`jitter' may not be more than `delay'");
        }
        if !self.reorder.is_none() && self.delay.ns() == 0 {
            return invalid("`reorder' needs a `delay', which some frames then skip");
        }
        if self.limit.is_some() && self.rate.is_none() && self.delay.ns() == 0 {
            return invalid("`limit' needs a `delay' or a `rate', for which frames wait");
        }
        if self.limit == Some(0) {
            return invalid("`limit' is at least 1");
        }
        if self.seed.is_some() && !random {
            return invalid(
                "`seed' needs something random: loss, duplicate, corrupt, reorder, jitter",
            );
        }
        Ok(())
    }

    /// The same for the other direction of a wire: its random numbers are others.
    #[must_use]
    pub fn of_other_direction(&self) -> Self {
        Self { seed: self.seed.map(|seed| seed.wrapping_add(1)), ..*self }
    }
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        let time = |name, value: Delay| (value.ns() > 0).then(|| format!("{name} {value}"));
        let share = |name, value: Share| (!value.is_none()).then(|| format!("{name} {value}"));
        words.extend(time("delay", self.delay));
        words.extend(time("jitter", self.jitter));
        words.extend(share("loss", self.loss));
        words.extend(share("duplicate", self.duplicate));
        words.extend(share("reorder", self.reorder));
        words.extend(share("corrupt", self.corrupt));
        words.extend(self.rate.map(|rate| format!("rate {rate}")));
        words.extend(self.limit.map(|limit| format!("limit {limit}")));
        words.extend(self.seed.map(|seed| format!("seed {seed}")));
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(text: &str) -> Result<u64, Invalid> {
        text.parse().map(Delay::ns)
    }

    fn share(text: &str) -> Result<u32, Invalid> {
        text.parse().map(Share::billionths)
    }

    fn rate(text: &str) -> Result<u64, Invalid> {
        text.parse().map(BitRate::bits)
    }

    #[test]
    fn values_are_read_exactly_and_print_as_they_are_read_again() {
        for (text, ns) in
            [("10ms", 10_000_000), ("1.5ms", 1_500_000), ("0.25us", 250), ("60s", 60_000_000_000)]
        {
            assert_eq!(delay(text), Ok(ns), "{text}");
            assert_eq!(delay(&Delay(ns).to_string()), Ok(ns));
        }
        for (text, billionths) in [
            ("1%", 10_000_000),
            ("0.01%", 100_000),
            ("0.0000001%", 1),
            ("100%", 1_000_000_000),
            ("0%", 0),
        ] {
            assert_eq!(share(text), Ok(billionths), "{text}");
            assert_eq!(Share(billionths).to_string(), text);
        }
        for (text, bits) in [
            ("100Mbit", 100_000_000),
            ("2.5gbit", 2_500_000_000),
            ("64kbit", 64_000),
            ("1000Gbit", 1_000_000_000_000),
        ] {
            assert_eq!(rate(text), Ok(bits), "{text}");
            assert_eq!(rate(&BitRate(bits).to_string()), Ok(bits));
        }
    }

    #[test]
    fn what_is_no_value_is_refused_and_nothing_is_rounded() {
        for bad in [
            "",
            "10",
            "ms",
            "-1ms",
            "1e3ms",
            "61s",
            "1.ms",
            ".5ms",
            "0.5ns",
            "1 ms",
            "99999999999999999999s",
        ] {
            assert!(delay(bad).is_err(), "{bad}");
        }
        for bad in ["", "1", "%", "101%", "100.0000001%", "0.00000001%", "-1%", "1%%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
        for bad in ["", "100", "1bit", "100MB", "1001Gbit", "0kbit", "mbit"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert_eq!((Share::one_in(0), Share::one_in(4)), (Share(0), Share(250_000_000)));
    }

    #[test]
    fn values_that_do_not_go_together_are_named() {
        let of = |change: fn(&mut Impairment)| {
            let mut impairment = Impairment::default();
            change(&mut impairment);
            impairment
        };
        let refused = |change| of(change).check().unwrap_err().0;
        assert!(refused(|i| i.jitter = Delay(1)).contains("`jitter'"));
        assert!(refused(|i| i.reorder = Share(1)).contains("`reorder'"));
        assert!(refused(|i| i.limit = Some(5)).contains("`limit'"));
        assert!(refused(|i| i.seed = Some(5)).contains("`seed'"));
        assert!(refused(|i| (i.delay, i.limit) = (Delay(1), Some(0))).contains("`limit'"));
        assert!(of(|i| (i.seed, i.limit) = (Some(1), Some(2))).is_none());
        let all = of(|i| {
            *i = Impairment {
                loss: Share(10_000_000),
                duplicate: Share(1_000_000),
                corrupt: Share(100_000),
                rate: Some(BitRate(100_000_000)),
                delay: Delay(10_000_000),
                jitter: Delay(2_000_000),
                reorder: Share(10_000_000),
                limit: Some(500),
                seed: Some(7),
            }
        });
        assert_eq!(all.check(), Ok(()));
        assert_eq!(
            all.to_string(),
            "delay 10ms jitter 2ms loss 1% duplicate 0.1% reorder 1% corrupt 0.01% rate 100Mbit \
             limit 500 seed 7"
        );
        assert_eq!(all.of_other_direction().seed, Some(8));
        let json = serde_json::to_value(all).unwrap();
        assert_eq!(json["delay"], "10ms");
        assert_eq!(serde_json::from_value::<Impairment>(json).unwrap(), all);
        assert_eq!(serde_json::to_value(Impairment::default()).unwrap(), serde_json::json!({}));
    }
}
