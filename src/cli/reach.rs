//! Which holder a command line reaches.

use std::path::PathBuf;

use crate::diag::Failure;
use crate::holder::Place;

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
}

impl Reach {
    /// Whether the line said anything about it.
    pub(super) fn is_given(&self) -> bool {
        *self != Self::default()
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
