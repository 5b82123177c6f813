//! Questions to clap's tree.

use clap::{Arg, ArgAction, Command};

/// Options that are never bare words: `delete all` must not be a slip of the keyboard away.
const NEVER_BARE: &[&str] = &["all", "destroy"];

/// What a word means among sub-commands.
pub(super) enum Child<'a> {
    One(&'a Command),
    Several(Vec<&'a str>),
    None,
}

/// The sub-command that `word` means. Hidden ones are found by their whole word only, so that
/// what a version lacks never makes a prefix ambiguous; see [`lacked`].
pub(super) fn child<'a>(node: &'a Command, word: &str) -> Child<'a> {
    let named = |c: &&Command| c.get_name() == word || c.get_all_aliases().any(|a| a == word);
    if let Some(exact) = node.get_subcommands().find(named) {
        return Child::One(exact);
    }
    begun(node, word, |c| !c.is_hide_set())
}

/// What this version lacks and `word` is the beginning of; of spellings of one thing, the first.
pub(super) fn lacked<'a>(node: &'a Command, word: &str) -> Child<'a> {
    let what =
        |name: &str| node.find_subcommand(name).map(|c| c.get_about().map(ToString::to_string));
    match begun(node, word, lacking) {
        Child::Several(names) if names.iter().all(|name| what(name) == what(names[0])) => {
            node.find_subcommand(names[0]).map_or(Child::None, Child::One)
        }
        found => found,
    }
}

fn begun<'a>(node: &'a Command, word: &str, kind: impl Fn(&Command) -> bool) -> Child<'a> {
    let begins = |c: &&Command| !word.is_empty() && c.get_name().starts_with(word);
    let mut found: Vec<&Command> =
        node.get_subcommands().filter(|c| kind(c)).filter(begins).collect();
    match (found.pop(), found.is_empty()) {
        (None, _) => Child::None,
        (Some(one), true) => Child::One(one),
        (Some(last), false) => {
            found.push(last);
            Child::Several(found.into_iter().map(Command::get_name).collect())
        }
    }
}

pub(super) fn lacking(command: &Command) -> bool {
    command.is_hide_set() && !command.has_subcommands() && command.get_arguments().next().is_none()
}

pub(super) fn children(node: &Command) -> impl Iterator<Item = &str> {
    node.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name)
}

/// The spellings of an option that are worth suggesting.
pub(super) fn longs(arg: &Arg) -> impl Iterator<Item = &str> {
    arg.get_long().into_iter().chain(arg.get_visible_aliases().unwrap_or_default())
}

/// The option that `word` spells, hidden aliases included.
pub(super) fn find_long<'a>(node: &'a Command, word: &str) -> Option<&'a Arg> {
    let spells = |arg: &&Arg| {
        arg.get_long() == Some(word) || arg.get_all_aliases().is_some_and(|all| all.contains(&word))
    };
    node.get_arguments().find(spells)
}

/// The option of this command that `word` is when it stands bare.
pub(super) fn bare_option<'a>(node: &'a Command, word: &str) -> Option<&'a Arg> {
    find_long(node, word).filter(|arg| !arg.is_global_set() && !NEVER_BARE.contains(&word))
}

pub(super) fn bare_words(node: &Command) -> impl Iterator<Item = &str> {
    node.get_arguments()
        .filter(|arg| !arg.is_global_set())
        .flat_map(longs)
        .filter(|word| !NEVER_BARE.contains(word))
}

/// The positional that takes the next bare word.
pub(super) fn place(node: &Command, taken: usize) -> Option<&Arg> {
    let many = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Append);
    node.get_positionals().nth(taken).or_else(|| node.get_positionals().last().filter(many))
}

/// The options that give what `place` gives, if there is one: that of the same value name, and those
/// whose value name ends in it.
pub(super) fn naming_options<'a>(node: &'a Command, place: &Arg) -> Vec<&'a str> {
    let value = |arg: &Arg| arg.get_value_names().and_then(|names| names.first().cloned());
    let (false, Some(name)) = (place.is_required_set(), value(place)) else { return Vec::new() };
    let longs = |fits: &dyn Fn(&str) -> bool| {
        let options = node.get_arguments().filter(|arg| value(arg).is_some_and(|v| fits(&v)));
        options.filter_map(Arg::get_long).collect::<Vec<_>>()
    };
    let mut found = longs(&|value| value == name);
    if !found.is_empty() {
        found.extend(longs(&|value| value.ends_with(&format!("-{name}"))));
    }
    found
}

/// Whether `word` is a command or an option anywhere in the tree.
pub(super) fn in_grammar(node: &Command, word: &str) -> bool {
    node.get_arguments().flat_map(longs).any(|long| long == word)
        || node.get_subcommands().any(|c| {
            c.get_name() == word || c.get_all_aliases().any(|a| a == word) || in_grammar(c, word)
        })
        || matches!(word, "help" | "version")
}
