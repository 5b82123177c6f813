//! Columns of fixed layouts, and lines that end before the terminal does.

use std::fmt::{Display, Write};

/// `what` in the middle of `width`; an odd space goes to the left, as VPP's `%=` does it.
pub(super) fn centred(what: impl Display, width: usize) -> String {
    let text = what.to_string();
    let space = width.saturating_sub(text.chars().count());
    let left = space.div_ceil(2);
    format!("{:left$}{text}{:right$}", "", "", right = space - left)
}

/// Lines without spaces at their ends, each ended.
pub(super) fn trimmed(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// `pieces` behind `head`, in lines of at most `columns` unless a piece is longer, and those after
/// the first behind `margin` blanks. `between` stands between two pieces; a line ends with what of it
/// is no blank. Every line is ended.
pub fn wrapped<'a>(
    head: &str,
    pieces: impl IntoIterator<Item = &'a str>,
    between: &str,
    margin: usize,
    columns: usize,
) -> String {
    let (mut text, mut line) = (String::new(), head.to_owned());
    let wide = |text: &str| text.chars().count();
    let mut begun = false;
    for piece in pieces {
        if begun && wide(&line) + wide(between) + wide(piece) > columns {
            text.push_str(&format!("{line}{}\n", between.trim_end()));
            line = " ".repeat(margin);
        } else if begun {
            line.push_str(between);
        }
        line.push_str(piece);
        begun = true;
    }
    text + line.trim_end() + "\n"
}

/// Lines; writing to a String does not fail.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// A line.
    pub(super) fn line(&mut self, what: impl Display) {
        let _ = writeln!(self.0, "{what}");
    }

    /// A line, where there is something to say.
    pub(super) fn some(&mut self, label: &str, what: Option<impl Display>) {
        if let Some(what) = what {
            self.line(format_args!("{label}{what}"));
        }
    }

    /// Lines that are ended.
    pub(super) fn add(&mut self, lines: &str) {
        self.0.push_str(lines);
    }

    /// All of them.
    pub(super) fn lines(self) -> String {
        self.0
    }
}
