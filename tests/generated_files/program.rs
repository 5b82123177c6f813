//! taptool(8): what holds for every command.

use clap::{Arg, Command};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::keys;
use super::page::{finish, key_terms, option, references};
use super::text::{Values, inline, prose, section, term};

const DESCRIPTION: &str = "\
taptool makes Linux tap interfaces whose frames travel over virtio rings, as VPP's tapv2 does, and \
needs no VPP. Each interface is served by the kernel's `/dev/vhost-net' (backend `vhost-net') or, \
where that is missing, by a device embedded in the process (backend `userspace').

An interface has two sides. The host side is the Linux device, in a network namespace; options that \
begin with `host-' are about it. The interface itself is our side: it answers ping, is wired to \
another interface, or drops, and counts every frame. Received (rx) is what comes from the host side, \
transmitted (tx) is what goes to it.

One process, the holder, owns the interfaces; commands are its clients.";

const HOLDER: &str = "\
A command that makes an interface starts a holder in the background where none answers on the control \
socket. Such a holder leaves the session, the directory and the network namespace of its caller. It ends \
by itself when it owns no interface and no client is connected; its empty lock file, `ctl.sock.lock', \
stays. `taptool hold' is a holder in the foreground, which stays; systemd starts one with the units that \
taptool-hold(8) prints or the package installs (`systemctl enable --now taptool.socket').

Interfaces live as long as their holder. SIGTERM removes them; if the holder is killed, the kernel does. \
A holder keeps no network namespace alive: when one is deleted, the device goes with it, and the \
interface is shown as `host-gone' until it is deleted. A host side that is renamed, moved, set down or \
given other addresses is followed and shown as it is.

A background holder survives logout, unless logind kills a user's processes (`KillUserProcesses=yes'): \
then `systemd-run --user taptool hold'. A unit of `Type=oneshot' that calls `taptool create' takes the \
holder along when it ends: run `taptool hold' as a service of its own. A container needs `/dev/net/tun' \
and the capabilities below, and `taptool hold' as its process or under an init that reaps. `--netns \
pid:N' makes a tap in the namespace of a container's process from outside.

The socket speaks varlink, as `io.taptool': the same requests and replies, with typed errors. The holder \
describes it (`org.varlink.service.GetInterfaceDescription').";

const PRIVILEGES: &str = "\
Making a tap needs read and write access to `/dev/net/tun' and the capability CAP_NET_ADMIN; \
CAP_SYS_ADMIN to enter namespaces, and CAP_NET_BROADCAST to hear of what happens in them. The backend \
`vhost-net' needs read and write access to `/dev/vhost-net'. `taptool demo' needs the same, or user \
namespaces and a `/dev/net/tun' that the user may open: it enters a user namespace by itself. A holder \
answers its own user and root.

Root has all of it. An ordinary user has it inside `unshare -Urn', for namespaces made there. `taptool \
doctor' says what is missing, and how to get it.

The holder opens no path that a command names. The command opens namespaces and scripts, in its own \
mount namespace and with its own rights, and hands them over. So `ip netns exec foo taptool create tap0' \
makes tap0 in foo, wherever the holder was started.";

const JSON: &str = "\
With `--json' a command prints an array of objects on one line; with `--pretty' the same on several. \
`show' and its tables of interfaces print interfaces with the keys below; `create' prints the new one. \
`echo' and `completions' print their text all the same. What changes interfaces (`delete', `gso', `set' and others) prints objects with the one key `name'; \
with `--dry-run' `create' prints its steps as `step' and `undo'. Keys are stable: new ones may come, \
none goes and none changes its meaning. Errors stay text on standard error.";

const LEDGER: &str = "\
The numbers of a queue are of one moment, and they balance. rx: `packets' + `copies' = \
`forwarded' + `consumed' + drops + `held'. tx: `offered' = `enqueued' + drops before the ring; `enqueued' = `packets' + drops \
after it + `in_flight'. At rest, over all interfaces, the sum of `forwarded', `originated' and `segments' is that \
of `offered'. Reading changes nothing; `clear' takes a baseline.";

const ENVIRONMENT: &[(&str, &str)] = &[
    ("TAPTOOL_SOCKET", "Path of the control socket, where `--socket' is not given."),
    ("XDG_RUNTIME_DIR", "Where an ordinary user's control socket is: in its directory `taptool'."),
    (
        "XDG_STATE_HOME",
        "Where an ordinary user's background holder keeps its log; `~/.local/state' where it is not \
         set.",
    ),
    (
        "NO_COLOR",
        "Where it is set and not empty, nothing is coloured unless `--color always' asks for it.",
    ),
];

