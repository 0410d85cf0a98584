//! As process 1 of a container, a program has the duties of an init: whatever loses its parent becomes its child and has to be reaped,
//! and signals reach it only where it handles them. `tandem serve` is started once more below it, and knows nothing of this.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::cli::Stopped;

/// The option that asks for it where the process is not the first.
pub(super) const OPTION: &str = "init";

/// Whether this process is the first of its container.
pub(super) fn is_first() -> bool {
    std::process::id() == 1
}

/// Runs this program once more with the same arguments but [`OPTION`], passes signals on to it and reaps what is left behind, until it
/// ends; gives its exit code.
pub(super) fn run() -> Result<ExitCode, Stopped> {
    // Before there is a child whose end could be missed.
    let mut signals =
        Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2]).map_err(Stopped::failed)?;
    adopt_orphans();
    let program = std::env::current_exe().map_err(Stopped::failed)?;
    let own = format!("--{OPTION}");
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1).filter(|arg| *arg != *own));
    // A terminal's Ctrl-C would reach it twice, and twice means at once.
    command.process_group(0);
    end_with_parent(&mut command);
    let child = command.spawn().map_err(Stopped::failed)?;
    let child = child.id() as libc::pid_t;
    for signal in signals.forever() {
        if signal == SIGCHLD {
            if let Some(code) = reap(child) {
                return Ok(ExitCode::from(code));
            }
        } else {
            // SAFETY: a plain system call; the child has not been reaped, or this would have returned.
            unsafe { libc::kill(child, signal) };
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where this process is killed, the other one is asked to end: whoever starts the next finds its folder and its port free.
fn end_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: between fork and exec, a plain system call that sets one flag of the new process; it allocates nothing.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
            Ok(())
        });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Reaps every child that has ended; gives the exit code of `main`, where it is among them.
fn reap(main: libc::pid_t) -> Option<u8> {
    let mut code = None;
    loop {
        let mut status = 0;
        // SAFETY: a plain system call that writes one integer. No `Child` of the standard library is waited for in this process.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if pid <= 0 {
            return code;
        }
        if pid == main {
            code = Some(exit_code(status));
        }
    }
}

/// As shells tell it: 128 and the signal for who was ended by one.
fn exit_code(status: libc::c_int) -> u8 {
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) };
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// What loses its parent below this process becomes its child, as if it were the first.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if !is_first() {
        // SAFETY: a plain system call that sets one flag of this process.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_as_shells_tell_them() {
        assert_eq!((exit_code(3 << 8), exit_code(0), exit_code(libc::SIGKILL)), (3, 0, 137));
    }
}
