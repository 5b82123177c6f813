//! Which known word a mistyped one was meant to be.

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn edits(word: &str, candidate: &str) -> usize {
    // A word may be as long as a line; no candidate is.
    let (a, b) = (word.chars().count(), candidate.chars().count());
    if a.abs_diff(b) > 8 { a.max(b) } else { strsim::osa_distance(word, candidate) }
}

/// The candidate that `word` was probably meant to be, for a `did you mean` line.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let far =
            if word.len() >= 3 && candidate.starts_with(word) { 1 } else { edits(word, candidate) };
        // A slip shorter than the word keeps something of it.
        let kept = far < candidate.chars().count().min(word.chars().count());
        if kept && far <= limit && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// As [`nearest`], so strict that a name may be refused for it: one edit up to five letters, `most`
/// above, in three letters only a swap (`tun` is not what `sun` meant), nothing under three. A number
/// in the word that the candidate has not (`gso0`) makes it a name; a dash in it (`host-if`) makes a
/// beginning of a candidate a slip.
pub(super) fn slip<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
    most: usize,
) -> Option<&'a str> {
    let length = word.chars().count();
    let limit = match length {
        0..=2 => return None,
        3..=5 => 1,
        _ => most,
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
            (if begins { 1 } else { edits(word, candidate) }, candidate)
        })
        .filter(|(far, _)| *far <= limit)
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// The candidate that is one edit away, none of its figures.
pub(super) fn one_edit<'a>(
    word: &str,
    mut candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates.find(|candidate| edits(word, candidate) == 1 && digits(word) == digits(candidate))
}

fn digits(s: &str) -> usize {
    s.bytes().filter(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_number_and_short_names_are_no_slips() {
        let words = || ["id", "gso", "tun", "gw4", "owner", "host-if-name"].into_iter();
        for name in ["id0", "gso0", "gw", "g", "eth0", "foo", "host", "own", "sun"] {
            assert_eq!(slip(name, words(), 2), None, "{name}");
        }
        assert_eq!(slip("gsoo", words(), 2), Some("gso"));
        assert_eq!(slip("utn", words(), 2), Some("tun"));
        assert_eq!(slip("owned", words(), 2), Some("owner"));
        assert_eq!(slip("host-if", words(), 2), Some("host-if-name"));
        assert_eq!(slip("host-ifname", words(), 2), Some("host-if-name"));
    }
}
