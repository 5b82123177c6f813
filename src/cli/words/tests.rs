use clap::Command;
use proptest::prelude::*;

use super::*;
use crate::cli::grammar::tree;
use crate::cli::place::Place;
use crate::cli::vpp::{Here, VPP_COMMANDS, with_lacking};

fn full() -> Command {
    with_lacking(tree())
}

fn split(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn argv(line: &str) -> String {
    match resolve(&full(), &split(line), "--help") {
        Ok(resolved) => resolved.argv.join(" "),
        Err(refusal) => panic!("{line}: {refusal:?}"),
    }
}

fn refused(line: &str) -> String {
    match resolve(&full(), &split(line), "--help") {
        Err(Refusal { path, failure, .. }) => format!("{path}: {failure}"),
        Ok(resolved) => panic!("{line}: {resolved:?}"),
    }
}

#[test]
fn bare_words_become_the_options_of_their_command() {
    for (line, expected) in [
        ("create tap", "create tap"),
        ("create tap id 0 host-ns foo gso", "create tap --id=0 --host-ns=foo --gso"),
        ("create tap0 host-ns foo", "create tap0 --host-ns=foo"),
        ("create tap0 netns foo mtu 9000", "create tap0 --netns=foo --mtu=9000"),
        ("create tap tap0 --netns foo gso", "create tap tap0 --netns=foo --gso"),
        ("create tap gso", "create tap --gso"),
        // Text is no words of the grammar.
        ("echo -n gso --x", "echo -- -n gso --x"),
        ("define OPTS --netns foo", "define OPTS -- --netns foo"),
        // What all of `show' has stands behind what it shows; a number alone is its value.
        ("show --watch tap tap0", "show tap tap0 --watch"),
        ("show tap --watch 0.5 tap0 --rates", "show tap tap0 --watch=0.5 --rates"),
        // The word after a bare option is its value, whatever it looks like.
        ("create tap host-ns gso", "create tap --host-ns=gso"),
        ("create tap if-name --gso", "create tap --if-name=--gso"),
        ("create -- gso", "create -- gso"),
        ("delete tap sw_if_index 3", "delete tap --sw_if_index=3"),
        ("delete tap0 tap1", "delete tap0 tap1"),
        ("show tap descriptors tap0", "show tap --descriptors tap0"),
        ("xconnect a b off", "xconnect a b --off"),
        ("set interface ip address del t0 all", "set interface ip address --del t0 all"),
        ("-j show --color never", "-j show --color=never"),
        ("hold exec -", "hold --exec=-"),
    ] {
        assert_eq!(argv(line), expected, "{line}");
    }
}

#[test]
fn command_paths_abbreviate_and_an_exact_word_wins() {
    for (line, expected) in [
        ("sh tap", "show tap"),
        ("sh", "show"),
        ("sh int tap0", "show interface tap0"),
        ("sh err", "show errors"),
        ("cr tap id 3", "create tap --id=3"),
        ("c tap", "create tap"),
        ("del tap0", "delete tap0"),
        ("set tap gso tap0 en", "set tap gso tap0 --en"),
        ("set int st tap0 up", "set interface state tap0 up"),
        ("set int l2 x a b", "set interface l2 xconnect a b"),
        ("x a b", "xconnect a b"),
        ("g tap0 on", "gso tap0 on"),
        ("cl int", "clear interfaces"),
    ] {
        match resolve(&full(), &split(line), "--help") {
            Ok(resolved) => assert_eq!(resolved.argv.join(" "), expected, "{line}"),
            Err(refusal) => assert_eq!(line, "c tap", "{refusal:?}"),
        }
    }
    // Half a sub-command where a name may stand could be a name.
    assert_eq!(
        refused("cr ta"),
        "create: ambiguous input `ta'\n  write `tap', or as a name: --if-name ta --host-if-name ta"
    );
    assert_eq!(refused("s"), ": ambiguous input `s'\n  could be `show', `set', `save'");
    assert_eq!(
        refused("c"),
        ": ambiguous input `c'\n  could be `create', `clear', `completions', `comment'"
    );
    assert_eq!(
        refused("set interface l"),
        "set interface: ambiguous input `l'\n  could be `l2', `l3'"
    );
}

/// Every prefix of every visible command path either means it, is a longer-known exact word, or is
/// refused as ambiguous with the candidates; it never becomes something else.
#[test]
fn every_prefix_of_every_path_means_that_path_or_lists_it() {
    fn walk(root: &Command, node: &Command, path: &[String]) {
        for child in node.get_subcommands().filter(|c| !c.is_hide_set()) {
            for end in 1..=child.get_name().len() {
                let mut words = path.to_vec();
                words.push(child.get_name()[..end].to_owned());
                // A whole option of the command is that option.
                let option = child.get_name() != words[path.len()]
                    && bare_option(node, &words[path.len()]).is_some();
                if option {
                    continue;
                }
                words.push("--help".into());
                match resolve(root, &words, "--help") {
                    Ok(line) => {
                        let whole = node.find_subcommand(&words[path.len()]);
                        let meant = whole.unwrap_or(child).get_name();
                        assert!(line.path.ends_with(meant), "{words:?}: {line:?}");
                    }
                    Err(refusal) => {
                        let hint = refusal.failure.hint.unwrap_or_default();
                        assert!(hint.contains(&format!("`{}'", child.get_name())), "{words:?}");
                    }
                }
            }
            let mut deeper = path.to_vec();
            deeper.push(child.get_name().to_owned());
            walk(root, child, &deeper);
        }
    }
    let root = full();
    walk(&root, &root, &[]);
}

#[test]
fn what_is_nothing_is_refused_with_its_token() {
    for (line, expected) in [
        ("create tap id 0 gsoo", "create tap: unknown input `gsoo'\n  did you mean `gso'"),
        ("create tap tap0 tap1", "create tap: unknown input `tap1'"),
        ("create tap id 0 tap1", "create tap: unknown input `tap1'"),
        (
            "create tap gsoo",
            "create tap: unknown input `gsoo'\n  did you mean `gso'; or, as a name: --if-name gsoo --host-if-name gsoo",
        ),
        (
            "create tap host-if foo",
            "create tap: unknown input `host-if'\n  did you mean `host-if-name'; or, as a name: --if-name host-if --host-if-name host-if",
        ),
        (
            "create tap show",
            "create tap: `show' is a word of the commands, not a name\n  to use it as a name all the same: --if-name show --host-if-name show",
        ),
        (
            "create tap tap",
            "create tap: `tap' is a word of the commands, not a name\n  to use it as a name all the same: --if-name tap --host-if-name tap",
        ),
        (
            "create tap json",
            "create tap: `json' is a word of the commands, not a name\n  to use it as a name all the same: --if-name json --host-if-name json",
        ),
        ("create tap tap0 --gsoo", "create tap: unknown input `--gsoo'\n  did you mean `--gso'"),
        ("create tap tap0 --gs", "create tap: unknown input `--gs'\n  did you mean `--gso'"),
        (
            "create tap0 netns=foo",
            "create: unknown input `netns=foo'\n  did you mean `--netns=foo'",
        ),
        ("create tap id", "create tap: id: its value N is missing"),
        ("create tap --id", "create tap: id: its value N is missing"),
        ("create tap --host-ns --gso", "create tap: host-ns: its value NS is missing"),
        ("create tap0 -- gso", "create: unknown input `gso'"),
        ("delete all", "delete: unknown input `all'\n  did you mean `--all'"),
        ("json show", ": unknown input `json'\n  did you mean `--json'"),
        ("foo", ": unknown input `foo'\n  `--help' lists the commands"),
        (
            "taptool show",
            ": unknown input `taptool'\n  a line of a script begins with the command: `show', not `taptool show'",
        ),
        (
            "set tap gso tap0 on",
            "set tap gso: unknown input `on'\n  goes on with `enable', `disable'",
        ),
        ("shwo", ": unknown input `shwo'\n  did you mean `show'"),
        (
            "set",
            "set: incomplete command\n  goes on with `interface', `bridge-domain', `tap', `nsim'",
        ),
        ("set interface ip foo", "set interface ip: unknown input `foo'\n  goes on with `address'"),
    ] {
        assert_eq!(refused(line), expected, "{line}");
    }
}

#[test]
fn what_vpp_has_and_this_lacks_is_refused_with_what_to_do_instead() {
    let mut lacking = 0;
    for row in VPP_COMMANDS {
        let Here::Lacks { path, arguments, instead } = row.here else { continue };
        for path in row.paths() {
            let expected = format!("{path}: not supported in this version\n  {instead}");
            assert_eq!(refused(&path), expected);
            assert_eq!(refused(&format!("{path} {arguments}")), expected);
            lacking += 1;
        }
        // Whatever the table promises to refuse.
        for grammar in row.grammar.split(", ") {
            let words: Vec<&str> = grammar.split(' ').take(path.split(' ').count()).collect();
            assert_eq!(words.join(" "), path, "{row:?}");
        }
    }
    assert!(lacking > 40, "{lacking}");
}

#[test]
fn a_short_option_of_other_programs_is_refused_by_its_letter_with_the_long_one() {
    let socket = "unknown input `-s'\n  did you mean `--socket /tmp/x.sock'";
    assert_eq!(refused("-s /tmp/x.sock show"), format!(": {socket}"));
    assert_eq!(refused("-s/tmp/x.sock show"), format!(": {socket}"));
    assert_eq!(refused("show -s /tmp/x.sock"), format!("show: {socket}"));
    assert_eq!(refused("-s"), ": unknown input `-s'\n  did you mean `--socket PATH'");
    // What clap knows, or nobody, goes to clap.
    for line in ["-q show", "-jq show", "-é show", "-h", "-V"] {
        assert!(resolve(&full(), &split(line), "--help").is_ok(), "{line}");
    }
}

#[test]
fn a_quoted_token_is_short_and_harmless() {
    assert_eq!(quoted("gsoo"), "`gsoo'");
    assert_eq!(quoted("a\tb\u{1b}"), "`a\\tb\\u{1b}'");
    assert_eq!(quoted(&"x".repeat(31)), format!("`{}...'", "x".repeat(30)));
}

#[test]
fn a_name_that_resembles_a_command_is_remembered() {
    let doubt = |line: &str| resolve(&full(), &split(line), "--help").unwrap().doubt;
    let meant = |line: &str| doubt(line).map(|doubt| (doubt.word, doubt.meant.unwrap()));
    let is = |word: &str, meant: &str| Some((word.to_owned(), meant.to_owned()));
    assert_eq!(meant("show erors"), is("erors", "show errors"));
    assert_eq!(meant("show tap tap0 descriptor"), is("descriptor", "descriptors"));
    assert_eq!(meant("show tap tap0 desc"), is("desc", "descriptors"));
    assert_eq!(doubt("show tap tap0"), None);
    let tap0 = doubt("show tap0").unwrap();
    assert_eq!((tap0.first, tap0.meant, tap0.lacked), (true, None, None));
}

#[test]
fn the_beginning_of_what_is_lacked_is_refused_where_no_name_may_stand() {
    for (line, path) in [
        ("cl hardware", "clear hardware-interfaces"),
        ("clear run", "clear runtime"),
        ("tr add tap-input 5", "trace"),
        ("arpi 10.9.0.1 tap0", "arping"),
        ("create lo interface", "create loopback"),
        ("create host name eth0", "create host-interface"),
    ] {
        let said = refused(line);
        assert!(said.starts_with(&format!("{path}: not supported in this version\n")), "{said}");
    }
    // An interface may have that name.
    let doubt = resolve(&full(), &split("sh tr"), "--help").unwrap().doubt.unwrap();
    let lacked = doubt.lacked.unwrap();
    assert_eq!(lacked.path, "show trace");
    assert!(lacked.failure.to_string().starts_with("not supported in this version\n"));
    // What there is wins.
    for (line, expected) in [("sh t", ""), ("sh th", "show threads"), ("und X", "undefine X")] {
        let resolved = resolve(&full(), &split(line), "--help");
        assert_eq!(resolved.map(|line| line.argv.join(" ")).unwrap_or_default(), expected);
    }
}

#[test]
fn a_name_may_resemble_what_is_made() {
    for name in ["tapa", "tapb", "tapx", "taps", "tape", "tuna", "tap-a", "foo", "bonds"] {
        for line in ["create", "create tap"] {
            assert_eq!(
                argv(&format!("{line} {name} netns foo")),
                format!("{line} {name} --netns=foo")
            );
        }
    }
    for (line, expected) in [
        ("create tapx --nets foo", "create: unknown input `--nets'\n  did you mean `--netns'"),
        ("create gsoo --nets foo", "create: unknown input `--nets'\n  did you mean `--netns'"),
        ("create tapx respnd", "create: unknown input `respnd'\n  did you mean `respond'"),
        ("create tpa tap0", "create: unknown input `tpa'\n  did you mean `tap'"),
        ("create taps tap0 netns foo", "create: unknown input `taps'\n  did you mean `tap'"),
        ("create foo tap0", "create: unknown input `tap0'"),
        ("create tap sub-int 10", "create tap: unknown input `10'"),
        (
            "create ip tap0",
            "create: `ip' is a word of the commands, not a name\n  to use it as a name all the same: --if-name ip --host-if-name ip",
        ),
        (
            "create gsoo tap0",
            "create: unknown input `gsoo'\n  did you mean `gso'; or, as a name: --if-name gsoo --host-if-name gsoo",
        ),
    ] {
        assert_eq!(refused(line), expected, "{line}");
    }
    let at = |line: &str| resolve(&full(), &split(line), "--help").unwrap_err().at;
    assert_eq!((at("create tpa tap0"), at("create gsoo id 3")), (Some(1), Some(1)));
    // Reserved names are clap's to refuse: no option makes them names.
    assert_eq!(argv("create all"), "create all");
    assert_eq!(argv("create default"), "create default");
}

/// Keywords of `create tap` that are long enough for a slip of them to be told from a name.
fn keywords() -> Vec<String> {
    let root = full();
    let create = root.find_subcommand("create").unwrap().find_subcommand("tap").unwrap();
    let words = create.get_arguments().flat_map(longs).filter(|word| word.len() > 3);
    words.map(str::to_owned).collect()
}

fn slips() -> impl Strategy<Value = (String, String)> {
    let keyword = proptest::sample::select(keywords());
    (keyword, any::<proptest::sample::Index>(), proptest::char::range('a', 'z'), 0..4).prop_map(
        |(word, at, letter, how)| {
            let mut letters: Vec<char> = word.chars().collect();
            let at = at.index(letters.len());
            match how {
                0 => drop(letters.remove(at)),
                1 => letters.insert(at, letter),
                2 => letters[at] = letter,
                _ => letters.swap(at, (at + 1).min(word.len() - 1)),
            }
            (word, letters.into_iter().collect())
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_words_never_panic(words in proptest::collection::vec(".*", 0..6)) {
        let _ = resolve(&full(), &words, "--help");
    }

    #[test]
    fn words_of_the_grammar_in_any_order_never_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "create", "tap", "tun", "id", "3", "gso", "--gso", "--id", "--", "-j", "--json",
                "show", "set", "interface", "host-ns", "", "-", "--all", "all", "descriptors",
            ]),
            0..8,
        ),
    ) {
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let _ = crate::cli::grammar::parse(&words, Place::CommandLine);
    }

    #[test]
    fn a_slip_is_never_a_name_and_never_an_option((word, slip) in slips()) {
        prop_assume!(!in_grammar(&full(), &slip) && slip.len() > 2);
        for line in ["create tap", "create tap tap0", "create tap0", "create tap id 0"] {
            let mut words = split(line);
            words.push(slip.clone());
            let resolved = resolve(&full(), &words, "--help");
            // A first dash makes it an unknown option, which is as good a refusal.
            prop_assert!(resolved.is_err() || slip.starts_with('-') && !slip.starts_with("--"),
                "{word} mistyped as {slip} after {line}: {resolved:?}");
        }
    }

    #[test]
    fn whatever_follows_two_dashes_stays_as_it_is(words in proptest::collection::vec(".*", 0..4)) {
        let mut line = vec!["delete".to_owned(), "--".to_owned()];
        line.extend(words.clone());
        let resolved = resolve(&full(), &line, "--help").unwrap();
        prop_assert_eq!(&resolved.argv[2..], &words[..]);
    }
}
