//! The binary as a shell script meets it: streams and exit codes where no process holds interfaces.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use common::{live, text};

fn taptool() -> Command {
    let mut command = Command::new(cargo_bin("taptool"));
    command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    // Nobody is there, whoever else runs on this machine.
    command.env("TAPTOOL_SOCKET", "/nonexistent/ctl.sock");
    command
}

fn run(line: &str) -> (i32, String, String) {
    let out = taptool().args(line.split_whitespace()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

#[test]
fn without_a_holder_there_are_no_interfaces() {
    for line in [
        "show",
        "show tap",
        "show tun",
        "sh int",
        "show errors",
        "sh int addr",
        "show interface rx-placement",
        "show interface features",
        "sh hard",
        "show hardware-interfaces verbose",
        "show mode",
        "show runtime verbose",
        "show threads",
        "show logging",
        "delete --all",
        "delete tap --all",
        "clear interfaces",
        "clear errors",
    ] {
        assert_eq!(run(line), (0, String::new(), String::new()), "{line}");
        assert_eq!(run(&format!("-j {line}")), (0, "[]\n".into(), String::new()), "{line}");
    }
    for line in [
        "show tap tap0",
        "show interface tap0",
        "show interface addr tap0",
        "show hardware-interfaces tap0 verbose",
        "show mode tap0",
        "delete tap0",
        "gso tap0 on",
        "xconnect tap0 tap1",
        "set interface state tap0 up",
        "clear interfaces tap0",
        "set tap gso tap0 disable",
    ] {
        let (code, out, err) = run(line);
        assert_eq!((code, out), (3, String::new()), "{line}");
        assert!(err.contains(": tap0: no such interface\n"), "{line}: {err}");
    }
    for (line, said) in [
        ("show tap0", (3, "show: `tap0' is neither a table nor an interface\n")),
        ("show plugins", (3, "show: `plugins' is neither a table nor an interface\n")),
        ("show buffers", (3, "show: `buffers' is neither a table nor an interface\n")),
        ("leak-check show", (2, "unknown input `leak-check'\n  `--help' lists the commands\n")),
        ("show bridge-domain 7", (3, "show bridge-domain: No such bridge domain 7\n")),
        ("l2fib del 02:fe:00:00:00:01 7", (3, "l2fib del: No such bridge domain 7\n")),
    ] {
        let (code, out, err) = run(line);
        assert_eq!((out.as_str(), (code, err.as_str())), ("", said), "{line}");
    }
    let (code, out, err) = run("delete tap sw_if_index 9");
    assert_eq!((code, out), (3, String::new()));
    assert!(err.starts_with("delete tap: sw_if_index 9: no such interface\n"), "{err}");
}

#[test]
fn what_this_version_lacks_is_exit_2() {
    for line in ["create tun packed", "create tap gro-coalesce", "show trace"] {
        let (code, out, err) = run(line);
        assert_eq!((code, out), (2, String::new()), "{line}");
        assert!(err.contains("not supported in this version"), "{line}: {err}");
    }
}

#[test]
fn an_empty_script_is_done_and_one_that_is_not_there_is_refused() {
    for line in ["", "-j", "exec /dev/null", "exec -"] {
        assert_eq!(run(line), (0, String::new(), String::new()), "{line}");
    }
    let (code, out, err) = run("exec /nonexistent/script");
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "exec: /nonexistent/script: open: No such file or directory (ENOENT)\n");
}

#[test]
fn a_holder_that_cannot_be_started_is_refused_before_anything_is_made() {
    for (line, verb) in [("create tap0", "create"), ("hold", "hold")] {
        let why = format!(
            "{verb}: /nonexistent/ctl.sock.lock: open: No such file or directory (ENOENT)\n  \
             name a socket in a directory of your own with --socket or TAPTOOL_SOCKET\n"
        );
        assert_eq!(run(line), (6, String::new(), why), "{line}");
    }
    // Where nobody can be, nobody is.
    assert_eq!(run("monitor"), (0, String::new(), String::new()));
}

#[test]
fn usage_errors_are_one_line_and_a_hint_on_stderr() {
    assert_eq!(
        run("create tap id 0 gsoo"),
        (2, String::new(), "create tap: unknown input `gsoo'\n  did you mean `gso'\n".into())
    );
    assert_eq!(
        run("create tap rx-ring-size 300"),
        (
            2,
            String::new(),
            "create tap: rx-ring-size 300: not a power of two between 64 and 32768\n".into()
        )
    );
    let out = taptool().arg(OsStr::from_bytes(b"\xffshow")).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8(out.stderr).unwrap().ends_with("not UTF-8\n"));
}

#[test]
fn help_and_version_are_results() {
    let (code, version, err) = run("--version");
    assert_eq!((code, err), (0, String::new()));
    assert!(version.starts_with(concat!("taptool ", env!("CARGO_PKG_VERSION"), " (")));
    // The same words, as a command of a script.
    assert_eq!(run("show version"), (0, version, String::new()));
    let (code, json, err) = run("-j sh ver");
    assert_eq!((code, err), (0, String::new()));
    assert!(json.starts_with("[{\"commit\":"), "{json}");
    let (_, whole, _) = run("show version verbose");
    assert!(whole.contains("Version:                   "), "{whole}");
    for line in ["--help", "-h", "create --help", "set interface ip address -h"] {
        let (code, out, err) = run(line);
        assert_eq!((code, err), (0, String::new()), "{line}");
        assert!(out.contains("Usage: taptool"), "{line}");
        assert!(!out.contains('\u{1b}'), "{line}: colour off a terminal");
    }
    let (_, out, _) = run("--color always --help");
    assert!(out.contains('\u{1b}'));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let out = taptool().arg("--help").stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(String::from_utf8(out.stderr).unwrap(), "");
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let out = taptool().arg("--help").stdout(full).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let err = String::from_utf8(out.stderr).unwrap();
    assert_eq!(err, "write to stdout: No space left on device (ENOSPC)\n");
}

#[test]
fn a_dry_run_without_the_right_to_it_tells_the_steps_and_what_would_not_be_permitted() {
    live(|world| {
        world.quiet_netns("a");
        let bin = world.dir().join("taptool");
        std::fs::copy(common::taptool(), &bin).unwrap();
        world.must(&format!("chmod 755 {}", world.dir().display()));
        let line = format!(
            "mount -t tmpfs -o mode=0755 net /dev/net; mknod -m 0600 /dev/net/tun c 10 200; \
             exec setpriv --reuid 65534 --regid 65534 --clear-groups {} create tap0 --netns a \
             --backend userspace --dry-run",
            bin.display()
        );
        let out = world.start(&format!("unshare --mount sh -euc '{line}'")).output(20.0);
        let (steps, said) = (text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(0), "{said}");
        assert!(steps.contains("make tap tap0"), "{steps}");
        let expected = "create: note: would not be permitted: tap0: open /dev/net/tun: Permission denied (EACCES)\n";
        assert!(said.contains(expected), "{said}");
    });
}
