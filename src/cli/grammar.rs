//! The command tree, and a line of words as a command.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::globals::Globals;
use super::meta::Word;
use super::nsim;
use super::place::Place;
use super::reach::Reach;
use super::watch::Again;
use super::words::{self, Doubt, Refusal};
use super::{
    bridge, clear, completions, create, delete, doctor, exec, gso, hold, meta, monitor, save, set,
    show, usage, vpp, xconnect,
};
use crate::api::{Request, ShowRequest};
use crate::diag::{Code, Failure};
use crate::units::IfName;

const TOUR: &str = "\
One minute:
  ip netns add foo
  taptool create tap0 --netns foo --ip4 10.9.0.1/24 --respond 10.9.0.2/24
  ip netns exec foo ping 10.9.0.2
  taptool show
  taptool delete tap0";

const GLOBALS: &str = "\
With every command: -j JSON, -p JSON on several lines, -q no notices, --color WHEN (--help \
explains).";

const SPELLINGS: &str = "\
Options are written as usual (--host-ns foo) or as VPP writes them (host-ns foo); commands \
abbreviate (sh tap). What follows `--' is taken for names. Examples in the help of a command are \
lines of a script; the same words may follow `taptool'.

Exit codes: 0 done, 1 failed, 2 usage, 3 no such interface, namespace, bridge or device, 4 exists \
or busy, 5 not permitted, 6 holder does not answer, 7 backend or /dev/net/tun missing.";

/// Tap interfaces on virtio rings: what VPP's tapv2 does, without VPP.
#[derive(Debug, Parser)]
#[command(
    name = "taptool",
    version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TAPTOOL_COMMIT"), ")"),
    disable_help_subcommand = true,
    after_help = format!("{GLOBALS}\n\n{TOUR}"),
    after_long_help = format!("{TOUR}\n\n{SPELLINGS}"),
    args_override_self = true
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    command: Option<Verbs>,
}

#[derive(Debug, Subcommand)]
enum Verbs {
    Create(Box<create::Args>),
    Delete(delete::Args),
    Show(show::Args),
    Gso(gso::Args),
    Xconnect(xconnect::Args),
    Nsim(nsim::NsimArgs),
    Set(set::Args),
    Clear(clear::Args),
    L2fib(bridge::L2Fib),
    Test(bridge::Test),
    Exec(exec::Args),
    Save(save::Args),
    Hold(hold::Args),
    Wait(WaitArgs),
    Demo(DemoArgs),
    Doctor(doctor::Args),
    Monitor(monitor::Args),
    Completions(completions::Args),
    Echo(meta::Echo),
    Comment(meta::Comment),
    Define(meta::Define),
    Undefine(meta::Undefine),
    History(meta::History),
    Detach(meta::Detach),
    #[command(aliases = ["q", "exit"])]
    Quit(meta::Quit),
}

/// Pause a script; a signal ends it.
#[derive(Debug, Args)]
#[command(after_help = "Example: wait 0.5")]
struct WaitArgs {
    /// How long, seconds; fractions allowed.
    #[arg(value_name = "SECS", value_parser = super::values::seconds)]
    seconds: Duration,
}

/// Show that taptool works here: two namespaces, two taps, a wire, ping and TCP across.
///
/// Takes about three seconds, executes no other program and leaves nothing behind, also when a signal
/// ends it (exit code 1). For an ordinary user it runs inside a new user namespace; where that is
/// forbidden, or /dev/net/tun may not be opened, it ends with exit code 5 and says what to do. With -j
/// the results are an array with one object.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taptool demo
  sudo taptool demo")]
struct DemoArgs {}

/// A line as a command.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The command path, which errors begin with.
    pub path: String,
    pub globals: Globals,
    pub reach: Reach,
    pub verb: Verb,
    /// A name on the line that may not be one.
    pub doubt: Option<Doubt>,
}

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Verb {
    Request(Request),
    Exec(exec::Args),
    /// Write the commands that make what is there to a file.
    Save(PathBuf),
    Hold(hold::Args),
    Wait(Duration),
    Demo,
    /// Look at the machine, or at this interface.
    Doctor(Option<IfName>),
    /// Events as they happen.
    Monitor,
    Completions(completions::Shell),
    /// Look again and again.
    Watch(ShowRequest, Again),
    /// Print this.
    Echo(String),
    Define(meta::Define),
    Undefine(String),
    ShowMacros,
    /// For a shell with a person in front of it.
    Shell(meta::Word),
    /// A comment.
    Comment,
    /// No command at all.
    Nothing,
}

/// A line that runs nothing.
#[derive(Debug)]
pub(super) enum Unparsed {
    /// It asked for help or the version.
    Help(Box<StyledStr>),
    /// It is no command, or a value is not of its form.
    Refused(Refusal),
}

