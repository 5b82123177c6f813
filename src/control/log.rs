//! The last events of interfaces.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::api::{Answers, Level, LogRow, Outcome, Reply};
use crate::units::IfName;

/// Events that are kept, as many as VPP keeps.
const ROWS: usize = 512;

/// The last events, oldest first, and the channel for new ones.
#[derive(Debug)]
pub(super) struct Log {
    rows: VecDeque<LogRow>,
    listeners: broadcast::Sender<LogRow>,
}

impl Default for Log {
    fn default() -> Self {
        Self { rows: VecDeque::new(), listeners: broadcast::Sender::new(ROWS) }
    }
}

impl Log {
    /// Adds an event that happened now.
    pub(super) fn add(&mut self, level: Level, name: &IfName, text: impl Into<String>) {
        if self.rows.len() == ROWS {
            self.rows.pop_front();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let row = LogRow { time_ms, level, name: name.clone(), text: text.into() };
        // There may be no receiver.
        let _ = self.listeners.send(row.clone());
        self.rows.push_back(row);
    }

    /// All of them.
    pub(super) fn rows(&self) -> Vec<LogRow> {
        self.rows.iter().cloned().collect()
    }

    /// Events from now on, each as an answer. Who falls 512 events behind misses some, and is told
    /// how many.
    pub(super) fn listen(&self) -> Answers {
        let next = |mut events: broadcast::Receiver<LogRow>| async {
            let (rows, notices) = match events.recv().await {
                Ok(row) => (vec![row], Vec::new()),
                Err(RecvError::Lagged(missed)) => {
                    (Vec::new(), vec![format!("{missed} events were missed: they came too fast")])
                }
                Err(RecvError::Closed) => return None,
            };
            Some((Ok(Outcome { reply: Reply::Logging(rows), notices }), events))
        };
        Answers::new(stream::unfold(self.listeners.subscribe(), next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_falls_behind_is_told_how_many_events_it_missed_and_hears_the_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut log, name) = (Log::default(), IfName::new("tap0").unwrap());
        let mut events = log.listen();
        for i in 0..ROWS + 3 {
            log.add(Level::Notice, &name, format!("event {i}"));
        }
        let first = runtime.block_on(events.next()).unwrap().unwrap();
        assert_eq!(first.notices, ["3 events were missed: they came too fast"]);
        for i in 3..ROWS + 3 {
            let Reply::Logging(rows) = runtime.block_on(events.next()).unwrap().unwrap().reply
            else {
                panic!("not an event");
            };
            assert_eq!((rows.len(), rows[0].text.clone()), (1, format!("event {i}")));
        }
        drop(log);
        assert!(runtime.block_on(events.next()).is_none());
    }

    #[test]
    fn the_oldest_event_goes_when_there_is_no_room() {
        let (mut log, name) = (Log::default(), IfName::new("tap0").unwrap());
        for i in 0..ROWS + 3 {
            log.add(Level::Notice, &name, format!("event {i}"));
        }
        let rows = log.rows();
        assert_eq!((rows.len(), rows[0].text.as_str()), (ROWS, "event 3"));
        assert!(rows.windows(2).all(|pair| pair[0].time_ms <= pair[1].time_ms));
    }
}
