//! Words as people type them → argv as clap reads it.
//!
//! Two spellings meet here: POSIX (`--host-ns foo`) and VPP's bare words (`host-ns foo`). The
//! rewriting knows no command. It walks clap's own tree: sub-commands abbreviate to unique
//! prefixes, a bare word that is a long option of the command becomes that option, and a bare word
//! that is nothing the command takes is refused before clap sees it.
//!
//! Four things of the tree steer it:
//! * a hidden sub-command without arguments is a command that this version lacks, described by what
//!   to do instead;
//! * global options and `--all` are never bare words;
//! * a positional of trailing words takes the rest of the line as it is;
//! * an optional positional that shares its value name with an option (`[NAME]` and
//!   `--if-name <NAME>`) invents a name. It stands before any bare-word option, and a word of the
//!   grammar or a slip of an option is no such name; that option is the remedy, with those whose
//!   value name ends in it (`--host-if-name <HOST-NAME>`). What a name is doubted for is said when
//!   nothing else is wrong with the line.

mod nearest;
mod partial;
#[cfg(test)]
mod tests;
mod tree;

use clap::{Arg, Command};

pub(crate) use partial::{Partial, partial};
use tree::{
    Child, bare_option, bare_words, child, children, find_long, in_grammar, lacked, lacking, longs,
    naming_options, place,
};

use crate::diag::Failure;
use crate::render::escape;
use crate::units::IfName;

/// Longest piece of the input that an error quotes, characters.
const QUOTED_MAX: usize = 30;

/// A resolved line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Full words of the command path (`create tap`); empty for none.
    pub path: String,
    /// The words for clap, the program's name not among them.
    pub argv: Vec<String>,
    /// A word that was taken as a name, but may not be one.
    pub doubt: Option<Doubt>,
}

/// A word taken as a name, and what else it may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// The word.
    pub word: String,
    /// It stands where a sub-command could.
    pub first: bool,
    /// What it resembles: a command, or an option of this one.
    pub meant: Option<String>,
    /// What it abbreviates: a command that this version lacks.
    pub lacked: Option<Refusal>,
}

/// A line that is no command, and how far it was one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Full words of the command path so far.
    pub path: String,
    /// Why.
    pub failure: Box<Failure>,
    /// The word that is to blame, by its number; none where that is not one of them.
    pub at: Option<usize>,
}

/// Resolves `words` against the command tree under `root`. `help` is the word that lists the
/// commands.
pub(crate) fn resolve(root: &Command, words: &[String], help: &str) -> Result<Line, Refusal> {
    let mut walk = Walk { help, ..Walk::new(root) };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        walk.at = Some(words.len() - rest.as_slice().len() - 1);
        let step = if word == "--" {
            walk.argv.push(word.clone());
            rest.by_ref().try_for_each(|word| walk.literal(word))
        } else {
            walk.step(word, &mut rest)
        };
        if let Err(failure) = step {
            return Err(walk.refusal(failure));
        }
    }
    walk.at = None;
    if let Err(failure) = walk.complete() {
        return Err(walk.refusal(failure));
    }
    let names = walk.argv.iter().position(|word| word == "--").unwrap_or(walk.argv.len());
    walk.argv.splice(names..names, walk.late);
    Ok(Line { path: walk.path.join(" "), argv: walk.argv, doubt: walk.doubt })
}

/// The input in VPP's quotes, safe to print.
pub(crate) fn quoted(input: &str) -> String {
    let mut shown: String = input.chars().take(QUOTED_MAX).collect();
    if shown.len() < input.len() {
        shown.push_str("...");
    }
    format!("`{}'", escape(&shown))
}

fn unknown(word: &str) -> Failure {
    Failure::usage("", format!("unknown input {}", quoted(word)))
}

