//! Long output on a terminal, a page at a time.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use crate::sys::{process, terminal};

/// The program that shows pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pager(String);

impl Pager {
    /// `$PAGER`, else less where it is installed; none where stdout or stdin is no terminal, or a
    /// dumb one.
    pub(super) fn of_terminal() -> Option<Self> {
        let smart = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let there = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        if !smart || !there {
            return None;
        }
        let program = match std::env::var("PAGER") {
            Ok(program) => program,
            Err(_) => installed("less")?,
        };
        let useful = !program.trim().is_empty() && program.trim() != "cat";
        useful.then_some(Self(program))
    }

    /// Whether `text` has more lines than the terminal.
    pub(super) fn is_due(&self, text: &str) -> bool {
        // The prompt, too, has a line.
        terminal::size(std::io::stdout()).is_some_and(|(columns, rows)| {
            let rows_of = |line: &str| line.chars().count().max(1).div_ceil(columns);
            text.lines().map(rows_of).sum::<usize>() + 1 > rows
        })
    }

    /// Shows the text and waits until the person has seen enough; whether it could be shown.
    pub(super) fn show(&self, text: &str) -> bool {
        let mut command = Command::new("sh");
        command.args(["-c", &self.0]).stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            // Colours as they are, the last page left on the screen.
            command.env("LESS", "FRX");
        }
        let Ok(mut pager) = process::spawn_unblocked(&mut command) else { return false };
        if let Some(mut pages) = pager.stdin.take() {
            // The user may close the pager before the end.
            let _ = pages.write_all(text.as_bytes());
        }
        // A shell that found no such program says so, and the text is printed after all.
        pager.wait().is_ok_and(|ended| ended.code() != Some(127))
    }
}

fn installed(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let there = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    there.then(|| program.to_owned())
}
