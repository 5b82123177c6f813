//! A page for a command: its options, its sub-commands, its examples.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::text::{Values, example, inline, prose, section, term, usage};
use super::{keys, program, topics};
use taptool::cli::LINES_ONLY;

const SECTION: &str = "8";

/// All pages by file name.
pub fn pages() -> BTreeMap<String, String> {
    let mut tree = taptool::cli::tree();
    tree.build();
    let mut pages = BTreeMap::new();
    pages.insert(format!("taptool.{SECTION}"), program::page(&tree));
    for command in tree.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("taptool-{}.{SECTION}", command.get_name());
        pages.insert(name, page(command));
    }
    pages.extend(topics::pages());
    pages
}

fn page(command: &Command) -> String {
    let values = values(command);
    let leaves = leaves(command);
    let mut roff = Roff::new();
    section(&mut roff, "SYNOPSIS");
    let mut usages = vec![usage_of(command)];
    if command.is_subcommand_required_set() {
        usages.clear();
    }
    let own: Vec<&Arg> = arguments(command).collect();
    let new = |leaf: &Command| arguments(leaf).any(|arg| !has(&own, arg));
    let says_more = leaves.iter().filter(|leaf| usages.is_empty() || new(leaf));
    let more: Vec<String> = says_more.map(|leaf| usage_of(leaf)).collect();
    usages.extend(more);
    for (n, line) in usages.iter().enumerate() {
        if n > 0 {
            roff.control("br", []);
        }
        roff.text(usage(line));
    }
    section(&mut roff, "DESCRIPTION");
    prose(&mut roff, &about(command), &values);
    if !own.is_empty() {
        section(&mut roff, "OPTIONS");
        options(&mut roff, &own, &values);
    }
    sub_commands(&mut roff, &leaves, &own);
    section(&mut roff, "EXAMPLES");
    let mut lines: Vec<String> = Vec::new();
    for command in [command].into_iter().chain(leaves) {
        lines.extend(
            examples(command).into_iter().filter(|line| !lines.contains(line)).collect::<Vec<_>>(),
        );
    }
    example(&mut roff, lines.iter().map(String::as_str));
    section(&mut roff, "EXIT STATUS");
    let codes = program::codes_of(command.get_name());
    roff.text(inline(&codes, &Vec::new()));
    program::surroundings(&mut roff, command.get_name());
    section(&mut roff, "SEE ALSO");
    let others = program::see_also(command.get_name());
    roff.text(references(&others));
    finish(command, &format!("taptool-{}", command.get_name()), &roff)
}

/// Title, name, and what comes after them.
pub fn finish(command: &Command, name: &str, body: &Roff) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap();
    let man = Man::new(command.clone().about(lowered(&about)).display_name(name.to_owned()))
        .title(name.to_uppercase())
        .section(SECTION)
        // An empty one would be lost, and what follows would be taken for it.
        .date(" ")
        .source(concat!("taptool ", env!("CARGO_PKG_VERSION")))
        .manual("System Administration");
    let (mut head, mut named) = (Vec::new(), Vec::new());
    man.render_title(&mut head).unwrap();
    man.render_name_section(&mut named).unwrap();
    // Each piece defines the apostrophe for itself: once is enough.
    let parts =
        [String::from_utf8(head).unwrap(), String::from_utf8(named).unwrap(), body.render()];
    // Words are not broken, lines not stretched: options and names are to be copied.
    let quiet = ".nh\n.ad l\n";
    let mut page =
        String::from(".\\\" Written by tests/generated_files.rs from the command tree.\n");
    for (n, part) in parts.iter().enumerate() {
        let lines = part.lines().filter(|line| n == 0 || !line.contains(" .ds Aq "));
        lines.for_each(|line| page.extend([line, "\n"]));
        page.push_str(if n == 0 { quiet } else { "" });
    }
    page
}

/// A sentence as it stands behind a name and a dash.
fn lowered(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// The visible sub-commands that have none themselves, in their order.
fn leaves(command: &Command) -> Vec<&Command> {
    let mut found = Vec::new();
    for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
        let below = leaves(child);
        found.extend(if below.is_empty() { vec![child] } else { below });
    }
    found
}

