//! The thread that reads lines with the line editor.
//!
//! # Theory of operation
//! The thread takes orders one at a time and reports the result of each. Between two orders the
//! terminal is in its ordinary modes, and results are printed. While a line is being typed, messages
//! go through the editor, which prints them above the line; a thread of their own hands them over,
//! because the editor takes them only between keys.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use rustyline::error::ReadlineError;
use rustyline::history::{DefaultHistory, History};
use rustyline::{ColorMode, CompletionType, Config, EditMode, ExternalPrinter};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::helper::Assistant;
use super::history;
use super::stage::Stages;
use crate::cli::{Guide, HISTORY_MAX};
use crate::diag::Failure;

/// Messages that wait for a key at most; more are dropped.
const WAITING_MAX: usize = 64;

type Line = rustyline::Editor<Assistant, DefaultHistory>;

/// The prompt of a line.
pub(super) const PROMPT: &str = "taptool# ";

/// The prompt of a continued line.
pub(super) const MORE: &str = "> ";

/// An order to the thread.
enum Order {
    /// Read a line that is kept in the history.
    Read(&'static str),
    /// Read an answer that is not.
    Ask(String),
    /// Read none of the lines that were pasted behind the last one.
    Forget,
    /// Say what was typed before: all, or the last so many.
    History(Option<usize>),
}

/// The result of an order.
#[derive(Debug)]
pub(super) enum EditorEvent {
    /// A line.
    Line(String),
    /// A line that was pasted with others, and so is not at its usual place on the screen.
    Pasted(String),
    /// The typed bytes are not UTF-8 and are discarded.
    Garbled,
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D.
    End,
    /// The terminal cannot be read any more.
    Gone,
    /// Lines typed before, oldest first, each with its number.
    History(Vec<(usize, String)>),
}

/// Sends orders to the thread. When it is dropped, the thread ends after the line it is reading.
#[derive(Debug)]
pub(super) struct Editor {
    orders: Sender<Order>,
    said: UnboundedReceiver<EditorEvent>,
    /// None where messages cannot be printed above a line.
    messages: Option<SyncSender<String>>,
}

impl Editor {
    /// Starts it.
    ///
    /// # Errors
    /// When the terminal refuses, or a thread cannot be started.
    pub(super) fn start(guide: Guide, color: bool) -> Result<Self, Failure> {
        let refused = |e: ReadlineError| match e {
            ReadlineError::Io(e) => Failure::io("start of the line editor", "", &e),
            e => Failure::io("start of the line editor", "", &io::Error::other(e)),
        };
        let config = Config::builder()
            .edit_mode(EditMode::Emacs)
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY_MAX)
            .map_err(refused)?
            .color_mode(if color { ColorMode::Enabled } else { ColorMode::Disabled })
            .build();
        let mut line = Line::with_config(config).map_err(refused)?;
        let stages = Arc::new(Stages::default());
        let theirs = Arc::clone(&stages);
        line.set_helper(Some(Assistant { guide, color, quiet: false, stages: theirs }));
        let file = history::file();
        if let Some(file) = &file {
            // If the file is missing or is not a history, a new history begins.
            let _ = line.load_history(file);
        }
        let messages = line.create_external_printer().ok().and_then(|mut printer| {
            let (messages, waiting) = sync_channel::<String>(WAITING_MAX);
            let stages = Arc::clone(&stages);
            let hand_over = move || {
                for message in waiting {
                    stages.print(|| {
                        // The terminal may have gone.
                        let _ = printer.print(message);
                    });
                }
            };
            thread::Builder::new().name("messages".into()).spawn(hand_over).ok()?;
            Some(messages)
        });
        let (orders, taken) = channel();
        let (say, said) = unbounded_channel();
        thread::Builder::new()
            .name("editor".into())
            .spawn(move || Reader { line, stages, pasted: VecDeque::new(), file, say }.work(&taken))
            .map_err(|e| Failure::io("start of the editor thread", "", &e))?;
        Ok(Self { orders, said, messages })
    }

    /// Has a line read; [`Editor::said`] tells it.
    pub(super) fn read(&self) {
        // Where the thread has ended, `said` tells.
        let _ = self.orders.send(Order::Read(PROMPT));
    }

    /// Has the rest of a line read.
    pub(super) fn read_on(&self) {
        let _ = self.orders.send(Order::Read(MORE));
    }

