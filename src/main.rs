//! The `taptool` binary: reports of our own bugs, and the command line.

use std::io::IsTerminal;
use std::process::ExitCode;

use color_eyre::config::{HookBuilder, Theme};
use taptool::api::{Outcome, Request};
use taptool::cli::{self, Settings, Submit, World};
use taptool::diag::Failure;

const BUG: &str = "\
This is a bug of taptool: please report it with the lines above,
the command, `taptool --version' and `uname -a'.";

fn main() -> ExitCode {
    install_report();
    cli::run(std::env::args_os().skip(1), &Process)
}

/// A panic is our bug: say what to send us, coloured only where colour is wanted. An operator's
/// mistake never comes here.
fn install_report() {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = std::io::stderr().is_terminal() && !no_color;
    let theme = if color { Theme::dark() } else { Theme::new() };
    let hook = HookBuilder::default().theme(theme).display_env_section(false).panic_section(BUG);
    // Installed twice or not at all, reports come out plainer; no reason to stop.
    let _ = hook.install();
}

/// This process as the command line sees it.
struct Process;

/// Control of this process.
enum Control {}

impl Submit for Control {
    async fn submit(&self, _: Request) -> Result<Outcome, Failure> {
        match *self {}
    }
}

impl World for Process {
    type Control = Control;

    async fn start(&self, _: &Settings) -> Result<Control, Failure> {
        Err(Failure::usage("", "not supported in this version"))
    }

    fn stop(&self) -> Result<impl Future<Output = i32>, Failure> {
        Ok(std::future::pending())
    }

    fn demo(&self, _: &Settings) -> Result<(), Failure> {
        Err(Failure::usage("", "not supported in this version"))
    }
}
