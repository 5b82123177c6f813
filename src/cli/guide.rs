//! Help with a line that is being typed: the words that can follow, and the first wrong word.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use clap::builder::StyledStr;
use clap::{Arg, Command};

use super::complete;
use super::grammar::{self, Parsed, Unparsed};
use super::names::Seen;
use super::pieces::{self, Piece};
use super::place::Place;
use super::vpp;
use super::words::{self, Partial, partial};
use crate::render::wrapped;
use crate::sys::terminal;

/// Columns assumed where the terminal does not report them.
const COLUMNS: usize = 80;

/// On terminals narrower than this, an explanation goes below its word.
const NARROW: usize = 60;

/// Widest column of words.
const WORDS_MAX: usize = 30;

/// The existing interfaces, as the shell last saw them.
pub type Names = Arc<Mutex<Vec<Seen>>>;

/// Helps with lines of a shell.
#[derive(Debug)]
pub struct Guide {
    /// Includes, hidden, the commands that this version lacks.
    root: Command,
    /// Without them.
    tree: Command,
    names: Names,
}

/// Words that may replace the last word of a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Candidates {
    /// Where that word begins.
    pub from: usize,
    /// The words, as they are to be inserted.
    pub words: Vec<String>,
}

/// A likely continuation of a line, shown behind it.
#[derive(Debug, PartialEq, Eq)]
pub enum Hint {
    /// The rest of a word.
    Rest(String),
    /// What kind of value is expected.
    Value(String),
}

impl Guide {
    /// A guide that knows these names of interfaces.
    pub fn new(names: Names) -> Self {
        let tree = grammar::tree();
        Self { root: vpp::with_lacking(tree.clone()), tree, names }
    }

    /// What Tab offers at the end of `line`.
    pub fn candidates(&self, line: &str) -> Candidates {
        let (before, last) = typed(line);
        let from = last.as_ref().map_or(line.len(), |piece| piece.at.start);
        let current = match &last {
            Some(piece) if !piece.plain => return Candidates { from, words: Vec::new() },
            Some(piece) => &*piece.word,
            None => "",
        };
        let mut before: &[String] = &before;
        let first = before.is_empty();
        if before.first().is_some_and(|word| word == "help") {
            before = &before[1..];
        }
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found = complete::among(&self.tree, before, current, known);
        let runs = |word: &String| !before.is_empty() || Place::Script.takes(word);
        let mut words: Vec<String> = found
            .into_iter()
            .filter_map(|candidate| candidate.get_value().to_str().map(str::to_owned))
            // clap_complete filters some candidates by the typed prefix, and others not at all.
            .filter(|word| word.starts_with(current))
            .filter(runs)
            .collect();
        if first && !current.is_empty() && "help".starts_with(current) {
            words.push("help".to_owned());
        }
        let whole = |word: String| {
            let more = word.ends_with(['/', '=', ':']);
            let word = shlex::try_quote(&word).map_or(word.clone(), Into::into);
            if more { word } else { format!("{word} ") }
        };
        Candidates { from, words: words.into_iter().map(whole).collect() }
    }

    /// The continuation of `line`, if only one is likely.
    pub fn hint(&self, line: &str) -> Option<Hint> {
        let (before, last) = typed(line);
        if before.is_empty() && last.is_none() {
            return None;
        }
        let next = partial(&self.tree, &before)?;
        let Some(current) = last else {
            let arg = next.value_of.or_else(|| next.place().filter(|arg| arg.is_required_set()))?;
            return Some(Hint::Value(value_name(arg)));
        };
        if next.value_of.is_some() || !current.plain {
            return None;
        }
        let mut words = next.commands().map(Command::get_name).collect::<Vec<_>>();
        words.retain(|word| !next.path.is_empty() || Place::Script.takes(word));
        words.extend(next.bare_options().map(|(word, _)| word));
        words.retain(|word| word.starts_with(&current.word));
        match words.as_slice() {
            [one] => Some(Hint::Rest(one[current.word.len()..].to_owned())),
            _ => None,
        }
        .filter(|hint| *hint != Hint::Rest(String::new()))
    }