    /// Gives up what was pasted behind the last line.
    pub(super) fn forget(&self) {
        let _ = self.orders.send(Order::Forget);
    }

    /// Has a question answered.
    pub(super) fn ask(&self, question: String) {
        let _ = self.orders.send(Order::Ask(question));
    }

    /// Asks for lines typed before.
    pub(super) fn history(&self, last: Option<usize>) {
        let _ = self.orders.send(Order::History(last));
    }

    /// The next result. Dropping the future loses nothing.
    pub(super) async fn next_event(&mut self) -> EditorEvent {
        self.said.recv().await.unwrap_or(EditorEvent::Gone)
    }

    /// Prints a message above the line that is being typed; whether that can be done.
    pub(super) fn tell(&self, message: &str) -> bool {
        let Some(messages) = &self.messages else { return false };
        // Full: no key was pressed for long. The newest messages are dropped.
        let _ = messages.try_send(format!("{message}\n"));
        true
    }
}

struct Reader {
    line: Line,
    stages: Arc<Stages>,
    /// Lines that came with the last one, and are read before the terminal is.
    pasted: VecDeque<String>,
    file: Option<PathBuf>,
    say: UnboundedSender<EditorEvent>,
}

impl Reader {
    fn work(mut self, orders: &Receiver<Order>) {
        // Fails for no signal that there is. Ctrl-Z stops the process on this thread.
        let _ = SigSet::from(Signal::SIGTSTP).thread_unblock();
        for order in orders {
            let said = match order {
                Order::Read(prompt) => self.read(prompt),
                Order::Ask(question) => self.ask(&question),
                Order::Forget => {
                    self.pasted.clear();
                    continue;
                }
                Order::History(last) => EditorEvent::History(self.typed(last)),
            };
            let gone = matches!(said, EditorEvent::Gone);
            if self.say.send(said).is_err() || gone {
                return;
            }
        }
    }

    fn read(&mut self, prompt: &str) -> EditorEvent {
        let said = match self.pasted.pop_front() {
            Some(line) => EditorEvent::Pasted(line),
            None => match self.typed_behind(prompt) {
                // Typed, it would have been so many lines.
                EditorEvent::Line(text) if text.contains('\n') => {
                    let mut lines = text.lines().map(str::to_owned);
                    let first = lines.next().unwrap_or_default();
                    self.pasted.extend(lines);
                    EditorEvent::Pasted(first)
                }
                said => said,
            },
        };
        if let EditorEvent::Line(line) | EditorEvent::Pasted(line) = &said {
            // The history keeps a question without its `?', so that the user can go on with the line.
            let kept = line.trim().trim_end_matches('?').trim_end();
            if self.line.add_history_entry(kept).unwrap_or(false)
                && let Some(file) = &self.file
            {
                // A full disk is no reason to refuse the line.
                let _ = self.line.append_history(file);
            }
        }
        said
    }

    /// Without help: an answer is no command.
    fn ask(&mut self, question: &str) -> EditorEvent {
        self.quiet(true);
        let said = self.typed_behind(question);
        self.quiet(false);
        said
    }

    fn typed_behind(&mut self, prompt: &str) -> EditorEvent {
        self.stages.begin();
        let typed = self.line.readline(prompt);
        self.stages.end();
        result(typed)
    }

    fn quiet(&mut self, quiet: bool) {
        if let Some(assistant) = self.line.helper_mut() {
            assistant.quiet = quiet;
        }
    }

    fn typed(&self, last: Option<usize>) -> Vec<(usize, String)> {
        let history = self.line.history();
        let skip = last.map_or(0, |last| history.len().saturating_sub(last));
        history.iter().cloned().enumerate().map(|(n, line)| (n + 1, line)).skip(skip).collect()
    }
}

fn result(line: Result<String, ReadlineError>) -> EditorEvent {
    match line {
        Ok(line) => EditorEvent::Line(line),
        Err(ReadlineError::Interrupted) => EditorEvent::Interrupted,
        Err(ReadlineError::Eof) => EditorEvent::End,
        // A wrong key, or a terminal that sends Latin-1: the shell goes on.
        Err(ReadlineError::Io(e)) if e.kind() == io::ErrorKind::InvalidData => EditorEvent::Garbled,
        Err(_) => EditorEvent::Gone,
    }
}