struct Walk<'a> {
    root: &'a Command,
    node: &'a Command,
    /// Lists the commands.
    help: &'a str,
    /// The number of the word that is looked at, or is to blame.
    at: Option<usize>,
    path: Vec<&'a str>,
    argv: Vec<String>,
    /// Something of this node was given, so its sub-commands are over.
    begun: bool,
    /// A bare word became an option.
    bare_option: bool,
    positionals: usize,
    doubt: Option<Doubt>,
    /// The name that is invented here, and its place on the line.
    named: Option<(Option<usize>, String)>,
    /// Why that is no name after all.
    misnamed: Option<Failure>,
    /// The commands above this one, without the first.
    above: Vec<&'a Command>,
    /// Options of those, which clap takes behind everything else.
    late: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Command) -> Self {
        Self {
            root,
            node: root,
            help: "--help",
            at: None,
            path: Vec::new(),
            argv: Vec::new(),
            begun: false,
            bare_option: false,
            positionals: 0,
            doubt: None,
            named: None,
            misnamed: None,
            above: Vec::new(),
            late: Vec::new(),
        }
    }

    fn refusal(&self, failure: Failure) -> Refusal {
        Refusal { path: self.path.join(" "), failure: Box::new(failure), at: self.at }
    }

    /// A word before any `--`, and its value.
    fn step(&mut self, word: &str, rest: &mut std::slice::Iter<'_, String>) -> Result<(), Failure> {
        if word.len() > 1 && word.starts_with('-') && !self.at_text() {
            self.dashed(word, rest)
        } else {
            self.bare(word, rest)
        }
    }

    /// A word that begins with a dash. Short options are all flags and go to clap as they are.
    fn dashed(
        &mut self,
        word: &str,
        rest: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), Failure> {
        let Some(long) = word.strip_prefix("--") else {
            if let Some(failure) = self.unknown_short(word, rest.as_slice().first()) {
                return Err(failure);
            }
            self.argv.push(word.to_owned());
            return Ok(());
        };
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        if matches!(name, "help" | "version") {
            self.argv.push(word.to_owned());
            return Ok(());
        }
        let (arg, own) = match (find_long(self.node, name), self.shared(name)) {
            (Some(arg), _) if !arg.is_global_set() => (arg, true),
            (_, Some(arg)) => (arg, false),
            _ => return Err(self.unknown_option(word, name)),
        };
        self.begun |= own;
        let optional = arg.get_num_args().is_some_and(|values| values.min_values() == 0);
        let option = match value {
            None if arg.get_action().takes_values() => match rest.as_slice().first() {
                // A value that may be left out is a number: a name is not taken for it.
                Some(next) if optional && next.parse::<f64>().is_err() => word.to_owned(),
                None if optional => word.to_owned(),
                Some(next) if !next.starts_with("--") => {
                    rest.next();
                    format!("--{name}={next}")
                }
                _ => return Err(lacks_value(arg, name)),
            },
            _ => word.to_owned(),
        };
        let of_root = find_long(self.root, name).is_some();
        if own || of_root {
            self.argv.push(option)
        } else {
            self.late.push(option)
        }
        Ok(())
    }

    /// The option of this command, or of one above it, that all commands below that have.
    fn shared(&self, name: &str) -> Option<&'a Arg> {
        let places = [self.root, self.node].into_iter().chain(self.above.iter().copied());
        places.filter_map(|place| find_long(place, name)).find(|arg| arg.is_global_set())
    }

    /// Whether the rest of the line is text of the user's own.
    fn at_text(&self) -> bool {
        place(self.node, self.positionals).is_some_and(Arg::is_trailing_var_arg_set)
    }

    fn bare(&mut self, word: &str, rest: &mut std::slice::Iter<'_, String>) -> Result<(), Failure> {
        if !self.begun {
            match child(self.node, word) {
                // A whole option is not half a sub-command.
                Child::One(next)
                    if next.get_name() != word && bare_option(self.node, word).is_some() => {}
                Child::One(next) => {
                    self.abbreviates_safely(word, next)?;
                    return self.descend(next);
                }
                Child::Several(names) => return Err(ambiguous(word, &names, "could be")),
                Child::None => {}
            }
            // Where a name may stand it may be one.
            match lacked(self.node, word) {
                Child::One(next) if place(self.node, 0).is_none() => return self.descend(next),
                Child::Several(names) if place(self.node, 0).is_none() => {
                    return Err(ambiguous(word, &names, "not in this version:"));
                }
                _ => {}
            }
        }
        if let Some(arg) = bare_option(self.node, word) {
            self.begun = true;
            self.bare_option = true;
            if !arg.get_action().takes_values() {
                self.argv.push(format!("--{word}"));
                return Ok(());
            }
            let optional = arg.get_num_args().is_some_and(|values| values.min_values() == 0);
            if optional && rest.as_slice().is_empty() {
                self.argv.push(format!("--{word}"));
                return Ok(());
            }
            let value = rest.next().ok_or_else(|| lacks_value(arg, word))?;
            self.argv.push(format!("--{word}={value}"));
            return Ok(());
        }
        let place = place(self.node, self.positionals);
        // An option that may not stand bare is no name either.
        let Some(place) = place.filter(|_| find_long(self.node, word).is_none()) else {
            return Err(self.refused_word(word));
        };
        if place.is_trailing_var_arg_set() {
            // The rest is text, not words of the grammar.
            self.begun = true;
            self.argv.extend(["--".to_owned(), word.to_owned()]);
            self.argv.extend(rest.cloned());
            return Ok(());
        }
        if !naming_options(self.node, place).is_empty() {
            if self.bare_option {
                return Err(self.refused_word(word));
            }
            self.named = Some((self.at, word.to_owned()));
            self.misnamed = self.may_name(word, place).err();
        } else if self.doubt.is_none() {
            self.doubt = self.doubt(word);
        }
        self.begun = true;
        self.positionals += 1;
        self.argv.push(word.to_owned());
        Ok(())
    }

    /// Where a name may stand too, half a sub-command could be one: taptool does not guess which.
    fn abbreviates_safely(&self, word: &str, next: &Command) -> Result<(), Failure> {
        let whole = next.get_name();
        let remedy = place(self.node, 0).and_then(|place| self.remedy(word, place));
        match remedy {
            Some(remedy) if word != whole && !next.get_all_aliases().any(|a| a == word) => {
                Err(Failure::usage("", format!("ambiguous input {}", quoted(word)))
                    .hint(format!("write {}, or as a name: {remedy}", quoted(whole))))
            }
            _ => Ok(()),
        }
    }

    /// What else `word` may be than a name of something that is there.
    fn doubt(&self, word: &str) -> Option<Doubt> {
        let first = !self.begun && self.node.has_subcommands();
        let command = nearest::slip(word, children(self.node), 2).filter(|_| first);
        let option = || {
            let words = || bare_words(self.node);
            let begun = |option: &&str| word.len() > 2 && option.starts_with(word);
            nearest::slip(word, words(), 2).or_else(|| words().find(begun)).map(str::to_owned)
        };
        let meant = match command {
            Some(command) => Some([&self.path[..], &[command]].concat().join(" ")),
            None => option(),
        };
        let lacked = match lacked(self.node, word) {
            Child::One(command) if first => Some(Refusal {
                path: [&self.path[..], &[command.get_name()]].concat().join(" "),
                failure: Box::new(not_supported(command)),
                at: self.at,
            }),
            _ => None,
        };
        let doubtful = first || meant.is_some();
        doubtful.then(|| Doubt { word: word.to_owned(), first, meant, lacked })
    }

    /// A word after `--`.
    fn literal(&mut self, word: &str) -> Result<(), Failure> {
        if place(self.node, self.positionals).is_none() {
            return Err(unknown(word));
        }
        self.positionals += 1;
        self.argv.push(word.to_owned());
        Ok(())
    }

    fn descend(&mut self, next: &'a Command) -> Result<(), Failure> {
        self.path.push(next.get_name());
        if lacking(next) {
            return Err(not_supported(next));
        }
        self.above.push(self.node);
        self.node = next;
        self.argv.push(next.get_name().to_owned());
        Ok(())
    }

    /// Whether the line may end here.
    fn complete(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.misnamed.take() {
            self.blame_name();
            return Err(failure);
        }
        let asks = |arg: &String| matches!(arg.as_str(), "--help" | "-h" | "--version" | "-V");
        if !self.node.is_subcommand_required_set() || self.argv.iter().any(asks) {
            return Ok(());
        }
        Err(Failure::usage("", "incomplete command").hint(goes_on(self.node)))
    }

    /// The name is to blame, not the word that is looked at.
    fn blame_name(&mut self) {
        self.at = self.named.as_ref().and_then(|(at, _)| *at);
    }

    /// The options that make `word` a name all the same; none where it can be none.
    fn remedy(&self, word: &str, place: &Arg) -> Option<String> {
        IfName::new(word).ok()?;
        let options = naming_options(self.node, place).into_iter();
        let options: Vec<String> = options.map(|option| format!("--{option} {word}")).collect();
        (!options.is_empty()).then(|| options.join(" "))
    }

    /// Whether `word` may be the name of something new.
    fn may_name(&self, word: &str, place: &Arg) -> Result<(), Failure> {
        let remedy = self.remedy(word, place);
        if in_grammar(self.root, word) {
            let Some(remedy) = remedy else { return Ok(()) };
            let why = format!("{} is a word of the commands, not a name", quoted(word));
            return Err(
                Failure::usage("", why).hint(format!("to use it as a name all the same: {remedy}"))
            );
        }
        // What can be made (`tap`) is a good beginning of a name (`tapa`).
        let group = if self.node.has_subcommands() { Some(&self.node) } else { self.above.last() };
        let noun = |word: &&str| group.is_some_and(|node| node.find_subcommand(word).is_some());
        let options = bare_words(self.node).filter(|word| !noun(word));
        let Some(meant) = nearest::slip(word, options, 1) else { return Ok(()) };
        let hint = format!("did you mean {}", quoted(meant));
        Err(unknown(word).hint(match remedy {
            Some(remedy) => format!("{hint}; or, as a name: {remedy}"),
            None => hint,
        }))
    }

    /// The refusal of a bare word that has no place, unless it is the name before it that has none.
    fn refused_word(&mut self, word: &str) -> Failure {
        let failure = self.unknown_word(word);
        if failure.hint.is_some() {
            return failure;
        }
        let name = self.named.as_ref().map_or("", |(_, name)| name);
        let noun = nearest::one_edit(name, children(self.node));
        let noun = noun.map(|noun| unknown(name).hint(format!("did you mean {}", quoted(noun))));
        let lacked = match lacked(self.node, name) {
            Child::One(command) if name.len() > 1 => Some(command),
            _ => None,
        };
        let lacked = || {
            let command = lacked?;
            self.path.push(command.get_name());
            Some(not_supported(command))
        };
        match self.misnamed.take().or(noun).or_else(lacked) {
            Some(failure) => {
                self.blame_name();
                failure
            }
            None => failure,
        }
    }

    fn unknown_word(&self, word: &str) -> Failure {
        let dashed = find_long(self.node, word).or_else(|| find_long(self.root, word));
        if dashed.is_some() || matches!(word, "help" | "version") {
            return unknown(word).hint(format!("did you mean {}", quoted(&format!("--{word}"))));
        }
        if let Some((name, _)) = word.split_once('=')
            && find_long(self.node, name).is_some()
        {
            return unknown(word).hint(format!("did you mean {}", quoted(&format!("--{word}"))));
        }
        let after_options = self.begun || !self.node.has_subcommands();
        let words: Vec<&str> = if after_options {
            bare_words(self.node).collect()
        } else {
            bare_words(self.node).chain(children(self.node)).collect()
        };
        match nearest::nearest(word, words.into_iter()) {
            Some(meant) => unknown(word).hint(format!("did you mean {}", quoted(meant))),
            None if self.path.is_empty() && word == self.root.get_name() => unknown(word)
                .hint("a line of a script begins with the command: `show', not `taptool show'"),
            None if self.path.is_empty() => {
                unknown(word).hint(format!("{} lists the commands", quoted(self.help)))
            }
            None if !after_options => unknown(word).hint(goes_on(self.node)),
            None => match few_flags(self.node) {
                Some(flags) => unknown(word).hint(format!("goes on with {flags}")),
                None => unknown(word),
            },
        }
    }

    /// The refusal of a short option that other programs have for a long one of the program's that
    /// takes a value (`vppctl -s SOCKET'). Here its value would be refused instead.
    fn unknown_short(&self, word: &str, next: Option<&String>) -> Option<Failure> {
        let mut letters = word.strip_prefix('-')?.chars();
        let short = letters.next()?;
        let here = self.node.get_arguments().chain(self.root.get_arguments());
        if here.filter_map(Arg::get_short).any(|known| known == short) {
            return None;
        }
        let takes = |arg: &&Arg| arg.is_global_set() && arg.get_action().takes_values();
        let mut options = self.root.get_arguments().filter(takes);
        let arg = options.find(|arg| arg.get_long().is_some_and(|long| long.starts_with(short)))?;
        let value = match (letters.as_str(), next) {
            ("", Some(next)) => next,
            ("", None) => arg.get_value_names()?.first()?.as_str(),
            (value, _) => value,
        };
        let meant = format!("--{} {value}", arg.get_long()?);
        Some(unknown(&format!("-{short}")).hint(format!("did you mean `{}'", escape(&meant))))
    }

    fn unknown_option(&self, word: &str, name: &str) -> Failure {
        let longs = self.node.get_arguments().chain(self.root.get_arguments()).flat_map(longs);
        match nearest::nearest(name, longs) {
            Some(meant) => {
                unknown(word).hint(format!("did you mean {}", quoted(&format!("--{meant}"))))
            }
            None => unknown(word),
        }
    }
}