    /// The first wrong word of `line`. The word that is being typed is not judged: it may become
    /// right.
    pub fn wrong(&self, line: &str) -> Option<Range<usize>> {
        let (mut pieces, _) = pieces::split(line);
        if !line.ends_with([' ', '\t']) {
            pieces.pop();
        }
        // The value of a macro is known only when the line runs.
        let text = |piece: &Piece| piece.word.contains("$(");
        let meta = |piece: &Piece| matches!(&*piece.word, "comment" | "help" | "?");
        if pieces.iter().any(text) || pieces.first().is_some_and(meta) {
            return None;
        }
        let words: Vec<String> = pieces.iter().map(|piece| piece.word.clone()).collect();
        if partial(&self.root, &words).is_some() {
            return None;
        }
        let at = words::resolve(&self.root, &words, Place::Script.help()).err()?.at?;
        pieces.get(at).map(|piece| piece.at.clone())
    }
}

/// The words of a line before the last, and the last word; none if the line ends in a blank.
fn typed(line: &str) -> (Vec<String>, Option<Piece>) {
    let (mut pieces, whole) = pieces::split(line);
    let ended = whole && line.ends_with([' ', '\t']);
    let last = if ended { None } else { pieces.pop() };
    (pieces.into_iter().map(|piece| piece.word).collect(), last)
}

/// Reads a line that stands in this place; one that asks for help is answered.
pub(super) fn parse(line: &[String], place: Place) -> Result<Parsed, Unparsed> {
    match answer(line, place) {
        Some(answer) => Err(answer),
        None => grammar::parse(line, place),
    }
}

/// Answers a line that asks for help: `help [COMMAND]` explains a command, `?` at the end lists the
/// words that can follow. None for every other line.
fn answer(line: &[String], place: Place) -> Option<Unparsed> {
    let text = match (line.split_first(), line.split_last()) {
        (_, Some((last, before))) if last == "?" => {
            let before = before.strip_prefix(&["help".to_owned()]).unwrap_or(before);
            next(before, place)
        }
        (Some((first, [])), _) if first == "help" => next(&[], place),
        (Some((first, path)), _) if first == "help" => {
            let asked: Vec<String> = path.iter().cloned().chain(["--help".to_owned()]).collect();
            return grammar::parse(&asked, place).err();
        }
        _ => return None,
    };
    Some(match text {
        Ok(text) => Unparsed::Help(Box::new(StyledStr::from(text))),
        Err(refusal) => Unparsed::Refused(refusal),
    })
}

/// Lists the words that can follow `words`, one per line.
fn next(words: &[String], place: Place) -> Result<String, words::Refusal> {
    let root = vpp::with_lacking(grammar::tree());
    let columns = terminal::size(std::io::stdin()).map_or(COLUMNS, |(columns, _)| columns);
    let Some(next) = partial(&root, words) else {
        // `resolve' gives the reason why `partial' refused.
        return words::resolve(&root, words, place.help()).map(|_| String::new());
    };
    let mut rows = rows(&next);
    if next.path.is_empty() {
        rows.retain(|(word, _)| place.takes(word));
        rows.push(("help COMMAND".to_owned(), "Explain a command, with examples".to_owned()));
        rows.push((
            "?".to_owned(),
            "At the end of a line: list the words that can follow".to_owned(),
        ));
    }
    Ok(table(&rows, columns))
}

