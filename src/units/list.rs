//! Sets of small numbers, written as lists.

use std::fmt;
use std::str::FromStr;

use super::{Invalid, digits, invalid};

const WORDS: usize = 16;

/// Numbers of processors, or of pollers: 0…1023, each once, written `0,2-4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NumberList([u64; WORDS]);

impl NumberList {
    /// The first number that is too large.
    pub const END: u16 = 1024;

    /// A list of one number; empty if it is too large.
    #[must_use]
    pub fn of(number: u16) -> Self {
        let mut list = Self::default();
        list.insert(number);
        list
    }

    /// With one more; as it is if that is too large.
    #[must_use]
    pub fn with(mut self, number: u16) -> Self {
        self.insert(number);
        self
    }

    fn insert(&mut self, number: u16) {
        if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: u16) -> bool {
        self.0.get(usize::from(number / 64)).is_some_and(|word| word & 1 << (number % 64) != 0)
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (0..Self::END).filter(|number| self.contains(*number))
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.0.iter().map(|word| word.count_ones()).sum::<u32>()).unwrap_or(u16::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for NumberList {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        let mut list = Self::default();
        let number = |text: &str| digits(text).filter(|number| *number < Self::END);
        for piece in s.split(',') {
            let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => {
                    (first..=last).for_each(|number| list.insert(number));
                }
                _ => return invalid("not a list of numbers between 0 and 1023 (0,2-4)"),
            }
        }
        Ok(list)
    }
}

impl fmt::Display for NumberList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_as_it_is_written_ascending_and_each_number_once() {
        for (written, shown, count) in [
            ("0", "0", 1),
            ("3,1", "1,3", 2),
            ("2-4,3,7", "2-4,7", 4),
            ("1023", "1023", 1),
            ("62-66", "62-66", 5),
        ] {
            let list: NumberList = written.parse().unwrap();
            assert_eq!((list.to_string().as_str(), list.count()), (shown, count));
            assert_eq!(shown.parse(), Ok(list));
        }
        assert!(NumberList::default().is_empty() && NumberList::of(1024).is_empty());
        for bad in ["", ",", "1,", "4-2", "1024", "0-1024", "a", "-1", "+1", "1 2"] {
            assert!(bad.parse::<NumberList>().is_err(), "{bad}");
        }
    }
}