const FILES: &[(&str, &str)] = &[
    ("/dev/net/tun", "Taps are made with it: needed, readable and writable."),
    (
        "/dev/vhost-net",
        "The kernel's device (module `vhost_net'). Without it `--backend auto' takes userspace and \
         says so.",
    ),
    ("/run/netns/NAME", "A network namespace of `ip netns', as `--host-ns NAME' opens it."),
    ("/run/taptool/ctl.sock", "Control socket of root's holder, mode 0600."),
    (
        "$XDG_RUNTIME_DIR/taptool/ctl.sock",
        "That of an ordinary user's; else in `/run/user/UID/taptool' or `/tmp/taptool-UID', mode \
         0700.",
    ),
    (
        "/var/log/taptool.log",
        "The log of root's background holders, whichever socket they have: which user made, changed \
         and deleted what, and what was refused. Beyond 1 MiB it becomes `taptool.log.1'.",
    ),
    ("$XDG_STATE_HOME/taptool/holder.log", "The same of an ordinary user's."),
    (
        "PATH.lock",
        "Beside each control socket: held by its holder, so that there is one. A socket that \
         somebody removes is made again by its holder within a second.",
    ),
];

/// The page of the program.
pub fn page(tree: &Command) -> String {
    let none = Values::new();
    let mut roff = Roff::new();
    section(&mut roff, "SYNOPSIS");
    roff.text(synopsis(tree));
    section(&mut roff, "DESCRIPTION");
    prose(&mut roff, DESCRIPTION, &none);
    section(&mut roff, "COMMANDS");
    for command in tree.get_subcommands().filter(|command| !command.is_hide_set()) {
        let about = command.get_about().unwrap().to_string();
        let head = references(&[format!("taptool-{}(8)", command.get_name())]);
        term(&mut roff, head, &format!("{}.", about.trim_end_matches('.')), &none);
    }
    section(&mut roff, "GLOBAL OPTIONS");
    for arg in tree.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional()) {
        option(&mut roff, arg, &none);
    }
    let help = tree.get_after_long_help().unwrap().to_string();
    // The codes have a section of their own.
    let said: Vec<&str> =
        help.split("\n\n").filter(|paragraph| !paragraph.starts_with("Exit codes")).collect();
    let (tour, rules): (Vec<&str>, Vec<&str>) =
        said.into_iter().partition(|paragraph| paragraph.contains("\n  "));
    section(&mut roff, "COMMAND LINES");
    prose(&mut roff, &rules.join("\n\n"), &none);
    section(&mut roff, "EXAMPLES");
    prose(&mut roff, &tour.join("\n\n"), &none);
    section(&mut roff, "HOLDER");
    prose(&mut roff, HOLDER, &none);
    section(&mut roff, "PRIVILEGES");
    prose(&mut roff, PRIVILEGES, &none);
    section(&mut roff, "JSON");
    prose(&mut roff, JSON, &none);
    roff.control("SS", ["Keys of an interface"]);
    key_terms(&mut roff, &keys::interface());
    roff.control("SS", ["Keys of a queue"]);
    key_terms(&mut roff, &keys::queue());
    for (command, keys) in keys::others() {
        roff.control("SS", [format!("Keys of {command}").as_str()]);
        key_terms(&mut roff, &keys);
    }
    section(&mut roff, "COUNTERS");
    roff.text(inline(
        "Each is a key of the queues that have it; `now' is a state, the others add up.",
        &none,
    ));
    key_terms(&mut roff, &keys::counters());
    roff.control("PP", []);
    roff.text(inline(LEDGER, &none));
    section(&mut roff, "DROP REASONS");
    roff.text([roman("A lost frame has one reason: a key of "), bold("drops"), roman(".")]);
    key_terms(&mut roff, &keys::drops());
    section(&mut roff, "EXIT STATUS");
    for (code, meaning) in CODES {
        term(&mut roff, vec![bold(code.to_string())], meaning, &none);
    }
    surroundings(&mut roff, "taptool");
    section(&mut roff, "SEE ALSO");
    let commands = tree.get_subcommands().filter(|command| !command.is_hide_set());
    let mut others: Vec<String> =
        commands.map(|command| format!("taptool-{}(8)", command.get_name())).collect();
    others.extend(["taptool-shell(8)", "taptool-vpp(8)"].map(str::to_owned));
    others.extend(
        ["ip(8)", "ip-link(8)", "ip-netns(8)", "bridge(8)", "tcpdump(8)"].map(str::to_owned),
    );
    others.extend(["namespaces(7)", "capabilities(7)"].map(str::to_owned));
    roff.text(references(&others));
    finish(tree, "taptool", &roff)
}

