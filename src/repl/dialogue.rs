//! Reads and runs lines until the user leaves.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::PoisonError;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::editor::{Editor, EditorEvent, MORE, PROMPT};
use super::events::{Cause, Events};
use crate::api::{Reply, Request, ShowRequest, Submit};
use crate::cli::{Ended, Lines, Names, Printer, Seen, Word};
use crate::diag::Failure;
use crate::render;
use crate::sys::signals::Signals;

/// What the banner ends with.
pub(super) const KEYS: &str =
    "`?' tells what can follow, Tab completes, `help COMMAND' explains, `quit' leaves\n";

/// How often the log is looked at while a line is typed.
const LOOK: Duration = Duration::from_secs(1);

/// Why the shell ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// `quit`, or Ctrl-D on an empty line.
    Quit,
    /// `detach`.
    Detach,
    /// The terminal is gone, or stdout is closed.
    Gone,
    /// This signal came.
    Signal(Signal),
}

/// The dialogue on a terminal.
pub(super) struct Dialogue<'a> {
    editor: Editor,
    printer: &'a Printer,
    signals: Signals,
    events: Events,
    /// Interfaces that there are, for completion.
    names: Names,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(
        editor: Editor,
        printer: &'a Printer,
        signals: Signals,
        names: Names,
    ) -> Self {
        Self { editor, printer, signals, events: Events::default(), names }
    }

    /// Runs lines until one of them leaves the shell.
    pub(super) async fn on<S: Submit>(&mut self, lines: &Lines<'_, S>, answers: &S) -> Left {
        loop {
            self.look(answers, Cause::Line).await;
            let (line, prompt) = match self.line(answers).await {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(left) => return left,
            };
            if line.trim().is_empty() {
                continue;
            }
            match self.run(lines, line, prompt).await {
                Ok(None) => {}
                Ok(Some(Word::Quit)) => return Left::Quit,
                Ok(Some(Word::Detach)) => return Left::Detach,
                Ok(Some(Word::History(last))) => self.history(last).await,
                Err(left) => return left,
            }
        }
    }

    /// Asks; none where there is no answer.
    pub(super) async fn ask(&mut self, question: &str) -> Result<Option<String>, Left> {
        self.editor.ask(question.to_owned());
        match self.next_event().await? {
            EditorEvent::Line(line) | EditorEvent::Pasted(line) => Ok(Some(line)),
            EditorEvent::End
            | EditorEvent::Garbled
            | EditorEvent::Interrupted
            | EditorEvent::History(_) => Ok(None),
            EditorEvent::Gone => Err(Left::Gone),
        }
    }

    /// Prints lines.
    pub(super) async fn print(&self, lines: &str) {
        self.printer.text(lines).await;
    }

    /// Prints why a command is not carried out.
    pub(super) async fn refuse(&self, path: &str, why: &str) {
        self.printer.failure(path, &Failure::usage("", why)).await;
    }

    /// Stops listening to the terminal.
    pub(super) fn hang_up(self) -> Signals {
        self.signals
    }

    /// What the editor says next; a signal that ends a process comes first.
    async fn next_event(&mut self) -> Result<EditorEvent, Left> {
        loop {
            tokio::select! {
                biased;
                signal = self.signals.next() => match signal {
                    // The editor takes Ctrl-C as a key; this one was sent.
                    Ok(Signal::SIGINT) => {}
                    Ok(signal) => return Err(Left::Signal(signal)),
                    Err(_) => return Err(Left::Gone),
                },
                said = self.editor.next_event() => return Ok(said),
            }
        }
    }

    /// The next line, continuations joined, and the columns before it on the screen, if it is there
    /// unchanged; none when the user gave the line up. Prints events meanwhile.
    async fn line<S: Submit>(
        &mut self,
        answers: &S,
    ) -> Result<Option<(String, Option<usize>)>, Left> {
        let mut whole = String::new();
        let mut prompt = Some(PROMPT.len());
        self.editor.read();
        loop {
            let line = loop {
                // A request that was begun is carried to its end, so only the pause is cut short.
                tokio::select! {
                    said = self.next_event() => break said?,
                    () = tokio::time::sleep(LOOK) => {}
                }
                self.look(answers, Cause::Others).await;
            };
            let line = match line {
                EditorEvent::Line(line) => line,
                EditorEvent::Pasted(line) => {
                    let before = if whole.is_empty() { PROMPT } else { MORE };
                    self.print(&format!("{before}{}\n", render::escape(&line))).await;
                    line
                }
                EditorEvent::Garbled => {
                    self.refuse("", "the line is not UTF-8").await;
                    return Ok(None);
                }
                EditorEvent::Interrupted | EditorEvent::History(_) => return Ok(None),
                EditorEvent::End if whole.is_empty() => return Err(Left::Quit),
                EditorEvent::End => return Ok(Some((whole, None))),
                EditorEvent::Gone => return Err(Left::Gone),
            };
            whole.push_str(&line);
            // An even number of them at the end are escaped ones.
            if whole.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0 {
                return Ok(Some((whole, prompt)));
            }
            prompt = None;
            whole.pop();
            whole.push(' ');
            self.editor.read_on();
        }
    }

    /// Runs a line; Ctrl-C stops it where it can be stopped.
    async fn run<S: Submit>(
        &mut self,
        lines: &Lines<'_, S>,
        line: String,
        prompt: Option<usize>,
    ) -> Result<Option<Word>, Left> {
        let last = Cell::new(None);
        let stop = async {
            match self.signals.next().await {
                Ok(Signal::SIGINT) => {}
                Ok(signal) => last.set(Some(Left::Signal(signal))),
                Err(_) => last.set(Some(Left::Gone)),
            }
            Signal::SIGINT as i32
        };
        let ended = lines.run(line, prompt, stop).await;
        if let Some(left) = last.get() {
            return Err(left);
        }
        match ended {
            Ended::Asks(word) => Ok(Some(word)),
            Ended::Unheard => Err(Left::Gone),
            Ended::Stopped => {
                // Behind the terminal's own `^C'.
                self.print("\n").await;
                self.editor.forget();
                Ok(None)
            }
            Ended::Done | Ended::Failed(_) => Ok(None),
        }
    }

    /// Looks at interfaces: tells what happened to them, remembers their names.
    async fn look<S: Submit>(&mut self, answers: &S, cause: Cause) {
        let show = |what| async { answers.submit(Request::Show(what)).await.ok().map(|o| o.reply) };
        let news = match show(ShowRequest::Logging {}).await {
            Some(Reply::Logging(rows)) => self.events.news(rows, cause),
            // The next request reports the reason.
            _ => return,
        };
        if (cause == Cause::Line || !news.is_empty())
            && let Some(Reply::Interfaces(all, _)) = show(ShowRequest::Overview(Vec::new())).await
        {
            let names = all.iter().flat_map(Seen::of).collect();
            *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        }
        for line in news {
            if !self.editor.tell(&line) {
                self.printer.log(&line);
            }
        }
    }

    async fn history(&mut self, last: Option<usize>) {
        self.editor.history(last);
        let Ok(EditorEvent::History(typed)) = self.next_event().await else { return };
        let mut text = String::new();
        for (number, line) in typed {
            // Writing to a string never fails.
            let _ = writeln!(text, "{number:>5}  {}", render::escape(&line));
        }
        self.print(&text).await;
    }
}
