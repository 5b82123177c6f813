//! Half-typed lines → what TAB offers.

use super::*;

/// The candidates for the last word of `line`; a line that ends in a space begins a new one.
fn offered(line: &str) -> Vec<String> {
    let (before, current) = line.rsplit_once(' ').unwrap_or(("", line));
    let words: Vec<String> = before.split_whitespace().map(str::to_owned).collect();
    candidates(&grammar::tree(), &words, current)
        .into_iter()
        .map(|candidate| candidate.get_value().to_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn check(line: &str, expected: &[&str]) {
    assert_eq!(offered(line), expected, "{line}");
}

#[test]
fn commands_are_offered_by_prefix_and_after_abbreviations() {
    check("cre", &["create"]);
    check("c", &["create", "clear", "completions", "comment"]);
    check("set interface st", &["state"]);
    assert_eq!(offered("set int ")[..4], ["state", "l2", "l3", "ip"]);
    check("sh t", &["tap", "tun", "threads"]);
    let all = offered("");
    for word in ["create", "show", "hold", "demo"] {
        assert!(all.iter().any(|w| w == word), "{word}: {all:?}");
    }
    assert!(!all.iter().any(|w| w.starts_with('-') || w == "help" || w == "pcap"), "{all:?}");
}

#[test]
fn options_are_offered_in_the_spelling_that_was_begun() {
    check("create tap0 host-m", &["host-mac-addr", "host-mtu-size"]);
    check("create tap0 --host-m", &["--host-mac-addr", "--host-mtu-size"]);
    check("create tap id 0 netn", &["netns"]);
    check("show tap tap0 desc", &["descriptors"]);
    check(
        "xconnect tap0 tap1 ",
        &[
            "off",
            "link-state",
            "delay",
            "jitter",
            "loss",
            "duplicate",
            "reorder",
            "corrupt",
            "rate",
            "limit",
            "seed",
        ],
    );
    check("hold ", &["exec", "memory", "print-unit"]);
    check("delete --a", &["--all"]);
    assert!(offered("create tap0 -").contains(&"--host-ns".to_owned()));
}

#[test]
fn an_option_with_two_spellings_is_offered_once() {
    let bare = offered("create ");
    assert!(bare.contains(&"host-ip4-addr".to_owned()) && !bare.contains(&"ip4".to_owned()));
    check("create --ip", &["--ip4", "--ip6"]);
}

#[test]
fn what_was_given_is_not_offered_again_unless_it_adds_up() {
    check("create gso gs", &[]);
    check("create --gso gs", &[]);
    check("create gso --gs", &[]);
    check("create netns /x host-n", &[]);
    check("create respond 10.9.0.1/24 resp", &["respond"]);
    check("create ip4 10.9.0.1/24 --ip4", &["--ip4"]);
}

#[test]
fn what_never_stands_bare_is_not_offered_bare() {
    check("delete a", &[]);
    check("show tap js", &[]);
    check("create gro-c", &[]);
    check("create --gro-c", &[]);
}

#[test]
fn values_are_offered_in_both_spellings() {
    let backends = ["auto", "vhost-net", "userspace"];
    check("create backend ", &backends);
    check("create --backend ", &backends);
    check("create --backend=u", &["--backend=userspace"]);
    check("--color n", &["never"]);
    check("gso tap0 ", &["on", "off"]);
    check("xconnect tap0 tap1 link-state ", &["on", "off"]);
    check("set tap carrier tap0 ", &["up", "down"]);
    check("set tap gso tap0 en", &["enable"]);
    check("set interface state tap0 ", &["up", "down"]);
    check("completions ", &["bash", "zsh", "fish"]);
    check("create tap0 --netns pi", &["pid:"]);
    check("create tap0 --netns=pi", &["--netns=pid:"]);
    check("create tap0 id ", &[]);
}

#[test]
fn a_value_is_not_taken_for_a_command_or_an_option() {
    check("create if-name tap bac", &["backend"]);
    check("create if-name gso gs", &["gso"]);
    check("hold exec show mem", &["memory"]);
}

#[test]
fn sub_commands_come_before_everything_else_of_their_command() {
    check("create --gso t", &["tx-ring-size", "tun"]);
    check("show tap0 t", &[]);
    check("delete sw_if_index 3 t", &[]);
}

#[test]
fn after_two_dashes_there_are_names_only() {
    check("create -- ", &[]);
    check("delete -- --a", &[]);
}

#[test]
fn a_line_that_is_wrong_already_offers_nothing() {
    for line in ["creat3 ", "create gsoo ", "set c ", "create --nonesuch ", "show tap -- tap0 -- "]
    {
        check(line, &[]);
    }
    // Not wrong, but nothing to say.
    check("demo ", &[]);
    check("wait ", &[]);
}

#[test]
fn a_bridge_elsewhere_is_not_guessed_at() {
    let line = "create tap0 host-ns foo --bridge ";
    check(line, &[]);
}

#[test]
fn the_completion_of_any_prefix_of_any_example_does_not_panic() {
    fn examples(command: &Command, into: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        into.extend(help.lines().map(str::to_owned));
        command.get_subcommands().for_each(|child| examples(child, into));
    }
    let mut lines = Vec::new();
    examples(&grammar::tree(), &mut lines);
    assert!(lines.len() > 20);
    for line in lines {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        for n in 0..words.len() {
            for (end, _) in words[n].char_indices() {
                candidates(&grammar::tree(), &words[..n], &words[n][..end]);
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_words_never_panic(words: Vec<String>, current: String) {
        candidates(&grammar::tree(), &words, &current);
    }
}