/// The variables and files that matter to a command.
pub fn surroundings(roff: &mut Roff, command: &str) {
    let (variables, files): (&[&str], &[&str]) = match command {
        "taptool" => (&[""], &[""]),
        "hold" => (&["TAPTOOL", "XDG"], &["/run/taptool", "$XDG", "/var/log"]),
        "create" => (&[], &["/dev/", "/run/netns"]),
        _ => (&[], &[]),
    };
    let wanted = |wanted: &[&str], name: &str| wanted.iter().any(|begin| name.starts_with(begin));
    for (heading, rows, names) in [("ENVIRONMENT", ENVIRONMENT, variables), ("FILES", FILES, files)]
    {
        if !names.is_empty() {
            section(roff, heading);
        }
        for (name, text) in rows.iter().filter(|(name, _)| wanted(names, name)) {
            let name = if heading == "FILES" { italic(*name) } else { bold(*name) };
            term(roff, vec![name], text, &Values::new());
        }
    }
}

/// `taptool [-j|--json] … [COMMAND]`.
fn synopsis(tree: &Command) -> Vec<Inline> {
    let mut line = vec![bold("taptool")];
    for arg in tree.get_arguments().filter(|arg| arg.is_global_set() && !arg.is_hide_set()) {
        line.push(roman(" ["));
        if let Some(short) = arg.get_short() {
            line.extend([bold(format!("-{short}")), roman("|")]);
        }
        line.push(bold(format!("--{}", arg.get_long().unwrap())));
        line.extend(value(arg));
        line.push(roman("]"));
    }
    line.extend([roman(" ["), italic("COMMAND"), roman("]")]);
    line
}

fn value(arg: &Arg) -> Vec<Inline> {
    match arg.get_value_names() {
        Some(names) if arg.get_action().takes_values() => {
            vec![roman(" "), italic(names.join(" "))]
        }
        _ => Vec::new(),
    }
}

/// Exit codes and their meaning.
pub const CODES: &[(u8, &str)] = &[
    (0, "Done."),
    (1, "Failed."),
    (2, "Usage: the words are no command, or a value is not of its form."),
    (3, "No such interface, namespace, bridge or device."),
    (4, "Exists already, or is in use."),
    (5, "Not permitted."),
    (6, "A holder does not answer."),
    (7, "The backend or `/dev/net/tun' is missing."),
];

/// How a command may end, in a sentence.
pub fn codes_of(command: &str) -> String {
    let may: &[u8] = match command {
        "wait" | "completions" => &[0, 1, 2],
        "demo" | "doctor" => &[0, 1, 2, 5, 7],
        _ => &[0, 1, 2, 3, 4, 5, 6, 7],
    };
    let brief = |(code, meaning): &(u8, &str)| {
        let meaning = meaning.trim_end_matches('.');
        let meaning = meaning.split_once(": ").map_or(meaning, |(first, _)| first);
        let (first, rest) = meaning.split_at(1);
        format!("{code} {}{rest}", first.to_lowercase())
    };
    let said: Vec<String> =
        CODES.iter().filter(|(code, _)| may.contains(code)).map(brief).collect();
    format!("{}.", said.join("; "))
}

/// Pages that a reader of a command's page may want next.
pub fn see_also(command: &str) -> Vec<String> {
    let others: &[&str] = match command {
        "create" => &["taptool-delete(8)", "taptool-show(8)", "ip-netns(8)", "ip-link(8)"],
        "delete" => &["taptool-create(8)", "taptool-clear(8)"],
        "show" => &["taptool-clear(8)", "taptool-create(8)", "ip-link(8)"],
        "clear" => &["taptool-show(8)"],
        "gso" => &["taptool-set(8)", "taptool-create(8)", "ethtool(8)"],
        "xconnect" => &["taptool-set(8)", "taptool-show(8)"],
        "set" => &["taptool-create(8)", "taptool-gso(8)", "taptool-xconnect(8)"],
        "l2fib" => &["taptool-create(8)", "taptool-show(8)", "bridge(8)"],
        "test" => &["taptool-xconnect(8)", "taptool-set(8)"],
        "hold" => &["taptool-create(8)", "taptool-wait(8)", "systemd.service(5)"],
        "nsim" => &["taptool-xconnect(8)", "taptool-set(8)"],
        "save" => &["taptool-exec(8)", "taptool-show(8)"],
        "wait" => &["taptool-hold(8)"],
        "completions" => &["bash(1)", "zshcompsys(1)", "fish(1)"],
        _ => &[],
    };
    ["taptool(8)"].iter().chain(others).map(|page| (*page).to_owned()).collect()
}
