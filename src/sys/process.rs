//! A second process of this program.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid, close};

use crate::diag::Failure;

/// Forks: the child's number in the parent, none in the child.
///
/// # Errors
/// When this process has more than one thread: the child would have only one of them, and locks
/// that the others held stay locked. Else as `fork(2)`.
#[expect(unsafe_code, reason = "fork")]
pub fn fork() -> Result<Option<Pid>, Failure> {
    let failed = |errno: Errno| Failure::sys("fork", "", errno);
    let threads = std::fs::read_dir("/proc/self/task")
        .map_err(|e| Failure::io("read /proc/self/task", "", &e))?
        .count();
    if threads != 1 {
        return Err(Failure::bug("fork", format!("{threads} threads run already")));
    }
    // SAFETY: the process has one thread, so no lock is held by one that the child lacks, and the
    // child may do whatever the parent may.
    match unsafe { nix::unistd::fork() }.map_err(failed)? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Closes the files that this process was started with, standard input, output and error left
/// alone: a process that waits for the end of a pipe, or for a lock, must not wait for one that
/// stays.
///
/// They are those without close-on-exec: every file of ours has it, though not of every library, so
/// this comes before those.
pub fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let numbers: Vec<RawFd> = numbers.filter(|number| *number > 2).collect();
    for number in numbers {
        // SAFETY: only asked about; one that was closed meanwhile, as that of the list itself, says
        // EBADF.
        #[expect(unsafe_code, reason = "a file that is known by its number alone")]
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        let inherited = fcntl(file, FcntlArg::F_GETFD)
            .is_ok_and(|flags| !FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC));
        if inherited {
            // Nothing here knows its number.
            let _ = close(number);
        }
    }
}

/// Starts a program with no signal blocked, also where this process blocks some.
///
/// # Errors
/// As [`Command::spawn`].
#[expect(unsafe_code, reason = "what runs between fork and exec must be harmless there")]
pub fn spawn_unblocked(command: &mut Command) -> io::Result<Child> {
    // SAFETY: the closure makes one system call, sigprocmask, and neither allocates nor locks.
    unsafe {
        command.pre_exec(|| SigSet::all().thread_unblock().map_err(io::Error::from));
    }
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_several_threads_does_not_fork() {
        // The test runner has at least two: its own and this one.
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        assert!(fork().unwrap_err().cause.contains("threads run already"));
        drop(stop);
        assert!(other.join().unwrap().is_err());
    }
}
