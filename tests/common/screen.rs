//! What a program writes to a terminal, as text and as it stands on the screen.

use std::fmt;
use std::num::NonZeroU16;

/// In [`Seen::text`], where the line editor begins to read keys: the terminal is in its hands.
pub const READS: &str = "\u{2}";

/// In [`Seen::text`], where the line editor has its line: the terminal is as it was before.
pub const TAKEN: &str = "\u{3}";

/// What the editor sends there: bracketed paste on and off.
const MARKS: [(&str, &str); 2] = [("\x1b[?2004h", READS), ("\x1b[?2004l", TAKEN)];

/// How much of what came a failed test shows, bytes.
const REPORTED: usize = 3000;

/// All that came so far.
pub struct Seen {
    /// As it came.
    pub raw: Vec<u8>,
    /// Without escape sequences and carriage returns; [`READS`] and [`TAKEN`] where they were.
    pub text: String,
    /// No more will come.
    pub closed: bool,
    /// The beginning of what is not whole yet.
    part: Vec<u8>,
    terminal: vt100::Parser,
}

impl Default for Seen {
    fn default() -> Self {
        Self::new((24, 80))
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("text", &self.text).finish_non_exhaustive()
    }
}

impl Seen {
    /// Nothing, on a terminal of so many rows and columns.
    pub fn new(size: (u16, u16)) -> Self {
        let (rows, columns) = positive(size);
        Self {
            raw: Vec::new(),
            text: String::new(),
            closed: false,
            part: Vec::new(),
            terminal: vt100::Parser::new(rows, columns, 0),
        }
    }

    /// The terminal is of this size from now on.
    pub fn resize(&mut self, size: (u16, u16)) {
        let (rows, columns) = positive(size);
        self.terminal.screen_mut().set_size(rows, columns);
    }

    /// More has come.
    pub fn take(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.terminal.process(bytes);
        for byte in bytes {
            self.part.push(*byte);
            if let Some(text) = whole(&self.part) {
                self.text.push_str(&text);
                self.part.clear();
            }
        }
    }

    /// The screen, a line a row; one that goes on in the next row is joined with it.
    pub fn screen(&self) -> String {
        self.terminal.screen().contents()
    }

    /// The row with the cursor, without the blanks at its end.
    pub fn typed(&self) -> String {
        let screen = self.terminal.screen();
        let (row, _) = screen.cursor_position();
        let (_, columns) = screen.size();
        let line = screen.rows(0, columns.get()).nth(row.into()).unwrap_or_default();
        line.trim_end().to_owned()
    }

    /// For a test that failed: the end of what came, and the screen.
    pub fn report(&self) -> String {
        let end = &self.raw[self.raw.len().saturating_sub(REPORTED)..];
        let end = String::from_utf8_lossy(end).escape_debug().to_string().replace("\\n", "\n");
        format!("... {end}\n--- the screen:\n{}\n---", self.screen())
    }
}

/// What a sequence of bytes means as text, once it is whole.
fn whole(part: &[u8]) -> Option<String> {
    match part {
        [b'\r'] => Some(String::new()),
        [0x1b] | [0x1b, b'['] => None,
        [0x1b, b'[', .., last] if !(0x40..=0x7e).contains(last) => None,
        [0x1b, ..] => {
            let mark = MARKS.iter().find(|(sent, _)| sent.as_bytes() == part);
            Some(mark.map(|(_, mark)| (*mark).to_owned()).unwrap_or_default())
        }
        _ => match std::str::from_utf8(part) {
            Ok(text) => Some(text.to_owned()),
            Err(e) if e.error_len().is_none() => None,
            Err(_) => Some(char::REPLACEMENT_CHARACTER.to_string()),
        },
    }
}

fn positive((rows, columns): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap())
}
