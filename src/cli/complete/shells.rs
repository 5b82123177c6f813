//! The scripts of the shells, and candidates in the form that each script reads.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{EnvCompleter, Fish, Zsh};

use crate::cli::completions::Shell;
use crate::cli::grammar;

/// clap's own script cannot tell `pid:` from `pid`: bash breaks words at colons and equal signs.
const BASH: &str = r#"# Completion of taptool for bash.
_BIN() {
    local words=("${COMP_WORDS[@]}")
    # Of the word under the cursor only what is left of it; of a colon or an equal sign, at which
    # bash breaks words, all.
    [[ ${words[COMP_CWORD]} == [:=]* ]] || words[COMP_CWORD]=$2
    mapfile -t COMPREPLY < <(
        VARIABLE=bash _CLAP_COMPLETE_INDEX=$COMP_CWORD COMPLETER -- "${words[@]}" 2>/dev/null
    )
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o nosort -F _BIN BIN
"#;

/// A file in zsh's `fpath` is the body of the function that its first TAB calls: clap's script
/// would only define things then.
const ZSH_FIRST_TAB: &str = r#"
if [[ $funcstack[1] == _BIN ]]; then
    _clap_dynamic_completer_BIN "$@"
fi
"#;

impl Shell {
    /// All of them.
    pub const ALL: &[&dyn EnvCompleter] = &[&Self::Bash, &Self::Zsh, &Self::Fish];

    /// Its script, which calls the `taptool` in PATH.
    pub fn script(self) -> io::Result<String> {
        let mut script = Vec::new();
        self.write_registration(super::VARIABLE, "taptool", "taptool", "taptool", &mut script)?;
        String::from_utf8(script).map_err(io::Error::other)
    }
}

impl EnvCompleter for Shell {
    fn name(&self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        bin: &str,
        completer: &str,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        match self {
            Self::Bash => {
                let script = BASH.replace("BIN", bin).replace("VARIABLE", variable);
                to.write_all(script.replace("COMPLETER", completer).as_bytes())
            }
            Self::Zsh => {
                Zsh.write_registration(variable, name, bin, completer, to)?;
                to.write_all(ZSH_FIRST_TAB.replace("BIN", bin).as_bytes())
            }
            Self::Fish => Fish.write_registration(variable, name, bin, completer, to),
        }
    }

    fn write_complete(
        &self,
        _: &mut Command,
        args: Vec<OsString>,
        _: Option<&Path>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        // A line that is not text is not completed.
        let args: Option<Vec<String>> = args.into_iter().map(|a| a.into_string().ok()).collect();
        let Some(mut args) = args else { return Ok(()) };
        let index = match self {
            Self::Fish => args.len() - 1,
            Self::Bash | Self::Zsh => std::env::var("_CLAP_COMPLETE_INDEX")
                .ok()
                .and_then(|index| index.parse().ok())
                .unwrap_or(args.len() - 1),
        };
        args.resize(index + 1, String::new());
        let (words, current, cut) = match self {
            Self::Bash => rejoined(&args),
            Self::Zsh | Self::Fish => {
                let current = args.pop().unwrap_or_default();
                (args, current, 0)
            }
        };
        let words = words.get(1..).unwrap_or_default();
        // The tree at hand is a built one, with `--help' among the options of every command.
        for candidate in super::candidates(&grammar::tree(), words, &current) {
            writeln!(to, "{}", self.row(&candidate, cut))?;
        }
        Ok(())
    }
}

impl Shell {
    /// A candidate as the script reads it, without its first `cut` bytes.
    fn row(self, candidate: &CompletionCandidate, cut: usize) -> String {
        let value = candidate.get_value().to_string_lossy();
        let value = value.get(cut..).unwrap_or_default();
        let help = candidate.get_help().map(ToString::to_string);
        let help = help.as_deref().and_then(|help| help.lines().next());
        match (self, help) {
            (Self::Bash, _) | (Self::Fish, None) => value.to_owned(),
            (Self::Fish, Some(help)) => format!("{value}\t{help}"),
            (Self::Zsh, help) => {
                let value = value.replace('\\', "\\\\").replace(':', "\\:");
                let help = help.map(|help| format!(":{}", help.replace('\\', "\\\\")));
                value + &help.unwrap_or_default()
            }
        }
    }
}

/// Words that bash broke at colons and equal signs, whole again: those before the last, the last,
/// and how much of the last bash takes for granted.
fn rejoined(words: &[String]) -> (Vec<String>, String, usize) {
    let is_break = |word: &str| !word.is_empty() && word.bytes().all(|b| matches!(b, b':' | b'='));
    let mut whole: Vec<String> = Vec::new();
    let (mut open, mut cut) = (false, 0);
    for word in words {
        let breaks = is_break(word);
        match whole.last_mut() {
            Some(last) if breaks || open => {
                cut = last.len() + if breaks { word.len() } else { 0 };
                last.push_str(word);
            }
            _ => {
                cut = 0;
                whole.push(word.clone());
            }
        }
        open = breaks;
    }
    let current = whole.pop().unwrap_or_default();
    (whole, current, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_bash_broke_are_whole_again() {
        let check = |words: &[&str], before: &[&str], current: &str, cut: usize| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let (found, last, n) = rejoined(&words);
            assert_eq!(
                (found, last.as_str(), n),
                (before.iter().map(ToString::to_string).collect(), current, cut)
            );
        };
        check(&["taptool", "cre"], &["taptool"], "cre", 0);
        check(&["taptool", ""], &["taptool"], "", 0);
        check(&["t", "netns", "pid", ":"], &["t", "netns"], "pid:", 4);
        check(&["t", "netns", "pid", ":", "12"], &["t", "netns"], "pid:12", 4);
        check(&["t", "--netns", "=", "pid", ":", "1"], &["t"], "--netns=pid:1", 12);
        check(&["t", "--netns", "=", "foo", "gs"], &["t", "--netns=foo"], "gs", 0);
        check(&["t", "ip6", "fd00", "::", "1/64", ""], &["t", "ip6", "fd00::1/64"], "", 0);
        check(&["t", "::"], &[], "t::", 3);
        check(&[], &[], "", 0);
    }

    #[test]
    fn rows_are_in_the_form_that_each_script_reads() {
        let row = |shell: Shell, cut| {
            let candidate = CompletionCandidate::new("pid:7");
            shell.row(&candidate.help(Some("a: b\\c\nd".into())), cut)
        };
        assert_eq!(row(Shell::Bash, 4), "7");
        assert_eq!(row(Shell::Fish, 0), "pid:7\ta: b\\c");
        assert_eq!(row(Shell::Zsh, 0), "pid\\:7:a: b\\\\c");
    }
}