impl From<Refusal> for Unparsed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Reads words that stand in this place and ask for no help of the guide's. Namespaces that they name are opened here, in the caller's
/// context.
pub(super) fn parse(line: &[String], place: Place) -> Result<Parsed, Unparsed> {
    let resolved = words::resolve(&vpp::with_lacking(Cli::command()), line, place.help())?;
    let path = resolved.path;
    let refuse = |failure, at| {
        Unparsed::Refused(Refusal { path: path.clone(), failure: Box::new(failure), at })
    };
    let refused = |failure| refuse(failure, None);
    let argv = std::iter::once("taptool".to_owned()).chain(resolved.argv);
    let mut cli = place
        .tree(Cli::command())
        .try_get_matches_from(argv)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Unparsed::Help(Box::new(error.render()))
            }
            _ => refuse(usage::failure(&error), usage::place(&error, line)),
        })?;
    let request = match cli.command.take() {
        None => Ok(Verb::Nothing),
        Some(Verbs::Create(args)) => (*args).try_into().map(Verb::Request),
        Some(Verbs::Delete(args)) => args.try_into().map(Verb::Request),
        Some(Verbs::Show(args)) if args.asks_for_macros() => Ok(Verb::ShowMacros),
        Some(Verbs::Show(args)) => {
            let again = args.again();
            args.try_into().map(|show| match again {
                Some(again) => Verb::Watch(show, again),
                None => Verb::Request(Request::Show(show)),
            })
        }
        Some(Verbs::Gso(args)) => Ok(Verb::Request(args.into())),
        Some(Verbs::Xconnect(args)) => args.try_into().map(Verb::Request),
        Some(Verbs::Nsim(args)) => args.try_into().map(Verb::Request),
        Some(Verbs::Set(args)) => args.try_into().map(Verb::Request),
        Some(Verbs::L2fib(args)) => args.try_into().map(Verb::Request),
        Some(Verbs::Test(args)) => args.try_into().map(Verb::Request),
        Some(Verbs::Clear(args)) => Ok(Verb::Request(args.into())),
        Some(Verbs::Exec(args)) => Ok(Verb::Exec(args)),
        Some(Verbs::Save(args)) => Ok(match args.file {
            Some(file) => Verb::Save(file),
            None => Verb::Request(Request::Show(ShowRequest::RunningConfig {})),
        }),
        Some(Verbs::Hold(args)) => Ok(Verb::Hold(args)),
        Some(Verbs::Wait(args)) => Ok(Verb::Wait(args.seconds)),
        Some(Verbs::Demo(DemoArgs {})) => Ok(Verb::Demo),
        Some(Verbs::Doctor(args)) => Ok(Verb::Doctor(args.name)),
        Some(Verbs::Monitor(monitor::Args {})) => Ok(Verb::Monitor),
        Some(Verbs::Completions(args)) => Ok(Verb::Completions(args.shell)),
        Some(Verbs::Echo(args)) => Ok(Verb::Echo(args.text.join(" "))),
        Some(Verbs::Comment(_)) => Ok(Verb::Comment),
        Some(Verbs::Define(args)) => Ok(Verb::Define(args)),
        Some(Verbs::Undefine(args)) => Ok(Verb::Undefine(args.name)),
        Some(Verbs::History(args)) => Ok(Verb::Shell(Word::History(args.last))),
        Some(Verbs::Detach(meta::Detach {})) => Ok(Verb::Shell(Word::Detach)),
        Some(Verbs::Quit(meta::Quit {})) => Ok(Verb::Shell(Word::Quit)),
    };
    let verb = request.map_err(refused)?;
    let Cli { globals, reach, .. } = cli;
    Ok(Parsed { path, globals, reach, verb, doubt: resolved.doubt })
}

/// The command path of a line of which these are the first words; empty where they are none.
pub(super) fn path(words: &[String]) -> String {
    words::partial(&Cli::command(), words).map(|line| line.path.join(" ")).unwrap_or_default()
}

/// Points at what was probably meant, where a name is not that of an interface. Gives the command path
/// with the failure, which may be that of another command.
pub(super) fn advise(doubt: Option<Doubt>, path: &str, failure: Failure) -> (String, Failure) {
    let path = path.to_owned();
    let doubt = match doubt {
        Some(doubt) if failure.code == Code::NotFound && failure.on == doubt.word => doubt,
        _ => return (path, failure),
    };
    if let Some(lacked) = doubt.lacked {
        return (lacked.path, *lacked.failure);
    }
    let mut failure = failure;
    if doubt.first && path == "show" {
        failure.cause =
            format!("{} is neither a table nor an interface", words::quoted(&doubt.word));
        failure.on.clear();
    }
    let failure = match doubt.meant {
        Some(meant) => failure.hint(format!("did you mean {}", words::quoted(&meant))),
        None => failure,
    };
    (path, failure)
}

/// The command tree, as clap's own tools read it: help, man pages, completion.
pub fn tree() -> clap::Command {
    Cli::command()
}
