//! Lines of a script, run one after another.
//!
//! # Theory of operation
//! A session takes lines from a channel, submits their requests, and passes the output to the
//! printer thread. A line that has begun runs to its end, so that a create is never left half done.
//! A request to stop takes effect before the next line, while waiting for one, and while output is
//! blocked. A line may name another script (`exec`), whose lines run in its place.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;

use super::globals::Globals;
use super::grammar::{self, Unparsed};
use super::guide;
use super::meta::Word;
use super::pieces;
use super::place::Place;
use super::printer::Printer;
use super::script::Input;
use super::shown::Shown;
use super::verbs::{Next, Reader, Verbs};
use super::watch;
use super::words::Refusal;
use crate::api::Submit;
use crate::diag::{Code, Failure};
use crate::sys::terminal;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// There are no more lines.
    OfLines,
    /// It was asked to stop.
    Stopped,
    /// Stdout is closed.
    Unheard,
    /// A line failed.
    Failed(Code),
    /// A line asked for an action of the shell.
    Asked(Word),
}

/// Where the requests of the lines go, and how results are shown.
pub(super) struct Session<'a, S> {
    verbs: Verbs<'a, S>,
    printer: &'a Printer,
    /// The first failure, where the lines after it run all the same.
    keep_going: Option<Cell<Option<Code>>>,
    /// Set if a person types the lines.
    shell: Option<Screen>,
}

/// Where the lines of a shell stand.
#[derive(Debug)]
pub(super) struct Screen {
    /// Results are in colour.
    pub color: bool,
    /// Columns before the line, where it stands on the screen as it is.
    pub prompt: Cell<Option<usize>>,
}

type Stop<'a, O> = Pin<&'a mut O>;

impl<'a, S: Submit> Session<'a, S> {
    /// A session that ends with the first line that fails, or with the last.
    pub(super) fn new(
        control: &'a S,
        globals: &'a Globals,
        printer: &'a Printer,
        keep_going: bool,
    ) -> Self {
        let keep_going = keep_going.then(Cell::default);
        let verbs = Verbs::new(control, globals, Reader::Script);
        Self { verbs, printer, keep_going, shell: None }
    }

    /// The same for lines that a person types: it can be asked for what only a shell does.
    pub(super) fn for_shell(self, screen: Screen) -> Self {
        let verbs = Verbs { reader: Reader::Shell, ..self.verbs };
        Self { verbs, shell: Some(screen), ..self }
    }

    /// Says where the next line stands on the screen of the shell.
    pub(super) fn stands_behind(&self, prompt: Option<usize>) {
        if let Some(screen) = &self.shell {
            screen.prompt.set(prompt);
        }
    }

    /// The refusal of a line, its wrong word marked where the line stands on the screen.
    fn refusal(&self, line: &str, refusal: &Refusal, place: &str, depth: u32) -> Shown {
        let shown = Shown::failure(place, &refusal.path, &refusal.failure);
        let prompt = self.shell.as_ref().and_then(|screen| screen.prompt.get());
        let (Some(prompt), Some(at), 0) = (prompt, refusal.at, depth) else { return shown };
        let (pieces, _) = pieces::split(line);
        let Some(piece) = pieces.get(at) else { return shown };
        let columns = terminal::size(std::io::stdin()).map_or(80, |(columns, _)| columns);
        let wide = |text: &str| text.chars().count();
        if prompt + wide(line) >= columns {
            return shown;
        }
        shown.marking(prompt + wide(&line[..piece.at.start]), wide(&line[piece.at.clone()]))
    }

    /// The line with its macros replaced, and its words.
    fn words(&self, line: &str) -> Result<(String, Vec<String>), Refusal> {
        let (pieces, whole) = pieces::split(line);
        // The command is told by the words before the one that is to blame.
        let refuse = |at: Option<usize>, failure| {
            let before = &line[..at.map_or(0, |at| pieces[at].at.start)];
            let before = self.verbs.macros.expand(before).map(|text| pieces::words(&text));
            let before = before.ok().flatten().unwrap_or_default();
            Refusal { path: grammar::path(&before), failure, at }
        };
        let text = self.verbs.macros.expand(line).map_err(|failure| {
            let wrong =
                |piece: &pieces::Piece| self.verbs.macros.expand(&line[..piece.at.end]).is_err();
            refuse(pieces.iter().position(wrong), Box::new(failure))
        })?;
        let words = pieces::words(&text).ok_or_else(|| {
            let at = if whole { None } else { pieces.len().checked_sub(1) };
            refuse(at, Box::new(Failure::usage("", "a quote or an escape has no end")))
        })?;
        Ok((text, words))
    }

    /// Names of the macros.
    pub(super) fn macros(&self) -> Vec<String> {
        self.verbs.macros.names()
    }

