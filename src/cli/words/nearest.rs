//! Which known word a mistyped one was meant to be.

/// The candidate that `word` was probably meant to be, for a `did you mean` line.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let far = if word.len() >= 3 && candidate.starts_with(word) {
            1
        } else {
            distance(word, candidate)
        };
        // A slip shorter than the word keeps something of it.
        let kept = far < candidate.chars().count().min(word.chars().count());
        if kept && far <= limit && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// As [`nearest`], so strict that a name may be refused for it: one edit up to five letters, two
/// above, in three letters only a swap (`tun` is not what `sun` meant), nothing under three. A number in the word that the candidate has not (`gso0`) makes it a
/// name; a dash in it (`host-if`) makes a beginning of a candidate a slip.
pub(super) fn slip<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let digits = |s: &str| s.bytes().filter(u8::is_ascii_digit).count();
    let length = word.chars().count();
    let limit = match length {
        0..=2 => return None,
        3..=5 => 1,
        _ => 2,
    };
    let letters = |s: &str| {
        let mut letters: Vec<char> = s.chars().collect();
        letters.sort_unstable();
        letters
    };
    let swapped = |c: &str| c.len() != 3 || length != 3 || letters(c) == letters(word);
    candidates
        .filter(|c| c.len() > 2 && digits(word) <= digits(c) && swapped(c))
        .map(|candidate| {
            let begins = word.contains('-') && candidate.starts_with(word);
            (if begins { 1 } else { distance(word, candidate) }, candidate)
        })
        .filter(|(far, _)| *far <= limit)
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Arbitrary words may be long; no known word is.
    if a.len().abs_diff(b.len()) > 8 {
        return a.len().max(b.len());
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut now = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(last[j + 1] + 1).min(now[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            now.push(least);
        }
        before = std::mem::replace(&mut last, now);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_a_swap_as_one_edit() {
        for (a, b, far) in [("", "", 0), ("gso", "gso", 0), ("gsoo", "gso", 1), ("sgo", "gso", 1)] {
            assert_eq!(distance(a, b), far, "{a} {b}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn names_with_a_number_and_short_names_are_no_slips() {
        let words = || ["id", "gso", "tun", "gw4", "owner", "host-if-name"].into_iter();
        for name in ["id0", "gso0", "gw", "g", "eth0", "foo", "host", "own", "sun"] {
            assert_eq!(slip(name, words()), None, "{name}");
        }
        assert_eq!(slip("gsoo", words()), Some("gso"));
        assert_eq!(slip("utn", words()), Some("tun"));
        assert_eq!(slip("owned", words()), Some("owner"));
        assert_eq!(slip("host-if", words()), Some("host-if-name"));
        assert_eq!(slip("host-ifname", words()), Some("host-if-name"));
    }
}
