//! A line that is still being typed: what its next word may be.

use std::ffi::OsStr;

use clap::{Arg, ArgAction, Command};

use super::Walk;
use super::tree::{bare_option, bare_words, find_long, naming_options, place};

/// The words before the one that is being typed, resolved.
#[derive(Debug)]
pub(crate) struct Partial<'a> {
    /// Full words of the command path.
    pub path: Vec<&'a str>,
    /// The option whose value comes next; its owner may be the root.
    pub value_of: Option<&'a Arg>,
    /// Positional arguments that are there already.
    pub positionals: usize,
    /// Whether a sub-command may come next.
    pub subcommands: bool,
    /// After `--` there are positional arguments only.
    pub literal: bool,
    root: &'a Command,
    node: &'a Command,
    argv: Vec<String>,
    /// A bare word became an option.
    bare_option: bool,
}

/// Resolves the words before the one that is being typed. None where one of them is wrong already.
pub(crate) fn partial<'a>(root: &'a Command, words: &[String]) -> Option<Partial<'a>> {
    let mut walk = Walk::new(root);
    let mut rest = words.iter();
    let (mut value_of, mut literal) = (None, false);
    while let Some(word) = rest.next() {
        if word == "--" {
            literal = true;
            rest.by_ref().try_for_each(|word| walk.literal(word)).ok()?;
        } else if rest.as_slice().is_empty() && walk.awaits_value(word) {
            value_of = walk.option(word);
        } else {
            walk.step(word, &mut rest).ok()?;
        }
    }
    if walk.misnamed.is_some() {
        return None;
    }
    Some(Partial {
        value_of,
        positionals: walk.positionals,
        subcommands: !walk.begun && !literal,
        literal,
        root,
        node: walk.node,
        path: walk.path,
        argv: walk.argv,
        bare_option: walk.bare_option,
    })
}

impl<'a> Partial<'a> {
    /// The options that may come next as bare words, hidden ones left out, each with its spellings.
    /// One that the command has behind an argument it needs comes after that.
    pub fn bare_options(&self) -> impl Iterator<Item = (&'a str, &'a Arg)> {
        let node = self.node;
        let due = self.place().filter(|place| place.is_required_set());
        let behind = node.get_arguments().skip_while(move |arg| due.is_none_or(|due| *arg != due));
        let behind: Vec<&Arg> = behind.collect();
        bare_words(node)
            .filter_map(move |word| Some((word, bare_option(node, word)?)))
            .filter(move |(_, arg)| !arg.is_hide_set() && !behind.contains(arg))
    }

    /// The sub-commands that may come next, hidden ones left out.
    pub fn commands(&self) -> impl Iterator<Item = &'a Command> {
        let may = self.subcommands && self.value_of.is_none();
        self.node.get_subcommands().filter(move |command| may && !command.is_hide_set())
    }

    /// The positional argument that a bare word would be.
    pub fn place(&self) -> Option<&'a Arg> {
        let names = |arg: &&Arg| !naming_options(self.node, arg).is_empty();
        place(self.node, self.positionals).filter(|arg| !(self.bare_option && names(arg)))
    }

    /// Whether an option was given and cannot be given once more.
    pub fn is_spent(&self, arg: &Arg) -> bool {
        !matches!(arg.get_action(), ArgAction::Append) && self.given().any(|given| given == arg)
    }

    /// Whether the line may end here.
    pub fn may_end(&self) -> bool {
        let missing = place(self.node, self.positionals).is_some_and(Arg::is_required_set);
        let runs = !self.node.is_subcommand_required_set() && !self.path.is_empty();
        runs && self.value_of.is_none() && !missing
    }

    /// The option that `name` spells, this command's or everyone's.
    pub fn option(&self, name: &str) -> Option<&'a Arg> {
        find_long(self.node, name).or_else(|| find_long(self.root, name))
    }

    /// The options that were given, in whatever spelling.
    pub fn given(&self) -> impl Iterator<Item = &'a Arg> {
        let dashed = self.argv.iter().filter_map(|word| word.strip_prefix("--"));
        dashed.filter_map(|word| self.option(word.split('=').next().unwrap_or(word)))
    }

    /// The value that an option was given last.
    pub fn value(&self, long: &str) -> Option<&str> {
        let mut values = self
            .argv
            .iter()
            .filter_map(|word| word.strip_prefix("--")?.strip_prefix(long)?.strip_prefix('='));
        values.next_back()
    }

    /// A positional argument, by its number.
    pub fn positional(&self, number: usize) -> Option<&str> {
        let bare = self.argv.iter().filter(|word| !word.starts_with('-'));
        bare.skip(self.path.len()).nth(number).map(String::as_str)
    }

    /// Whether a positional argument is `word`.
    pub fn names(&self, word: &OsStr) -> bool {
        self.argv.iter().skip(self.path.len()).any(|given| OsStr::new(given) == word)
    }
}

impl<'a> Walk<'a> {
    /// The option that `word` is, in either spelling.
    fn option(&self, word: &str) -> Option<&'a Arg> {
        match word.strip_prefix("--") {
            Some(name) => find_long(self.node, name).or_else(|| self.shared(name)),
            None => bare_option(self.node, word),
        }
    }

    /// Whether `word` is an option that ends before its value.
    fn awaits_value(&self, word: &str) -> bool {
        self.option(word).is_some_and(|arg| arg.get_action().takes_values())
    }
}