    /// Runs lines until there are no more.
    pub(super) async fn run<O: Future<Output = i32>>(
        &self,
        lines: mpsc::Receiver<Input>,
        stop: Stop<'_, O>,
    ) -> End {
        match self.lines(lines, stop, 0).await {
            Err(End::OfLines) | Ok(()) => {
                let first = self.keep_going.as_ref().and_then(Cell::get);
                first.map_or(End::OfLines, End::Failed)
            }
            Err(end) => end,
        }
    }

    async fn lines<O: Future<Output = i32>>(
        &self,
        mut lines: mpsc::Receiver<Input>,
        mut stop: Stop<'_, O>,
        depth: u32,
    ) -> Result<(), End> {
        loop {
            let input = tokio::select! {
                biased;
                _ = stop.as_mut() => return Err(End::Stopped),
                input = lines.recv() => input,
            };
            let Some(input) = input else { return Ok(()) };
            self.line(input, stop.as_mut(), depth).await?;
        }
    }

    async fn line<O: Future<Output = i32>>(
        &self,
        input: Input,
        mut stop: Stop<'_, O>,
        depth: u32,
    ) -> Result<(), End> {
        if let (true, Ok(text)) = (self.verbs.globals.verbose, &input.text) {
            self.say(&Shown::trace(&input.place, text), stop.as_mut()).await?;
        }
        let (shown, next) = self.execute(input, depth).await;
        self.say(&shown, stop.as_mut()).await?;
        shown.code.map_or(Ok(()), |code| self.failed(code))?;
        match next {
            Next::Line => Ok(()),
            Next::Pause(pause) => tokio::select! {
                biased;
                _ = stop => Err(End::Stopped),
                () = tokio::time::sleep(pause) => Ok(()),
            },
            Next::Watch(path, what, globals) => {
                let ended =
                    watch::watch(self.verbs.control, &path, *what, &globals, self.printer, stop)
                        .await;
                match ended {
                    watch::End::Done => Ok(()),
                    watch::End::Stopped => Err(End::Stopped),
                    watch::End::Unheard => Err(End::Unheard),
                    watch::End::Failed(code) => self.failed(code),
                }
            }
            Next::Asked(word) => Err(End::Asked(word)),
            Next::Quit => Err(End::OfLines),
            Next::Lines(lines) => Box::pin(self.lines(lines, stop, depth + 1)).await,
        }
    }

    /// Whether lines come after one that failed.
    fn failed(&self, code: Code) -> Result<(), End> {
        match &self.keep_going {
            None => Err(End::Failed(code)),
            Some(first) => {
                first.set(first.get().or(Some(code)));
                Ok(())
            }
        }
    }

    /// Prints, unless the signal comes first: the reader may have stopped reading.
    async fn say<O: Future<Output = i32>>(
        &self,
        shown: &Shown,
        stop: Stop<'_, O>,
    ) -> Result<(), End> {
        if self.printer.pages(shown) {
            // Ctrl-C is the pager's.
            let printed = self.printer.print(shown).await;
            return printed.map_err(|code| code.map_or(End::Unheard, End::Failed));
        }
        let printed = tokio::select! {
            biased;
            _ = stop => return Err(End::Stopped),
            printed = self.printer.print(shown) => printed,
        };
        printed.map_err(|code| code.map_or(End::Unheard, End::Failed))
    }

    /// Runs one line to its end: what to print, and what comes next.
    async fn execute(&self, input: Input, depth: u32) -> (Shown, Next) {
        let Input { place, text } = input;
        let text = match text {
            Ok(text) => text,
            Err(failure) => return (Shown::failure(&place, "", &failure), Next::Line),
        };
        // A comment may contain an open quote.
        if text.split_whitespace().next() == Some("comment") {
            return (Shown::default(), Next::Line);
        }
        let line = text;
        let (text, words) = match self.words(&line) {
            Ok(words) => words,
            Err(refusal) => return (self.refusal(&line, &refusal, &place, depth), Next::Line),
        };
        if words.is_empty() {
            return (Shown::default(), Next::Line);
        }
        let parsed = match guide::parse(&words, Place::Script) {
            Ok(parsed) => parsed,
            Err(Unparsed::Help(help)) => {
                let color = depth == 0 && self.shell.as_ref().is_some_and(|screen| screen.color);
                return (Shown::help(&help, color), Next::Line);
            }
            Err(Unparsed::Refused(refusal)) => {
                // Where macros made the line, it does not stand on the screen.
                let typed = if text == line { text.as_str() } else { "" };
                return (self.refusal(typed, &refusal, &place, depth), Next::Line);
            }
        };
        self.verbs.perform(parsed, &place, depth).await
    }
}
