//! What the verb of a line does: the same on the command line, in a script and in the shell, but for
//! the verbs that one of them alone has.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::doctor;
use super::globals::Globals;
use super::grammar::{self, Parsed, Verb};
use super::meta::{Macros, Word};
use super::save;
use super::script::{self, Input};
use super::shown::Shown;
use super::watch::Again;
use crate::api::{Request, ShowRequest, Submit};
use crate::diag::Failure;
use crate::doctor::Holder;
use crate::render;

/// How deep scripts may name scripts.
const DEPTH_MAX: u32 = 16;

/// Where the lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// There is one, behind the program's name.
    CommandLine,
    Script,
    /// A person types them.
    Shell,
}

/// Where the requests of lines go, and what lines leave for later ones.
pub(super) struct Verbs<'a, S> {
    pub control: &'a S,
    pub globals: &'a Globals,
    pub reader: Reader,
    pub macros: Macros,
}

/// What follows a line.
pub(super) enum Next {
    /// The next one.
    Line,
    /// The next one after a while.
    Pause(Duration),
    /// These first.
    Lines(mpsc::Receiver<Input>),
    /// Looks at this again and again, of that path.
    Watch(String, Box<(ShowRequest, Again)>, Globals),
    /// No line: `quit' ends a script.
    Quit,
    /// An action of the shell.
    Asked(Word),
}

impl<'a, S: Submit> Verbs<'a, S> {
    /// For lines that `control` answers.
    pub(super) fn new(control: &'a S, globals: &'a Globals, reader: Reader) -> Self {
        Self { control, globals, reader, macros: Macros::default() }
    }

    /// Does what one line at `place` says, to its end: what to print, and what comes next. `depth` is
    /// the number of scripts that name the line's.
    pub(super) async fn perform(&self, parsed: Parsed, place: &str, depth: u32) -> (Shown, Next) {
        let Parsed { path, globals, reach, verb, doubt } = parsed;
        let located =
            |path: &str, failure: &Failure| (Shown::failure(place, path, failure), Next::Line);
        let refused = |on: &str, why: &str| located(&path, &Failure::usage(on, why));
        let one = self.reader == Reader::CommandLine;
        if !one && reach.is_given() {
            return refused(
                "--socket, --private, --pollers, --cpu",
                "valid only on the command line, not in a script",
            );
        }
        let globals = self.globals.with(&globals);
        match verb {
            Verb::Request(request) => match self.control.submit(request).await {
                Ok(outcome) => {
                    let shown = Shown::result(&path, Ok(outcome), &globals);
                    (shown.located(place), Next::Line)
                }
                Err(failure) => {
                    let (path, failure) = grammar::advise(doubt, &path, failure);
                    located(&path, &failure)
                }
            },
            Verb::Save(file) => {
                let request = Request::Show(ShowRequest::RunningConfig {});
                let saved =
                    self.control.submit(request).await.and_then(|outcome| {
                        save::write(&file, &render::text(&outcome.reply, None))
                    });
                match saved {
                    Ok(()) => (Shown::done(&globals), Next::Line),
                    Err(failure) => located(&path, &failure),
                }
            }
            Verb::Wait(pause) => (Shown::done(&globals), Next::Pause(pause)),
            Verb::Doctor(name) => {
                let found = doctor::examine(self.control, Holder::NotAsked, name).await;
                let shown = doctor::shown(&path, found, &globals);
                // What it finds is no failure of a script, and must not end what is looked at.
                let shown = if one { shown } else { shown.without_verdict() };
                (shown.located(place), Next::Line)
            }
            // Its reader could not be called off, and would take the lines that come after it.
            Verb::Exec(args) if self.reader == Reader::Shell && args.file == Path::new("-") => {
                refused("-", "lines that are typed here run already")
            }
            Verb::Exec(args) if args.keep_going && !one => {
                refused("--keep-going", "valid only for the script named on the command line")
            }
            Verb::Exec(args) if depth < DEPTH_MAX => {
                match script::start(args.file, format!("{place}exec: ")) {
                    Ok(lines) => (Shown::default(), Next::Lines(lines)),
                    Err(failure) => located(&path, &failure),
                }
            }
            Verb::Exec(_) => refused("", "scripts are nested too deeply"),
            Verb::Hold(_) | Verb::Demo | Verb::Monitor | Verb::Completions(_) => {
                refused("", &format!("valid only on the command line: `taptool {path}'"))
            }
            Verb::Watch(request, again) => {
                (Shown::default(), Next::Watch(path, Box::new((request, again)), globals))
            }
            Verb::Echo(text) => (Shown::text(&format!("{}\n", render::escape(&text))), Next::Line),
            Verb::Comment => (Shown::default(), Next::Line),
            Verb::Define(_) | Verb::Undefine(_) | Verb::ShowMacros if one => {
                refused("", "valid only in a script or in the shell")
            }
            Verb::Define(define) => {
                self.macros.define(define);
                (Shown::done(&globals), Next::Line)
            }
            Verb::Undefine(name) => match self.macros.undefine(&name) {
                Ok(()) => (Shown::done(&globals), Next::Line),
                Err(failure) => located(&path, &failure),
            },
            Verb::ShowMacros => {
                let text = self.macros.shown(globals.json, globals.pretty);
                (Shown::text(&text), Next::Line)
            }
            Verb::Shell(word) if depth == 0 && self.reader == Reader::Shell => {
                (Shown::default(), Next::Asked(word))
            }
            // The last line of what is piped to vppctl.
            Verb::Shell(Word::Quit) if self.reader == Reader::Script => {
                (Shown::default(), Next::Quit)
            }
            Verb::Shell(word) => located(&path, &word.refusal()),
            Verb::Nothing => located("", &Failure::usage("", "no command")),
        }
    }
}