fn rows(next: &Partial<'_>) -> Vec<(String, String)> {
    let help = |arg: &Arg| arg.get_help().map(ToString::to_string).unwrap_or_default();
    if let Some(arg) = next.value_of {
        let mut rows = vec![(value_name(arg), help(arg))];
        let values = arg.get_possible_values();
        rows.extend(values.iter().filter(|value| !value.is_hide_set()).map(|value| {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            (value.get_name().to_owned(), help)
        }));
        return rows;
    }
    let mut rows: Vec<(String, String)> = next
        .commands()
        .map(|command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            (command.get_name().to_owned(), about)
        })
        .collect();
    rows.extend(next.place().map(|arg| (value_name(arg), help(arg))));
    let mut last = None;
    for (word, arg) in next.bare_options().filter(|(_, arg)| !next.is_spent(arg)) {
        // Of several spellings, the first.
        if last.replace(arg.get_id()) == Some(arg.get_id()) {
            continue;
        }
        let takes = arg.get_action().takes_values();
        let shown = if takes { format!("{word} {}", value_name(arg)) } else { word.to_owned() };
        rows.push((shown, help(arg)));
    }
    if next.may_end() {
        rows.push(("<Enter>".to_owned(), "Run it".to_owned()));
    }
    rows
}

fn value_name(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first());
    let name = name.map_or_else(|| arg.get_id().to_string(), ToString::to_string);
    let many = matches!(arg.get_action(), clap::ArgAction::Append) && arg.is_positional();
    if many { format!("{name}...") } else { name }
}

