//! The program: reports of our own bugs, and the command line over this process.
//!
//! It is in the library, and [`main`] is no generic function, so that what is generic over the process
//! is compiled once: what the binary's crate instantiates, the library's may have instantiated too.

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::cli::{self, Front, Settings, Shell, World};
use crate::control::{Control, Options};
use crate::demo;
use crate::diag::Failure;
use crate::repl;
use crate::sys::memory;
use crate::sys::signals::{self, Signals};
use color_eyre::config::{HookBuilder, Theme};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Runs the program on this process's arguments, and gives its exit code.
pub fn main() -> ExitCode {
    install_report();
    cli::run(std::env::args_os().skip(1), &Process)
}

/// What is our bug, a panic or a [`Failure::bug`], is reported with what to send us, coloured only
/// where colour is wanted. An operator's mistake never comes here.
fn install_report() {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = std::io::stderr().is_terminal() && !no_color;
    let theme = if color { Theme::dark() } else { Theme::new() };
    let hook = HookBuilder::default()
        .theme(theme)
        .display_env_section(false)
        .display_location_section(false)
        .panic_section(cli::BUG);
    // Installed twice or not at all, reports come out plainer; no reason to stop.
    let _ = hook.install();
}

/// Every interface holds some files: takes all that the hard limit allows.
fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without it there is room for fewer interfaces; the create that does not fit says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// 64 KiB frames through 2 KiB buffers, whatever the backend.
#[cfg(feature = "test-hooks")]
fn test_hooks(options: &mut Options) {
    if std::env::var_os("TAPTOOL_TEST_BUFFERS").is_some_and(|bytes| bytes == "2048") {
        options.buffers = Some(crate::device::BufferClass::Small);
    }
}

/// This process as the command line sees it.
struct Process;

impl World for Process {
    type Control = Control;

    async fn start(&self, settings: &Settings) -> Result<Control, Failure> {
        raise_file_limit();
        // A holder lives long, and what it once showed is large.
        memory::keep_no_large_blocks();
        let mut options = Options::default();
        if let Some(size) = settings.memory {
            options.memory = size;
        }
        (options.pollers, options.processors) = (settings.pollers, settings.processors);
        options.check()?;
        #[cfg(feature = "test-hooks")]
        test_hooks(&mut options);
        Ok(Control::new(options))
    }

    fn stop(&self) -> Result<impl Future<Output = i32>, Failure> {
        signals::block()?;
        let mut signals = Signals::new()?;
        Ok(async move {
            match signals.next().await {
                Ok(signal) => signal as i32,
                // Without the file no signal will ever be heard: better to end than to be deaf.
                Err(_) => 0,
            }
        })
    }
}

impl Front for Process {
    fn shell(&self, shell: &Shell) -> Result<u8, Failure> {
        repl::run(self, shell)
    }

    fn demo(&self, settings: &Settings) -> Result<(), Failure> {
        let Settings { quiet, json, pretty, .. } = *settings;
        demo::run(demo::Options { quiet, json, pretty })
    }
}
