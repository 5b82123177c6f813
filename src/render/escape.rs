//! Text of strangers made safe to print.

use std::borrow::Cow;

/// `text` with control characters, and the characters that reorder or hide text, spelled out.
///
/// Names of devices, bridges and namespaces come from the system: the user who chose them may not
/// write to our user's terminal.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if hostile(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// As [`escape`], line ends kept: for messages of several lines.
pub fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

fn hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_and_reordering_are_spelled_out() {
        assert_eq!(escape("tap0"), "tap0");
        assert_eq!(escape("a\u{1b}[31mb\tc\n"), "a\\u{1b}[31mb\\tc\\n");
        assert_eq!(escape("\u{202e}x\u{9b}"), "\\u{202e}x\\u{9b}");
        assert_eq!(escape_lines("a\u{7}\nb"), "a\\u{7}\nb");
        assert_eq!(escape("jalapeño"), "jalapeño");
    }
}