/// Formats words with their explanations in lines no longer than the terminal, where words allow it.
fn table(rows: &[(String, String)], columns: usize) -> String {
    let widest = rows.iter().map(|(word, _)| word.len()).max().unwrap_or(0).min(WORDS_MAX);
    let (narrow, indent) = (columns < NARROW, if columns < NARROW { 6 } else { widest + 4 });
    let mut text = String::new();
    for (word, help) in rows {
        let mut head = format!("  {word}");
        if (narrow || word.len() > WORDS_MAX) && !help.is_empty() {
            text += &format!("{head}\n");
            head.clear();
        }
        let head = format!("{head:indent$}");
        text += &wrapped(&head, help.split_whitespace(), " ", indent, columns);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide() -> Guide {
        let seen = |n: u32, addresses: &[&str]| Seen {
            name: format!("tap{n}"),
            sw_if_index: (n + 1).to_string(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            domain: None,
        };
        let seen = vec![seen(0, &["10.9.0.2/24", "fd00::2/64"]), seen(1, &[])];
        Guide::new(Arc::new(Mutex::new(seen)))
    }

    fn asked(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match answer(&words, Place::Script) {
            Some(Unparsed::Help(text)) => text.to_string(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_question_mark_lists_what_can_come_next() {
        let first = asked("?");
        assert!(first.starts_with("  create "), "{first}");
        assert!(first.contains("\n  quit ") && !first.contains("pcap"), "{first}");
        assert!(first.contains("\n  help COMMAND ") && !first.contains("\n  demo "), "{first}");
        let tap = asked("cr tap id 3 ?");
        assert!(tap.contains("  rx-ring-size N ") && tap.contains("  <Enter> "), "{tap}");
        assert!(!tap.contains("\n  id N "), "given already: {tap}");
        assert!(asked("create tap host-ns ?").starts_with("  NS  Its namespace"));
        assert!(asked("gso ?").starts_with("  NAME  "));
        assert!(!asked("gso tap0 ?").contains("<Enter>"));
        assert!(asked("create tap backend ?").contains("\n  userspace"));
        assert!(asked("help show tap").contains("Usage: taptool show tap"));
        assert_eq!(asked("help"), first);
    }

    #[test]
    fn a_question_about_a_wrong_line_is_refused_as_the_line_is() {
        let words = ["create".into(), "gsoo".into(), "?".into()];
        let Some(Unparsed::Refused(refusal)) = answer(&words, Place::Script) else { panic!() };
        assert_eq!((refusal.at, &*refusal.path), (Some(1), "create"));
    }

    #[test]
    fn a_list_of_what_comes_next_keeps_to_40_80_and_200_columns() {
        let root = grammar::tree();
        for words in ["", "create", "create tap", "show", "set interface"] {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            let rows = rows(&partial(&root, &words).unwrap());
            for columns in [40, 80, 200] {
                let text = table(&rows, columns);
                let longest = text.lines().map(str::len).max().unwrap();
                assert!(longest <= columns, "{longest}: {text}");
            }
        }
        let words = ["create", "tap", "backend"].map(str::to_owned);
        let rows = rows(&partial(&root, &words).unwrap());
        let narrow = "  WHICH
      What serves the rings: auto,
      vhost-net or userspace [default:
      auto]
  auto
      Vhost-net where it works, else
      userspace
  vhost-net
      The kernel's /dev/vhost-net
  userspace
      The device embedded in this
      process
";
        assert_eq!(table(&rows, 40), narrow, "{}", table(&rows, 40));
        let wide =
            "  WHICH      What serves the rings: auto, vhost-net or userspace [default: auto]\n";
        assert!(table(&rows, 80).starts_with(wide), "{}", table(&rows, 80));
        assert_eq!(table(&rows, 80), table(&rows, 200));
    }

    #[test]
    fn tab_offers_commands_options_and_names() {
        let offered = |line: &str| guide().candidates(line).words;
        assert_eq!(offered("sh"), ["show "]);
        assert_eq!(offered("del"), ["delete "]);
        assert_eq!(offered("hel"), ["help "]);
        assert_eq!(
            offered("create tap0 host-i"),
            ["host-if-name ", "host-ip4-addr ", "host-ip6-addr ", "host-ip4-gw ", "host-ip6-gw "]
        );
        assert_eq!(offered("gso t"), ["tap0 ", "tap1 "]);
        assert_eq!(offered("gso tap0 o"), ["on ", "off "]);
        assert_eq!(guide().candidates("show tap ta").from, 9);
        assert_eq!(offered("xconnect tap0 "), ["tap1 "]);
        assert_eq!(
            offered("xconnect tap0 tap1 "),
            [
                "off ",
                "link-state ",
                "delay ",
                "jitter ",
                "loss ",
                "duplicate ",
                "reorder ",
                "corrupt ",
                "rate ",
                "limit ",
                "seed "
            ]
        );
        assert_eq!(offered("set interface ip address "), ["tap0 ", "tap1 ", "del "]);
        assert_eq!(offered("set int ip addr del "), ["tap0 ", "tap1 "]);
        let taken = ["10.9.0.2/24 ", "fd00::2/64 ", "all "];
        assert_eq!(offered("set int ip addr del tap0 "), taken);
        assert_eq!(offered("set int ip addr del tap0 f"), taken[1..2]);
        assert_eq!(offered("set int ip addr del tap1 "), ["all "]);
        assert_eq!(offered("set int ip addr tap0 "), ["del "]);
        assert_eq!(offered("delete sw_if_index "), ["1 ", "2 "]);
        assert_eq!(offered("set tap gso sw_if_index "), ["1 ", "2 "]);
        assert!(offered("foo b").is_empty());
    }

    #[test]
    fn a_hint_is_the_rest_of_a_word_or_the_value_that_is_due() {
        let hint = |line: &str| guide().hint(line);
        assert_eq!(hint("sho"), Some(Hint::Rest("w".into())));
        assert_eq!(hint("s"), None);
        assert_eq!(hint("create tap id "), Some(Hint::Value("N".into())));
        assert_eq!(hint("create tap host-n"), Some(Hint::Rest("s".into())));
        assert_eq!(hint("gso "), Some(Hint::Value("NAME".into())));
        assert_eq!(hint(""), None);
    }

    #[test]
    fn the_first_wrong_word_is_found_once_it_is_whole() {
        let wrong = |line: &str| guide().wrong(line);
        assert_eq!(wrong("create tap gsoo"), None);
        assert_eq!(wrong("create tap gsoo "), Some(11..15));
        assert_eq!(wrong("creat tap0 id 3 "), None);
        assert_eq!(wrong("foo  bar "), Some(0..3));
        assert_eq!(wrong("create tap0 $(X) "), None);
        assert_eq!(wrong("set "), None);
    }
}
