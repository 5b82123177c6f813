//! `show … --watch [SECS] [--rates]`: the same look again and again.

use std::future::Future;
use std::io::IsTerminal;
use std::pin::Pin;
use std::time::{Duration, Instant};

use super::globals::Globals;
use super::printer::Printer;
use super::shown::{self, Shown};
use super::values;
use crate::api::{Reply, Request, ShowRequest, Submit};
use crate::diag::{Code, Failure};
use crate::render;
use crate::sys::terminal::{self, Keys};

// Options of every `show`. A comment and no doc: clap would print it as the command's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub(super) struct Again {
    /// Look again every SECS seconds [default: 1] until a key, Ctrl-C or a signal.
    #[arg(
        long,
        global = true,
        value_name = "SECS",
        num_args = 0..=1,
        default_missing_value = "1",
        value_parser = values::interval
    )]
    pub watch: Option<Duration>,
    /// Packets, bits and drops per second of each queue: over one second, or since the last look of
    /// --watch.
    #[arg(long, global = true)]
    pub rates: bool,
}

/// Time between two looks where nothing says another.
const BETWEEN: Duration = Duration::from_secs(1);

/// How it ended.
pub(super) enum End {
    /// A key, or there was only one look to take.
    Done,
    /// It was told to stop.
    Stopped,
    /// Stdout is closed.
    Unheard,
    /// A failure, which was printed.
    Failed(Code),
}

/// Looks until there is a reason not to.
pub(super) async fn watch<S: Submit, O: Future<Output = i32>>(
    control: &S,
    path: &str,
    (request, again): (ShowRequest, Again),
    globals: &Globals,
    printer: &Printer,
    mut stop: Pin<&mut O>,
) -> End {
    let keys = again.watch.and_then(|_| Keys::listen());
    let mut screen = Screen::new(again.watch.is_some() && !globals.json && !globals.pretty);
    let mut before: Option<(Instant, Reply)> = None;
    loop {
        let refused = match control.submit(Request::Show(request.clone())).await {
            Ok(outcome) if again.rates && !render::has_rates(&outcome.reply) => {
                let why = "valid only with show, show tap, show tun and show interface";
                Err(Failure::usage("--rates", why))
            }
            other => other,
        };
        let now = Instant::now();
        let reply = match refused {
            Ok(outcome) => outcome.reply,
            Err(failure) => {
                let code = failure.code;
                printer.failure(path, &failure).await;
                return End::Failed(code);
            }
        };
        let text = match &before {
            _ if !again.rates => Some(Shown::result(path, Ok(reply.clone().into()), globals).out),
            Some((then, last)) if globals.json || globals.pretty => {
                Some(render::rates_json(last, &reply, now - *then, globals.pretty))
            }
            Some((then, last)) => {
                Some(render::rates_text(last, &reply, now - *then, shown::columns()))
            }
            None => None,
        };
        if let Some(text) = &text {
            let drawn = screen.drawn(text);
            let printed = tokio::select! {
                biased;
                _ = stop.as_mut() => return End::Stopped,
                printed = printer.text(&drawn) => printed,
            };
            if !printed {
                return End::Unheard;
            }
        }
        if again.watch.is_none() && text.is_some() {
            return End::Done;
        }
        before = Some((now, reply));
        let key = async {
            match &keys {
                Some(keys) => keys.pressed().await,
                None => std::future::pending().await,
            }
        };
        // The first look of rates shows nothing: the second need not be waited for so long.
        let pause = match text {
            Some(_) => again.watch.unwrap_or(BETWEEN),
            None => again.watch.unwrap_or(BETWEEN).min(BETWEEN),
        };
        tokio::select! {
            biased;
            _ = stop.as_mut() => return End::Stopped,
            () = key => return End::Done,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The part of the terminal that is drawn again.
struct Screen {
    redraws: bool,
    /// Lines that were drawn last.
    lines: usize,
}

impl Screen {
    fn new(watching: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { redraws: watching && !dumb && std::io::stdout().is_terminal(), lines: 0 }
    }

    /// The text with what puts it over the one before, no larger than the terminal.
    fn drawn(&mut self, text: &str) -> String {
        if !self.redraws {
            return text.to_owned();
        }
        let (columns, rows) = terminal::size(std::io::stdout()).unwrap_or((80, 24));
        let mut drawn = String::new();
        if self.lines > 0 {
            // Up to the first line, and everything from there on is gone.
            drawn.push_str(&format!("\x1b[{}F", self.lines.min(rows - 1)));
        }
        drawn.push_str("\x1b[J");
        self.lines = 0;
        for line in text.lines().take(rows - 1) {
            drawn.extend(line.chars().take(columns));
            drawn.push('\n');
            self.lines += 1;
        }
        drawn
    }
}
