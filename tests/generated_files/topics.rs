//! Pages that are about no single command: the shell, and VPP's commands.

use std::collections::BTreeMap;

use clap::Command;
use clap_mangen::roff::{Roff, bold, roman};
use taptool::cli::{Here, VPP_COMMANDS};

use super::comparison;
use super::page::{finish, references};
use super::program;
use super::text::{Values, example, inline, prose, section, term, usage};

const SHELL: &str = "\
`taptool' without a command, on a terminal, is a shell. It takes every command of taptool(8), in VPP's \
spelling and in the usual one. Behind a pipe the same lines are a script.

The shell's interfaces live in its own process, and other terminals reach them with `taptool' as usual. \
Where a holder runs already, the shell is its client, and the banner says so. `taptool --private' \
neither asks a holder nor serves others.";

/// Columns of a word that is broken up.
const WIDE: usize = 50;

const KEYS: &[(&str, &str)] = &[
    ("?", "At any point of a line: list what can follow."),
    (
        "Tab",
        "Complete commands, options, values, and names of interfaces, namespaces, bridges and files.",
    ),
    ("Ctrl-R", "Search the lines of earlier sessions, kept in `$XDG_STATE_HOME/taptool/history'."),
    ("Ctrl-C", "End the running command, or clear the line."),
    ("Ctrl-D", "The same as `quit'."),
];

const LINES: &str = "\
Command paths abbreviate to what is unique (`sh int', `cr tap id 3'); what is not unique is listed. \
Options do not abbreviate.

`help COMMAND' explains a command. `exec FILE' runs a script. `define NAME TEXT' makes `$(NAME)' stand \
for the text. In scripts `#' begins a comment, and `\\' at the end of a line joins it with the next. The \
first line that fails ends a script with `FILE:LINE:' and its exit code; what the lines before it made \
stays, except with `hold --exec'.

`show ... --watch SECS' prints again until a key is pressed, with `--rates' per second. Long output goes \
through `$PAGER' (`less', where it is installed), with `--no-pager' never.

Events are printed above the line that is being typed: a host side renamed, moved or gone, a broken \
queue, an interface that another client made or deleted.";

const LEAVING: &str = "\
`quit' and Ctrl-D name the interfaces that would vanish, and ask. `detach' leaves them to a holder in the \
background. A terminal that is closed takes them along, unless a command from elsewhere made one of \
them.";

const VPP: &str = "\
The commands of VPP's shell that are about taps, and what each does here. Most work in VPP's words with \
VPP's effect. A script for VPP's shell runs as it is, or the line that cannot be honoured says why: \
nothing is accepted and ignored. A refused line ends with exit code 2 and says what to do instead.";

const COMPARISON: &str = "\
What VPP does with taps in its version of April 2019, in the newest (August 2026), and what taptool does. \
`in part': the word is taken, and some values of it are cut off, ignored or done wrong.";

const DIFFERENCES: &str = "\
An interface is up when it is made. `ifindex' in `show tap' is our `sw_if_index', as in VPP; \
`host-ifindex' is the Linux one. `desc_next' is missing: our rings keep no such number. The feature \
EVENT_IDX is used. A host MAC that was not asked for is the kernel's choice.";

/// These pages by file name.
pub fn pages() -> BTreeMap<String, String> {
    [("taptool-shell.8".to_owned(), shell()), ("taptool-vpp.8".to_owned(), vpp())].into()
}

fn shell() -> String {
    let none = Values::new();
    let mut roff = Roff::new();
    section(&mut roff, "SYNOPSIS");
    roff.text(usage("taptool [--private]"));
    section(&mut roff, "DESCRIPTION");
    prose(&mut roff, SHELL, &none);
    section(&mut roff, "KEYS");
    for (key, does) in KEYS {
        term(&mut roff, vec![bold(*key)], does, &none);
    }
    section(&mut roff, "LINES");
    prose(&mut roff, LINES, &none);
    section(&mut roff, "LEAVING");
    prose(&mut roff, LEAVING, &none);
    section(&mut roff, "EXAMPLES");
    let lines = ["create tap id 0 host-ns foo respond 10.9.0.2/24", "set interface ?", "detach"];
    example(&mut roff, lines.map(|line| format!("taptool# {line}")).iter().map(String::as_str));
    section(&mut roff, "EXIT STATUS");
    roff.text(inline(
        "0 when the shell is left; that of the first failed line where lines come from a pipe.",
        &none,
    ));
    section(&mut roff, "SEE ALSO");
    let others = ["taptool(8)", "taptool-hold(8)", "taptool-vpp(8)"];
    roff.text(references(&others.map(str::to_owned)));
    let command =
        Command::new("shell").about("Type commands at a prompt, with help and completion");
    finish(&command, "taptool-shell", &roff)
}

/// A command's grammar, with room to break a line in words that are wider than a page.
fn grammar(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.len() {
        ..WIDE => word.to_owned(),
        _ => word.replace('|', " | "),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn vpp() -> String {
    let none = Values::new();
    let mut roff = Roff::new();
    section(&mut roff, "SYNOPSIS");
    roff.text(usage("taptool COMMAND"));
    section(&mut roff, "DESCRIPTION");
    prose(&mut roff, VPP, &none);
    section(&mut roff, "COMMANDS THAT WORK");
    for row in VPP_COMMANDS {
        let more = match row.here {
            Here::Does(_, "") => "The same.".to_owned(),
            Here::Does(_, better) => format!("Better: {better}."),
            Here::Lacks { .. } | Here::Refuses { .. } => continue,
        };
        term(&mut roff, usage(&grammar(row.grammar)), &more, &none);
    }
    section(&mut roff, "COMMANDS THAT ARE REFUSED");
    for row in VPP_COMMANDS {
        if let Here::Lacks { instead, .. } | Here::Refuses { instead, .. } = row.here {
            term(&mut roff, usage(&grammar(row.grammar)), &format!("Instead: {instead}."), &none);
        }
    }
    section(&mut roff, "COMPARISON");
    prose(&mut roff, COMPARISON, &none);
    comparison::section(&mut roff);
    section(&mut roff, "DIFFERENCES");
    prose(&mut roff, DIFFERENCES, &none);
    section(&mut roff, "EXAMPLES");
    let lines = ["create tap id 0 host-ns foo host-ip4-addr 10.9.0.1/24", "show tap tap0"];
    example(&mut roff, lines.map(|line| format!("taptool {line}")).iter().map(String::as_str));
    section(&mut roff, "EXIT STATUS");
    roff.text([roman(program::codes_of("vpp"))]);
    section(&mut roff, "SEE ALSO");
    roff.text(references(&["taptool(8)", "taptool-shell(8)"].map(str::to_owned)));
    let command =
        Command::new("vpp").about("The commands of VPP's shell for taps, and what each does here");
    finish(&command, "taptool-vpp", &roff)
}
