//! Which holder a command line reaches, and how it starts one.

use std::path::PathBuf;

use crate::diag::Failure;
use crate::holder::{Client, Place};
use crate::units::{NumberList, PollerCount};

// Options of every command. A comment and no doc: clap would print it as the program's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Reach {
    /// Control socket of the holder [default: $TAPTOOL_SOCKET, else /run/taptool/ctl.sock for root,
    /// $XDG_RUNTIME_DIR/taptool/ctl.sock for others].
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        value_hint = clap::ValueHint::AnyPath,
        hide_short_help = true
    )]
    pub socket: Option<PathBuf>,
    /// Neither ask a holder nor serve other commands; for the shell and `hold'.
    #[arg(long, global = true, conflicts_with = "socket", hide_short_help = true)]
    pub private: bool,
    /// Pollers of the holder or shell that this command starts, 1-32 [default: one for each
    /// processor of --cpu, else 1].
    #[arg(long, global = true, value_name = "N", hide_short_help = true)]
    pub pollers: Option<PollerCount>,
    /// Processors of those pollers, one for each, in ascending order (2,4-6) [default: the
    /// scheduler chooses].
    #[arg(long, global = true, value_name = "LIST", hide_short_help = true)]
    pub cpu: Option<NumberList>,
}

impl Reach {
    /// Whether the line said anything about it.
    pub(super) fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// Checks that each poller has a processor, where processors are named.
    ///
    /// # Errors
    /// Exit code 2.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let Some(cpu) = self.cpu else { return Ok(()) };
        let (processors, most) = (cpu.count(), PollerCount::MAX);
        let on = format!("cpu {cpu}");
        match self.pollers {
            Some(pollers) if pollers.get() != processors => {
                let why = format!("{processors} processors for {pollers} pollers");
                Err(Failure::usage(on, why))
            }
            None if processors > most => {
                Err(Failure::usage(on, format!("{processors} pollers, and {most} are the most")))
            }
            _ => Ok(()),
        }
    }

    /// The client of the holder there. A holder that it starts has pollers as this says.
    ///
    /// # Errors
    /// As [`Reach::place`].
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let option = |word: &str, value: Option<String>| {
            value.map(|value| [format!("--{word}"), value]).into_iter().flatten()
        };
        let pollers = option("pollers", self.pollers.map(|n| n.to_string()));
        let cpu = option("cpu", self.cpu.map(|list| list.to_string()));
        Ok(Client::new(self.place()?).starting_with(pollers.chain(cpu).collect()))
    }

    /// Where the control socket is.
    ///
    /// # Errors
    /// When a relative path cannot be made absolute.
    pub(super) fn place(&self) -> Result<Place, Failure> {
        let from_env = || std::env::var_os("TAPTOOL_SOCKET").filter(|path| !path.is_empty());
        let named = self.socket.clone().or_else(|| from_env().map(PathBuf::from));
        Place::find(named.as_deref())
    }
}
