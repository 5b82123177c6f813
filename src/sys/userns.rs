//! Becoming root in a user namespace of one's own, so that taps need no privilege.
#![cfg_attr(test, expect(unsafe_code, reason = "the test forks: only one thread may enter"))]

use std::fs::OpenOptions;
use std::io::Write;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use crate::diag::{Code, Failure};

const ALLOW: &str = "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), \
    kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); or run it with sudo";

/// Moves the process into a new user namespace with a new network namespace, where its own user
/// and group are 0. It must have one thread.
///
/// Nothing is changed when the first step, `unshare`, fails. When a later one does, the process is
/// inside without a mapping and had better end.
///
/// # Errors
/// Says which call, and what allows it.
pub fn enter() -> Result<(), Failure> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(refused)?;
    // An unprivileged process may write gid_map only after it has given up setgroups
    // (user_namespaces(7)); kernels before 3.19 have no such file.
    match write("/proc/self/setgroups", "deny") {
        Err(f) if f.errno == Some(Errno::ENOENT) => {}
        other => other?,
    }
    write("/proc/self/uid_map", &format!("0 {uid} 1\n"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1\n"))
}

/// The ranges of `/proc/self/uid_map`: first inside, first outside, how many. Empty where there is
/// no such file.
fn uid_map() -> Vec<[u64; 3]> {
    ranges(&std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default())
}

fn ranges(text: &str) -> Vec<[u64; 3]> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some([next()?, next()?, next()?])
    };
    text.lines().filter_map(line).collect()
}

/// Whether every id means the same inside as outside: so it is in the initial user namespace, and
/// its root is the machine's.
pub fn is_initial() -> bool {
    is_identity(&uid_map())
}

fn is_identity(map: &[[u64; 3]]) -> bool {
    map.is_empty() || map == [[0, 0, u64::from(u32::MAX)]]
}

/// Whether this is the machine's root, for whom sudo would change nothing.
pub fn is_root() -> bool {
    geteuid().is_root() && is_initial()
}

/// What gives a process the rights that it lacks: `needs` names them, `setcap` what would give the
/// program file them, where that is a way.
pub fn rights(needs: &str, setcap: Option<&str>) -> String {
    rights_of(is_root(), needs, setcap)
}

fn rights_of(root: bool, needs: &str, setcap: Option<&str>) -> String {
    let file = setcap.map_or_else(String::new, |line| format!("`{line}' on the program, "));
    match root {
        true => format!(
            "{needs}: a container must be given it (--cap-add), or run it inside `unshare -Urn'"
        ),
        false => format!("{needs}: run it with sudo, {file}or inside `unshare -Urn'"),
    }
}

/// The effective user as the user namespace around ours knows it; its number here where it is not
/// mapped.
pub fn outside_uid() -> u64 {
    let uid = u64::from(geteuid().as_raw());
    let map = uid_map();
    let range = map.iter().find(|[inside, _, count]| (*inside..inside + count).contains(&uid));
    range.map_or(uid, |[inside, outside, _]| outside + (uid - inside))
}

fn refused(errno: Errno) -> Failure {
    let failure = Failure::sys("unshare(CLONE_NEWUSER|CLONE_NEWNET)", "", errno);
    match errno {
        Errno::EPERM | Errno::EACCES => failure.hint(ALLOW),
        // The kernel's word for a limit that forbids them (user_namespaces(7)).
        Errno::ENOSPC | Errno::EUSERS => failure.code(Code::NotPermitted).hint(
            "raise sysctl user.max_user_namespaces and user.max_net_namespaces, \
             or run it with sudo",
        ),
        Errno::EINVAL if !std::fs::exists("/proc/self/ns/user").unwrap_or(true) => failure
            .code(Code::NotPermitted)
            .hint("this kernel has no user namespaces: run it with sudo"),
        Errno::EINVAL => failure.hint("only a process with one thread can enter; start anew"),
        _ => failure,
    }
}

fn write(path: &str, text: &str) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| {
            let failure = Failure::io(format!("write {path}"), "", &e);
            match failure.code {
                // AppArmor lets a program in and then takes all capabilities there.
                Code::NotPermitted => failure.hint(ALLOW),
                _ => failure,
            }
        })
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork, getgid, getuid};

    use super::*;

    #[test]
    fn only_a_map_of_everyone_to_himself_is_the_machines() {
        assert!(is_identity(&ranges("         0          0 4294967295\n")));
        assert!(!is_identity(&ranges("         0       1000          1\n")));
        assert!(!is_identity(&ranges("0 0 1000\n1000 1001 64535\n")));
    }

    #[test]
    fn root_is_not_told_to_become_root() {
        let told = |root, setcap| rights_of(root, "needs CAP_X", setcap);
        assert_eq!(told(false, None), "needs CAP_X: run it with sudo, or inside `unshare -Urn'");
        assert_eq!(
            told(false, Some("setcap x+ep")),
            "needs CAP_X: run it with sudo, `setcap x+ep' on the program, or inside `unshare -Urn'"
        );
        for setcap in [None, Some("setcap x+ep")] {
            let root = "needs CAP_X: a container must be given it (--cap-add), or run it inside \
                        `unshare -Urn'";
            assert_eq!(told(true, setcap), root);
        }
    }

    #[test]
    fn a_process_with_threads_is_refused_by_the_name_of_the_call() {
        let failure = enter().unwrap_err();
        assert_eq!(failure.doing, "unshare(CLONE_NEWUSER|CLONE_NEWNET)");
        assert!(failure.cause.contains("EINVAL") || failure.cause.contains("EPERM"), "{failure}");
        assert!(failure.hint.is_some());
    }

    #[test]
    fn a_single_thread_becomes_root_with_a_network_namespace_of_its_own() {
        let outside = std::fs::read_link("/proc/self/ns/net").unwrap();
        // SAFETY: the child allocates, which the C library allows after fork, takes no lock of
        // ours, and leaves by _exit.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let code = match enter() {
                    Ok(()) if !getuid().is_root() || getgid().as_raw() != 0 => 2,
                    Ok(()) => match std::fs::read_link("/proc/self/ns/net") {
                        Ok(inside) if inside != outside => 0,
                        _ => 3,
                    },
                    // Where the machine forbids it, the refusal must say how to allow it.
                    Err(f) if f.hint.is_some() => 0,
                    Err(_) => 4,
                };
                // SAFETY: _exit takes any code and does not return.
                unsafe { nix::libc::_exit(code) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
        }
    }
}
