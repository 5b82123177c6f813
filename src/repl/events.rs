//! Events of interfaces while a line is typed, from the log of the process that holds them.

use crate::api::{Level, LogRow};
use crate::render;

/// The events that were shown already.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The log as it was last seen; none before the first look.
    seen: Option<Vec<LogRow>>,
}

/// The cause of the events since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Other clients: the user has not been told.
    Others,
    /// Also a line of this shell, which has printed its own result.
    Line,
}

impl Events {
    /// Takes the log as it is now; what is new in it, as lines for the person.
    pub(super) fn news(&mut self, rows: Vec<LogRow>, cause: Cause) -> Vec<String> {
        let Some(before) = self.seen.replace(rows) else { return Vec::new() };
        let Some(rows) = &self.seen else { return Vec::new() };
        if rows.is_empty() && !before.is_empty() {
            return vec!["the holder has gone: there are no interfaces any more".to_owned()];
        }
        // The oldest rows of a log are dropped first; another holder has another log.
        let known = before.last().and_then(|last| rows.iter().rposition(|row| row == last));
        let new = &rows[known.map_or(0, |last| last + 1)..];
        let untold = |row: &&LogRow| {
            cause == Cause::Others || row.level == Level::Error || row.text.starts_with("host side")
        };
        let said = |row: &LogRow| format!("{}: {}", row.name, render::escape(&row.text));
        new.iter().filter(untold).map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::IfName;

    fn row(time_ms: u64, level: Level, text: &str) -> LogRow {
        LogRow { time_ms, level, name: IfName::new("tap0").unwrap(), text: text.into() }
    }

    #[test]
    fn only_what_came_since_the_last_look_is_news() {
        let mut events = Events::default();
        let made = row(1, Level::Notice, "created");
        assert!(events.news(vec![made.clone()], Cause::Others).is_empty());
        assert!(events.news(vec![made.clone()], Cause::Others).is_empty());
        let gone = row(2, Level::Error, "host side is gone");
        let rows = vec![made.clone(), gone.clone()];
        assert_eq!(events.news(rows.clone(), Cause::Others), ["tap0: host side is gone"]);
        assert!(events.news(rows, Cause::Others).is_empty());
        // The first rows were forgotten.
        let later = row(3, Level::Notice, "deleted");
        assert_eq!(events.news(vec![gone, later], Cause::Others), ["tap0: deleted"]);
        assert_eq!(events.news(Vec::new(), Cause::Others).len(), 1);
        // Another holder.
        assert_eq!(events.news(vec![made], Cause::Others), ["tap0: created"]);
    }

    #[test]
    fn a_line_has_told_what_it_did_but_not_what_others_did() {
        let mut events = Events::default();
        events.news(Vec::new(), Cause::Line);
        let made = row(1, Level::Notice, "created");
        let gone = row(2, Level::Error, "host side is gone");
        let moved = row(3, Level::Warn, "host side tap0 renamed eth0");
        let news = events.news(vec![made, gone, moved], Cause::Line);
        assert_eq!(news, ["tap0: host side is gone", "tap0: host side tap0 renamed eth0"]);
    }
}
