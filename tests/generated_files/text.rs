//! The tree's prose as lines of a manual page.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

/// Words that stand for values, set in italics.
pub type Values = Vec<String>;

/// `` `show' `` (in Rust's documentation, `show`) and `--json` in bold, values in italics.
pub fn inline(text: &str, values: &Values) -> Vec<Inline> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        let Some(length) = rest[at + 1..].find(['\'', '`']) else { break };
        words(&rest[..at], values, &mut parts);
        parts.push(bold(&rest[at + 1..at + 1 + length]));
        rest = &rest[at + 2 + length..];
    }
    words(rest, values, &mut parts);
    parts
}

fn words(text: &str, values: &Values, into: &mut Vec<Inline>) {
    for piece in text.split_inclusive(' ') {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
        let (before, after) = piece.split_once(word).unwrap_or((piece, ""));
        let set = if word.len() > 2 && word.starts_with('-') || is_flag(word) {
            bold(word)
        } else if values.iter().any(|value| value == word) {
            italic(word)
        } else {
            roman(word)
        };
        into.extend([roman(before), set, roman(after)]);
    }
}

fn is_flag(word: &str) -> bool {
    word.len() == 2 && word.starts_with('-') && word.ends_with(|c: char| c.is_alphabetic())
}

/// A usage line: literal words in bold, values in italics.
pub fn usage(line: &str) -> Vec<Inline> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let same = |c: char| is_word(c) == is_word(first);
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        parts.push(match word {
            _ if !is_word(first) => roman(word),
            _ if word.chars().any(char::is_lowercase) => bold(word),
            _ if word.starts_with('-') => bold(word),
            _ => italic(word),
        });
        rest = after;
    }
    parts
}

/// Paragraphs. Lines that are indented by two spaces stay lines.
pub fn prose(roff: &mut Roff, text: &str, values: &Values) {
    for (n, paragraph) in text.split("\n\n").enumerate() {
        if n > 0 {
            roff.control("PP", []);
        }
        let mut lines = paragraph.lines().peekable();
        while let Some(line) = lines.next() {
            if let Some(first) = line.strip_prefix("  ") {
                let mut block = vec![first];
                while let Some(next) = lines.peek().and_then(|line| line.strip_prefix("  ")) {
                    block.push(next);
                    lines.next();
                }
                example(roff, block);
                if lines.peek().is_some() {
                    roff.control("PP", []);
                }
            } else {
                roff.text(inline(line, values));
            }
        }
    }
}

/// Lines as they are typed.
pub fn example<'a>(roff: &mut Roff, lines: impl IntoIterator<Item = &'a str>) {
    roff.control("PP", []);
    roff.control("RS", ["4"]);
    roff.control("EX", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("EE", []);
    roff.control("RE", []);
}

/// A term and what is said about it.
pub fn term(roff: &mut Roff, head: Vec<Inline>, text: &str, values: &Values) {
    roff.control("TP", []);
    roff.text(head);
    for (n, paragraph) in text.split("\n\n").enumerate() {
        if n > 0 {
            roff.control("IP", []);
        }
        roff.text(inline(&paragraph.replace('\n', " "), values));
    }
}

/// A heading.
pub fn section(roff: &mut Roff, name: &str) {
    roff.control("SH", [name]);
}
