//! The command line: words → requests, replies → stdout, stderr and an exit code.
//!
//! One clap tree serves the command line and script lines. A line goes through `words` (both
//! spellings become argv), through clap, and through its verb's file into an [`api::Request`]; it
//! is answered by whatever implements [`Submit`](crate::api::Submit). What that is, and how a process
//! starts it, is the caller's: see [`World`]. `verbs` does what a line says, wherever it comes from.
//!
//! [`api::Request`]: crate::api::Request

mod bridge;
mod bug;
mod clear;
mod complete;
mod completions;
mod create;
mod delete;
mod doctor;
mod exec;
mod faults;
mod globals;
mod grammar;
mod gso;
mod guide;
mod hold;
mod meta;
mod monitor;
mod names;
mod no_holder;
mod nsim;
mod pager;
mod pieces;
mod place;
mod printer;
mod reach;
mod remote;
mod save;
mod script;
mod service;
mod session;
mod set;
mod shell;
mod show;
mod shown;
mod sub_interfaces;
#[cfg(test)]
mod tests;
mod usage;
mod values;
mod verbs;
mod vpp;
mod watch;
mod words;
mod world;
mod xconnect;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use globals::{Color, Globals, color_wanted};
pub use grammar::tree;
use grammar::{Parsed, Unparsed, Verb};
use pager::Pager;
use place::Place;
use session::{End, Session};
use shown::Shown;
use verbs::{Next, Reader, Verbs};
use world::block_on;

pub use bug::BUG;
pub use guide::{Candidates, Guide, Hint, Names};
pub use meta::{LINES_ONLY, Word};
pub use names::Seen;
pub use printer::Printer;
pub use remote::Remote;
pub use shell::{Ended, Lines, Shell};
pub use values::HISTORY_MAX;
pub use vpp::{Here, VPP_COMMANDS, VppCommand};
pub use world::{Settings, World};

use crate::diag::{Code, Failure};
use crate::doctor::Holder;
use crate::holder::{self, First};
use crate::sys::signals;
use crate::units::PollerCount;

/// What else it asks of a process that people start.
pub trait Front: World {
    /// Runs the interactive shell; called before any runtime or thread exists. The exit code.
    fn shell(&self, shell: &Shell) -> Result<u8, Failure>;

    /// Runs the demo; called before any runtime or thread exists.
    fn demo(&self, settings: &Settings) -> Result<(), Failure>;
}

/// Runs one command line, the program's own name not among `args`.
pub fn run<W: Front>(args: impl IntoIterator<Item = OsString>, world: &W) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = complete::answer(&args) {
        return code;
    }
    let text = |arg: OsString| {
        arg.into_string().map_err(|arg| {
            let shown = words::quoted(&arg.to_string_lossy());
            Failure::usage("", format!("unknown input {shown}: not UTF-8"))
        })
    };
    let color = |wish| color_wanted(wish, io::stderr().is_terminal());
    let words: Vec<String> = match args.into_iter().map(text).collect() {
        Ok(words) => words,
        Err(failure) => {
            return print(&Shown::failure("", "", &failure), color(Color::Auto));
        }
    };
    match guide::parse(&words, Place::CommandLine) {
        Ok(parsed) => {
            let color = color(parsed.globals.color);
            command(parsed, world, color)
        }
        Err(Unparsed::Help(help)) => {
            let color = color_wanted(wish(&words), io::stdout().is_terminal());
            print(&Shown { unpaged: true, ..Shown::help(&help, color) }, color)
        }
        Err(Unparsed::Refused(refusal)) => {
            let shown = Shown::failure("", &refusal.path, &refusal.failure);
            print(&shown, color(wish(&words)))
        }
    }
}

