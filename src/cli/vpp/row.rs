//! A row of the table of VPP's commands.

/// A command of VPP's shell.
#[derive(Debug)]
pub struct VppCommand {
    /// Its grammar, as VPP's help has it.
    pub grammar: &'static str,
    /// What it is here.
    pub here: Here,
}

/// What became of a command.
#[derive(Debug)]
pub enum Here {
    /// These lines, which VPP takes too, do what they do there, and more or better where that is
    /// said.
    Does(&'static [&'static str], &'static str),
    /// A line that is refused by the first words of it, and what to do instead.
    Lacks {
        /// The command that is refused; `|' between the spellings of a word.
        path: &'static str,
        /// Its arguments, as someone would type them.
        arguments: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// An option or word that is refused where it stands, and what to do instead.
    Refuses {
        /// The line.
        line: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
}

impl VppCommand {
    /// Every spelling of the command that is refused; none where it is not one.
    pub fn paths(&self) -> Vec<String> {
        match self.here {
            Here::Lacks { path, .. } => spelled(path).iter().map(|words| words.join(" ")).collect(),
            Here::Does(..) | Here::Refuses { .. } => Vec::new(),
        }
    }
}

/// The words of a path in all their spellings.
pub(super) fn spelled(path: &'static str) -> Vec<Vec<&'static str>> {
    path.split(' ').fold(vec![Vec::new()], |paths, word| {
        let each = |before: &Vec<&'static str>| {
            let before = before.clone();
            word.split('|').map(move |word| [&before[..], &[word]].concat())
        };
        paths.iter().flat_map(each).collect()
    })
}

pub(super) const fn does(
    grammar: &'static str,
    lines: &'static [&'static str],
    better: &'static str,
) -> VppCommand {
    VppCommand { grammar, here: Here::Does(lines, better) }
}

pub(super) const fn lacks(
    grammar: &'static str,
    path: &'static str,
    arguments: &'static str,
    instead: &'static str,
) -> VppCommand {
    VppCommand { grammar, here: Here::Lacks { path, arguments, instead } }
}

pub(super) const fn refuses(
    grammar: &'static str,
    line: &'static str,
    instead: &'static str,
) -> VppCommand {
    VppCommand { grammar, here: Here::Refuses { line, instead } }
}