fn ambiguous(word: &str, names: &[&str], hint: &str) -> Failure {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    Failure::usage("", format!("ambiguous input {}", quoted(word)))
        .hint(format!("{hint} {}", names.join(", ")))
}

fn not_supported(command: &Command) -> Failure {
    let refusal = Failure::usage("", "not supported in this version");
    match command.get_about() {
        Some(instead) => refusal.hint(instead.to_string()),
        None => refusal,
    }
}

fn goes_on(node: &Command) -> String {
    let next: Vec<String> = children(node).map(quoted).collect();
    format!("goes on with {}", next.join(", "))
}

/// The flags of a command that has so few that they can be told.
fn few_flags(node: &Command) -> Option<String> {
    let flag = |arg: &&Arg| !arg.is_global_set() && !arg.get_action().takes_values();
    let shown = node.get_arguments().filter(|arg| flag(arg) && !arg.is_hide_set());
    let words = shown.filter_map(Arg::get_long).filter(|word| bare_option(node, word).is_some());
    let words: Vec<String> = words.map(quoted).collect();
    (1..=3).contains(&words.len()).then(|| words.join(", "))
}

fn lacks_value(arg: &Arg, typed: &str) -> Failure {
    let value = arg.get_value_names().and_then(|names| names.first()).map_or("VALUE", |n| n);
    Failure::usage(typed, format!("its value {value} is missing"))
}