fn command<W: Front>(mut parsed: Parsed, world: &W, color: bool) -> ExitCode {
    let (globals, reach, path) = (parsed.globals, parsed.reach.clone(), parsed.path.clone());
    let Globals { json, pretty, quiet, verbose, .. } = globals;
    let pollers = reach.pollers.map_or(0, PollerCount::get);
    let processors = reach.cpu.unwrap_or_default();
    let mut settings = Settings { memory: None, pollers, processors, json, pretty, quiet, verbose };
    let print = |shown: &Shown| {
        let unpaged = shown.unpaged || globals.no_pager;
        print(&Shown { unpaged, ..shown.clone() }, color)
    };
    let refuse = |failure: &Failure| print(&Shown::failure("", &path, failure));
    let ended = |ended: Result<Result<(), Code>, Failure>| match ended {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(code)) => code.into(),
        Err(failure) => refuse(&failure),
    };
    let printer = || Printer::start(io::stdout(), io::stderr(), color);
    let remote = |settings| match reach.private {
        false => Ok(Remote { client: reach.client()?, world, settings }),
        true => Err(Failure::usage("--private", "valid only with the shell and `hold'")),
    };
    if let Err(failure) = reach.check() {
        return refuse(&failure);
    }
    // What only the command line has, and then what every line has.
    match parsed.verb {
        Verb::Nothing if io::stdin().is_terminal() => {
            let shell = Shell::new(globals, reach, settings, color);
            return world.shell(&shell).map_or_else(|failure| refuse(&failure), ExitCode::from);
        }
        Verb::Nothing => {
            parsed.verb = Verb::Exec(exec::Args { file: "-".into(), keep_going: false })
        }
        Verb::Completions(shell) => {
            let script = shell.script().map_err(|error| Failure::io("script", "", &error));
            return script.map_or_else(|f| refuse(&f), |script| print(&Shown::text(&script)));
        }
        Verb::Demo => {
            return world.demo(&settings).map_or_else(|f| refuse(&f), |()| ExitCode::SUCCESS);
        }
        Verb::Doctor(None) => {
            // The machine can be examined even if no holder can be asked.
            let found = block_on(async {
                let holder = match remote(&settings) {
                    _ if reach.private => Holder::NotAsked,
                    Ok(remote) => doctor::holder(&remote.client).await,
                    Err(failure) => Holder::Silent(failure),
                };
                crate::doctor::machine(holder).await
            });
            return print(&doctor::shown(&path, found, &globals));
        }
        Verb::Monitor => {
            return ended(block_on(async {
                let remote = remote(&settings)?;
                monitor::monitor(&remote, &globals, &printer()?).await
            }));
        }
        Verb::Hold(args) if args.print_unit => return print(&Shown::text(holder::UNIT)),
        Verb::Hold(args) => {
            settings.memory = args.memory;
            // Before there is any other thread.
            let first = match args.background.then(First::take).transpose() {
                Ok(first) => first,
                Err(failure) => return refuse(&failure),
            };
            let settled = first.as_ref().map_or(Ok(()), First::settle);
            return ended(block_on(async {
                if let (Some(first), Err(failure)) = (&first, &settled) {
                    first.refuse(failure).await;
                }
                settled?;
                // Signals first: threads inherit what is blocked.
                let stop = world.stop()?;
                let stderr = holder::LogWriter::new(io::stderr());
                let printer = Printer::start(io::stdout(), stderr, color)?;
                let held =
                    service::hold(world, args, &globals, &reach, first, &settings, &printer, stop);
                Ok(held.await)
            }));
        }
        _ => {}
    }
    let keep_going = matches!(&parsed.verb, Verb::Exec(args) if args.keep_going);
    let remote = remote(&settings);
    let verbs = Verbs::new(&remote, &globals, Reader::CommandLine);
    match block_on(async { Ok(verbs.perform(parsed, "", 0).await) }) {
        Err(failure) => refuse(&failure),
        Ok((_, Next::Lines(lines))) => ended(block_on(async {
            let printer = printer()?;
            let session = Session::new(&remote, &globals, &printer, keep_going);
            Ok(match session.run(lines, std::pin::pin!(std::future::pending())).await {
                End::Failed(code) => Err(code),
                End::OfLines | End::Unheard | End::Stopped | End::Asked(_) => Ok(()),
            })
        })),
        Ok((_, Next::Watch(path, what, globals))) => ended(block_on(async {
            // Signals first: threads inherit what is blocked.
            let stop = std::pin::pin!(world.stop()?);
            let ended = watch::watch(&remote, &path, *what, &globals, &printer()?, stop).await;
            Ok(match ended {
                watch::End::Failed(code) => Err(code),
                watch::End::Done | watch::End::Stopped | watch::End::Unheard => Ok(()),
            })
        })),
        Ok((shown, next)) => {
            if let Next::Pause(pause) = next {
                std::thread::sleep(pause);
            }
            print(&shown)
        }
    }
}

/// Prints, and returns the exit code. A closed stdout is no failure.
fn print(shown: &Shown, color: bool) -> ExitCode {
    use io::Write;
    // A closed stderr cannot be reported anywhere.
    let _ = io::stderr().write_all(shown.stderr(color).as_bytes());
    if !shown.unpaged && page(&shown.out) {
        return shown.code.map_or(ExitCode::SUCCESS, ExitCode::from);
    }
    let mut out = io::stdout().lock();
    match out.write_all(shown.out.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "{}", Failure::io("write to stdout", "", &error));
            Code::Failed.into()
        }
        _ => shown.code.map_or(ExitCode::SUCCESS, ExitCode::from),
    }
}

/// Shows long output on a terminal page by page; whether that was done.
fn page(text: &str) -> bool {
    let pager = Pager::of_terminal().filter(|pager| pager.is_due(text));
    // Ctrl-C is the pager's, and what comes after it is the end of this process.
    pager.is_some_and(|pager| signals::block().is_ok() && pager.show(text))
}

/// `--color` of a line that was not understood, as far as it can be read.
fn wish(words: &[String]) -> Color {
    let color = |word: &str| match word {
        "always" => Some(Color::Always),
        "never" => Some(Color::Never),
        _ => None,
    };
    let given = words.iter().zip(words.iter().skip(1).map(Some).chain([None]));
    given
        .filter_map(|(word, next)| match word.strip_prefix("--color")? {
            "" => color(next?),
            value => color(value.strip_prefix('=')?),
        })
        .last()
        .unwrap_or_default()
}
