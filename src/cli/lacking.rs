//! Commands of VPP's shell, and of later versions, that this version lacks: said so, not guessed at.

use clap::Command;

/// The command under which words are lacking, and the words.
const LACKING: &[(&[&str], &[&str])] = &[
    (&[], &["trace", "pcap", "packet-generator", "ping", "arping", "ip", "lcp", "test"]),
    (&["create"], &["bridge-domain", "loopback", "sub-interfaces", "packet-generator"]),
    (
        &["show"],
        &[
            "trace",
            "bridge-domain",
            "l2fib",
            "node",
            "buffers",
            "memory",
            "packet-generator",
            "ip",
            "files",
        ],
    ),
    (&["show", "interface"], &["vtr", "tag", "tx-placement", "default"]),
    (&["clear"], &["hardware-interfaces", "runtime", "trace"]),
    (&["set"], &["terminal", "ip", "logging", "trace"]),
    (
        &["set", "interface"],
        &[
            "mtu",
            "mac",
            "secondary-mac-address",
            "rx-mode",
            "rx-placement",
            "tx-queue",
            "promiscuous",
            "name",
            "tag",
            "span",
            "feature",
            "default",
        ],
    ),
    (&["set", "interface", "l2"], &["bridge", "tag-rewrite"]),
    (&["set", "tap"], &["offload"]),
];

/// The tree with those commands in it, hidden and without arguments.
pub(super) fn with_lacking(root: Command) -> Command {
    LACKING.iter().fold(root, |root, (path, words)| add(root, path, words))
}

fn add(node: Command, path: &[&'static str], words: &[&'static str]) -> Command {
    let Some((next, rest)) = path.split_first() else {
        return node.subcommands(words.iter().map(|word| Command::new(*word).hide(true)));
    };
    // clap puts a changed sub-command last: every one is touched, so that their order stays.
    let names: Vec<String> = node.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    names.into_iter().fold(node, |node, name| {
        node.mut_subcommand(
            &name,
            |child| if name == *next { add(child, rest, words) } else { child },
        )
    })
}
