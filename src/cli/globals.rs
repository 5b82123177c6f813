//! Options of every command.

use clap::{Args, ValueEnum};

// Options of every command. A comment and no doc: clap would print it as the program's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Globals {
    /// Print an array of JSON objects.
    #[arg(short, long, global = true, hide_short_help = true)]
    pub json: bool,
    /// Print JSON on several lines; implies --json.
    #[arg(short, long, global = true, hide_short_help = true)]
    pub pretty: bool,
    /// Colour help and errors: auto (on a terminal, NO_COLOR unset), always, never.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        hide_possible_values = true,
        default_value = "auto",
        hide_default_value = true,
        hide_short_help = true
    )]
    pub color: Color,
    /// Print no notes (such as which backend was taken, and why) and no progress.
    #[arg(short, long, global = true, overrides_with = "verbose", hide_short_help = true)]
    pub quiet: bool,
    /// Print each script line on stderr before it runs.
    #[arg(short, long, global = true, overrides_with = "quiet", hide_short_help = true)]
    pub verbose: bool,
    /// Print long output on a terminal as it is, not through $PAGER.
    #[arg(long, global = true, hide_short_help = true)]
    pub no_pager: bool,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Globals {
    /// These, and what a script line asks for on top.
    pub(super) fn with(&self, line: &Self) -> Self {
        Self {
            json: self.json || line.json,
            pretty: self.pretty || line.pretty,
            quiet: self.quiet || line.quiet,
            no_pager: self.no_pager || line.no_pager,
            ..*self
        }
    }
}

/// Whether to colour what goes to a terminal, or elsewhere.
pub(super) fn color_wanted(wish: Color, terminal: bool) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match wish {
        Color::Auto => terminal && !no_color && !dumb,
        Color::Always => true,
        Color::Never => false,
    }
}