/// Usage as manuals write it: what must be there stands bare, and few options are all named.
fn usage_of(command: &Command) -> String {
    let line = command.clone().render_usage().to_string();
    let line = line.trim_start_matches("Usage: ").replace("]...", "...]");
    let line = match of_lines(command) {
        true => line.trim_start_matches("taptool ").to_owned(),
        false => line,
    };
    let named = |arg: &Arg| match arg.get_value_names() {
        Some(names) if arg.get_action().takes_values() => {
            format!(" [--{} {}]", arg.get_long().unwrap(), names.join(" "))
        }
        _ => format!(" [--{}]", arg.get_long().unwrap()),
    };
    let options: Vec<String> =
        arguments(command).filter(|arg| !arg.is_positional()).map(named).collect();
    let line =
        if options.len() <= 4 { line.replace(" [OPTIONS]", &options.concat()) } else { line };
    let words = line.split(' ').map(|word| {
        let inner = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
        match inner {
            Some(choice) if choice.contains('|') => format!("{{{choice}}}"),
            Some(value) => value.to_owned(),
            None => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What is said about a command at length.
fn about(command: &Command) -> String {
    let text = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string);
    let text = text.unwrap();
    let ends = |paragraph: &str| match paragraph.ends_with(['.', ':']) {
        true => paragraph.to_owned(),
        false => format!("{paragraph}."),
    };
    text.split("\n\n").map(ends).collect::<Vec<_>>().join("\n\n")
}

/// A command's own arguments, as help shows them.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let own = |arg: &&Arg| {
        !arg.is_global_set()
            && !arg.is_hide_set()
            && !matches!(arg.get_id().as_str(), "help" | "version")
    };
    command.get_arguments().filter(own)
}

/// Whether the usage says all there is to say: `up|down`.
fn is_choice(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    arg.is_positional() && names.iter().any(|name| name.contains('|'))
}

/// Whether one of `args` is this, for whatever command.
fn has(args: &[&Arg], arg: &Arg) -> bool {
    args.iter().any(|other| other.get_id() == arg.get_id())
}

/// Words that stand for values, in a command and below it.
fn values(command: &Command) -> Values {
    let names = |arg: &Arg| {
        arg.get_value_names().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let mut found: Values = arguments(command).filter_map(names).flatten().collect();
    found.extend(command.get_subcommands().flat_map(values));
    found.retain(|name| !name.chars().any(char::is_lowercase));
    found
}

/// Options under their headings.
fn options(roff: &mut Roff, args: &[&Arg], values: &Values) {
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in args {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    // Those without a heading first, or they would belong to the last.
    headings.sort_by_key(Option::is_some);
    for heading in headings {
        if let Some(heading) = heading {
            roff.control("SS", [heading]);
        }
        for arg in args.iter().filter(|arg| arg.get_help_heading() == heading && !is_choice(arg)) {
            option(roff, arg, values);
        }
    }
}

/// An option in all its spellings, and its help.
pub fn option(roff: &mut Roff, arg: &Arg, values: &Values) {
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    let takes = arg.get_action().takes_values();
    let mut head: Vec<Inline> = Vec::new();
    if arg.is_positional() {
        head = usage(&value);
        if head.is_empty() {
            head.push(italic(arg.get_id().as_str()));
        }
        if arg.get_num_args().is_some_and(|n| n.max_values() > 1) {
            head.push(roman("..."));
        }
    } else {
        let short = arg.get_short().map(|short| format!("-{short}"));
        let longs = arg.get_long().into_iter().chain(arg.get_visible_aliases().unwrap_or_default());
        for spelling in short.into_iter().chain(longs.map(|long| format!("--{long}"))) {
            if !head.is_empty() {
                head.push(roman(", "));
            }
            head.push(bold(spelling));
            if takes {
                head.extend([roman(" "), italic(value.as_str())]);
            }
        }
    }
    if matches!(arg.get_action(), ArgAction::Help) {
        return term(roff, head, "Print help: `-h' in short, `--help' in full.", values);
    }
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap();
    let (first, rest) = help.split_once("\n\n").map_or((help.as_str(), ""), |(a, b)| (a, b));
    let stop = if first.ends_with('.') { "" } else { "." };
    let text =
        if rest.is_empty() { format!("{first}{stop}") } else { format!("{first}{stop}\n\n{rest}") };
    term(roff, head, &text, values);
}

/// What goes on behind the command's word.
fn sub_commands(roff: &mut Roff, leaves: &[&Command], own: &[&Arg]) {
    if leaves.is_empty() {
        return;
    }
    section(roff, "COMMANDS");
    for leaf in leaves {
        roff.control("TP", []);
        roff.text(usage(usage_of(leaf).trim_start_matches("taptool ")));
        let values = values(leaf);
        for (n, paragraph) in about(leaf).split("\n\n").enumerate() {
            if n > 0 {
                roff.control("IP", []);
            }
            roff.text(inline(paragraph, &values));
        }
        let new: Vec<&Arg> = arguments(leaf).filter(|arg| !has(own, arg)).collect();
        if !new.is_empty() {
            roff.control("RS", []);
            new.iter().filter(|arg| !is_choice(arg)).for_each(|arg| option(roff, arg, &values));
            roff.control("RE", []);
        }
    }
}

/// Whether it means nothing on a command line of its own. `show macro' lists what lines defined.
fn of_lines(command: &Command) -> bool {
    LINES_ONLY.contains(&command.get_name()) || command.get_name() == "macro"
}

/// The example lines of a command's help, as a shell takes them, or as they are typed in ours where
/// they mean nothing to another.
fn examples(command: &Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines =
        help.lines().filter_map(|l| l.strip_prefix("  ").or_else(|| l.strip_prefix("Example: ")));
    let shell = |line: &str| match line.contains("taptool") {
        true => line.to_owned(),
        false if of_lines(command) => format!("taptool# {line}"),
        false => format!("taptool {line}"),
    };
    lines.map(shell).collect()
}

/// `taptool(8), ip(8)` with names in bold.
pub fn references(pages: &[String]) -> Vec<Inline> {
    let mut parts = Vec::new();
    for page in pages {
        let (name, number) = page.split_once('(').unwrap();
        if !parts.is_empty() {
            parts.push(roman(", "));
        }
        parts.extend([bold(name), roman(format!("({number}"))]);
    }
    parts
}

/// The keys of JSON as terms.
pub fn key_terms(roff: &mut Roff, keys: &[keys::Key]) {
    for key in keys {
        let head = vec![bold(key.name.as_str()), roman(" ("), roman(key.kind.as_str()), roman(")")];
        term(roff, head, &key.sentence, &Vec::new());
    }
}
