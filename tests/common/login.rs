//! A login shell on a new terminal, in which `taptool` runs.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;

use super::{World, taptool};

/// The login shell: job control on, so that what runs there is the terminal's foreground group, as
/// for a person. It says how the program ended, and whether the terminal is as it was; a program
/// that was stopped goes on after Enter.
const LOGIN: &str = r#"
stty echo rows "$1" columns "$2"
shift 2
set -m
modes=$(stty -g)
check() { [ "$(stty -g)" = "$modes" ] || echo 'the modes of the terminal are not as they were'; }
"$@"
code=$?
while [ "$code" = 147 ] || [ "$code" = 148 ]; do
    check
    echo 'it has stopped'
    read -r line
    fg
    code=$?
done
check
echo "it ended with $code"
exit "$code"
"#;

/// What a terminal is, and what is set around it.
#[derive(Debug, Clone, Copy)]
pub struct Kind<'a> {
    /// Rows and columns.
    pub size: (u16, u16),
    /// Variables beside those that every terminal has.
    pub env: &'a [(&'a str, &'a str)],
}

impl Default for Kind<'_> {
    fn default() -> Self {
        Self { size: (24, 80), env: &[] }
    }
}

/// Starts `taptool ARGS` in such a shell; the shell, and the end of the terminal that a person has.
pub fn start(world: &World, args: &str, kind: Kind<'_>) -> (Child, File) {
    let (master, slave) = pair();
    let size = [kind.size.0.to_string(), kind.size.1.to_string()];
    let state = world.dir().join("state");
    let mut command = if ignores_what_a_terminal_sends() {
        let mut env = Command::new("env");
        env.args(["--default-signal=HUP,INT", "setsid"]);
        env
    } else {
        Command::new("setsid")
    };
    let login = command
        .args(["-c", "sh", "-c", LOGIN, "sh"])
        .args(&size)
        .arg(taptool())
        .args(shlex::split(args).unwrap())
        .env("TAPTOOL_SOCKET", world.socket())
        .env("HOME", world.dir())
        .env("XDG_STATE_HOME", state)
        .env("TERM", "xterm")
        .env("PAGER", "")
        .env_remove("NO_COLOR")
        .env_remove("LC_ALL")
        .envs(kind.env.iter().copied())
        .stdin(slave.try_clone().unwrap())
        .stdout(slave.try_clone().unwrap())
        .stderr(slave)
        .spawn()
        .unwrap();
    (login, master)
}

/// Whether SIGHUP or SIGINT is ignored here, as it is where the tests were started with `nohup' or
/// `&': every program inherits that, and no login shell is born so.
fn ignores_what_a_terminal_sends() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    [Signal::SIGHUP, Signal::SIGINT].iter().any(|signal| ignored >> (*signal as i32 - 1) & 1 == 1)
}

/// Both ends of a new terminal. Neither is inherited.
fn pair() -> (File, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = ptsname_r(&master).unwrap();
    let slave = File::options()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOCTTY)
        .open(slave)
        .unwrap();
    (File::from(OwnedFd::from(master)), slave)
}
