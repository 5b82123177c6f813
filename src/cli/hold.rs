//! `hold [--exec FILE|-]`: owns interfaces in the foreground.
//!
//! # Theory of operation
//! The control thread runs [`serve`]: it takes script lines from a channel, submits what they ask
//! for one after another, and hands what is to be printed to the printer thread. A line that has
//! begun is carried to its end, so that a create is never torn; a signal is noticed before the next
//! line, while waiting for one, and while output is stuck. Whatever ends the hold, everything is
//! removed before it returns. At the end of the script nothing is: the interfaces stay until a
//! signal.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;

use super::grammar::{self, Globals, Unparsed, Verb};
use super::printer::Printer;
use super::script::{self, Input};
use super::shown::Shown;
use super::{Settings, World};
use crate::api::{DeleteRequest, Request, Submit};
use crate::diag::{Code, Failure};
use crate::units::MemorySize;

/// How long the last messages may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Hold interfaces in the foreground until a signal.
///
/// With --exec, lines are read and run one at a time as they arrive, from a file, a pipe or
/// standard input; results are printed as the same command would print them. `#' begins a comment,
/// `\' at the end of a line joins it with the next. The first line that fails removes everything
/// and its exit code is that of hold. At the end of the script the interfaces stay. SIGTERM, SIGINT
/// and SIGHUP remove everything and end with exit code 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  taptool hold --exec taps.conf
  echo 'create tap0 --netns foo' | taptool hold --exec -")]
pub(super) struct Args {
    /// Script to run; `-' is standard input.
    #[arg(long, value_name = "FILE")]
    pub exec: Option<PathBuf>,
    /// Memory for all rings and buffers, 16M-1T: bytes, or with K, M, G or T [default: 64G, sparse].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemorySize>,
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// A signal asked for it.
    Stopped,
    /// Nobody reads what we print.
    Unheard,
    /// A line failed.
    Failed(Code),
}

/// Starts control and holds. Returns the exit code, 0 for a signal.
pub(super) async fn hold<W: World>(
    world: &W,
    args: Args,
    globals: Globals,
    settings: &Settings,
    printer: &Printer,
    stop: impl Future<Output = i32>,
) -> Result<(), Code> {
    let begun = async {
        let control = world.start(settings).await?;
        let lines = args.exec.map(script::start).transpose()?;
        Ok((control, lines))
    };
    let (control, lines) = match begun.await {
        Ok(begun) => begun,
        Err(failure) => {
            let shown = Shown::failure("", "hold", &failure);
            let _ = printer.print(&shown).await;
            return Err(failure.code);
        }
    };
    serve(&control, lines, globals, printer, stop).await
}

/// Runs the script, then removes everything.
pub(super) async fn serve<S: Submit>(
    control: &S,
    lines: Option<mpsc::Receiver<Input>>,
    globals: Globals,
    printer: &Printer,
    stop: impl Future<Output = i32>,
) -> Result<(), Code> {
    let mut stop = std::pin::pin!(stop);
    let end = match lines {
        Some(lines) => Session { control, globals, printer }.run(lines, stop.as_mut()).await,
        None => {
            stop.as_mut().await;
            End::Stopped
        }
    };
    let removed = control.submit(Request::Delete(DeleteRequest::All {})).await;
    // Only what could not be undone is worth a word here.
    let shown = Shown::result("hold", removed, globals).without_out();
    // The printer may still be stuck in a write that nobody reads.
    let _ = tokio::time::timeout(LAST_WORDS, printer.print(&shown)).await;
    match (end, shown.code) {
        (End::Failed(code), _) => Err(code),
        (End::Stopped, Some(code)) => Err(code),
        (End::Unheard, _) | (End::Stopped, None) => Ok(()),
    }
}

struct Session<'a, S> {
    control: &'a S,
    globals: Globals,
    printer: &'a Printer,
}

type Stop<'a, O> = Pin<&'a mut O>;

impl<S: Submit> Session<'_, S> {
    async fn run<O: Future<Output = i32>>(
        &self,
        mut lines: mpsc::Receiver<Input>,
        mut stop: Stop<'_, O>,
    ) -> End {
        loop {
            let input = tokio::select! {
                biased;
                _ = stop.as_mut() => return End::Stopped,
                input = lines.recv() => input,
            };
            let Some(input) = input else {
                stop.as_mut().await;
                return End::Stopped;
            };
            if let Err(end) = self.line(input, stop.as_mut()).await {
                return end;
            }
        }
    }

    async fn line<O: Future<Output = i32>>(
        &self,
        input: Input,
        mut stop: Stop<'_, O>,
    ) -> Result<(), End> {
        if let (true, Ok(text)) = (self.globals.verbose, &input.text) {
            self.say(&Shown::trace(&input.place, text), stop.as_mut()).await?;
        }
        let (shown, pause) = self.execute(input).await;
        self.say(&shown, stop.as_mut()).await?;
        if let Some(code) = shown.code {
            return Err(End::Failed(code));
        }
        tokio::select! {
            biased;
            _ = stop => Err(End::Stopped),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Prints, unless the signal comes first: the reader may have stopped reading.
    async fn say<O: Future<Output = i32>>(
        &self,
        shown: &Shown,
        stop: Stop<'_, O>,
    ) -> Result<(), End> {
        let printed = tokio::select! {
            biased;
            _ = stop => return Err(End::Stopped),
            printed = self.printer.print(shown) => printed,
        };
        printed.map_err(|code| code.map_or(End::Unheard, End::Failed))
    }

    /// Runs one line to its end: what to print, and how long to wait before the next.
    async fn execute(&self, input: Input) -> (Shown, Duration) {
        let Input { place, text } = input;
        let located =
            |path: &str, failure: &Failure| (Shown::failure(&place, path, failure), Duration::ZERO);
        let text = match text {
            Ok(text) => text,
            Err(failure) => return located("", &failure),
        };
        let Some(words) = shlex::split(&text) else {
            return located("", &Failure::usage("", "a quote or an escape has no end"));
        };
        let parsed = match grammar::parse(&words) {
            Ok(parsed) => parsed,
            Err(Unparsed::Help(help)) => return (Shown::help(&help, false), Duration::ZERO),
            Err(Unparsed::Refused(r)) => return located(&r.path, &r.failure),
        };
        let globals = self.globals.with(parsed.globals);
        let path = parsed.path.clone();
        match parsed.verb {
            Verb::Request(request) => {
                let outcome = self.control.submit(request).await;
                match outcome {
                    Ok(outcome) => {
                        (Shown::result(&path, Ok(outcome), globals).located(&place), Duration::ZERO)
                    }
                    Err(failure) => {
                        let failure = grammar::advise(&path, parsed.doubt.as_deref(), failure);
                        located(&path, &failure)
                    }
                }
            }
            Verb::Wait(pause) => (Shown::done(globals), pause),
            Verb::Hold(_) | Verb::Demo => {
                located(&path, &Failure::usage("", "not inside a script"))
            }
            Verb::Nothing if words.is_empty() => (Shown::default(), Duration::ZERO),
            Verb::Nothing => located("", &Failure::usage("", "no command")),
        }
    }
}
