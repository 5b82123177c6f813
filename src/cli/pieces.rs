//! A line cut into words as a shell cuts it, each with where it stands, which shlex does not tell.

use std::ops::Range;

/// A word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its bytes in the line, quotes included.
    pub at: Range<usize>,
    /// The word, quotes and escapes taken away.
    pub word: String,
    /// Whether there were none.
    pub plain: bool,
}

/// A line's words, and whether its last quote or escape has an end.
pub(super) fn split(line: &str) -> (Vec<Piece>, bool) {
    let mut pieces = Vec::new();
    let mut chars = line.char_indices().peekable();
    while let Some(&(begin, c)) = chars.peek() {
        match c {
            ' ' | '\t' | '\n' => {
                chars.next();
                continue;
            }
            '#' => {
                while chars.next_if(|(_, c)| *c != '\n').is_some() {}
                continue;
            }
            _ => {}
        }
        let (mut word, mut plain, mut whole) = (String::new(), true, true);
        while let Some((_, c)) = chars.next_if(|(_, c)| !matches!(c, ' ' | '\t' | '\n')) {
            match c {
                '\\' => {
                    plain = false;
                    match chars.next() {
                        Some((_, '\n')) => {}
                        Some((_, escaped)) => word.push(escaped),
                        None => whole = false,
                    }
                }
                '\'' | '"' => {
                    plain = false;
                    whole = quoted(&mut chars, c, &mut word);
                }
                c => word.push(c),
            }
        }
        let end = chars.peek().map_or(line.len(), |(at, _)| *at);
        pieces.push(Piece { at: begin..end, word, plain });
        if !whole {
            return (pieces, false);
        }
    }
    (pieces, true)
}

/// The words of a line; none where its last quote or escape has no end.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let (pieces, whole) = split(line);
    whole.then(|| pieces.into_iter().map(|piece| piece.word).collect())
}

/// Reads to the end of a quote; whether there is one.
fn quoted(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    quote: char,
    word: &mut String,
) -> bool {
    while let Some((_, c)) = chars.next() {
        match c {
            c if c == quote => return true,
            '\\' if quote == '"' => match chars.next() {
                Some((_, c @ ('$' | '`' | '"' | '\\'))) => word.push(c),
                Some((_, '\n')) => {}
                Some((_, c)) => word.extend(['\\', c]),
                None => return false,
            },
            c => word.push(c),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_piece_knows_where_it_stands() {
        let (pieces, whole) = split("create  'tap 0' gs");
        let at: Vec<_> = pieces.iter().map(|p| (p.at.clone(), &*p.word, p.plain)).collect();
        assert_eq!(at, [(0..6, "create", true), (8..15, "tap 0", false), (16..18, "gs", true)]);
        assert!(whole);
        assert!(!split("exec 'a b").1);
    }

    proptest! {
        #[test]
        fn words_are_those_that_scripts_have(line in "[a-c \t\\\\'\"#$`\u{e9}\n]{0,12}") {
            let (pieces, whole) = split(&line);
            prop_assert_eq!(shlex::split(&line), words(&line));
            prop_assert_eq!(whole, words(&line).is_some());
            for piece in pieces.iter().filter(|piece| piece.plain) {
                prop_assert_eq!(&line[piece.at.clone()], &piece.word);
            }
        }
    }
}
