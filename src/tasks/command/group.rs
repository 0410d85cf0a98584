//! The group of a process: told to end, awaited, reaped, and ended with its leader.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Child;
use std::time::Duration;

use crate::tasks::command::guard;
use crate::tasks::command::process::{Account, Ending};

/// How long a process that was asked to end may take over it.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How often it is looked for a cancellation, and for an end of the process while others hold its outputs open.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// A process that leads its own group, not reaped yet; ended with its group when dropped.
#[derive(Debug)]
pub(super) struct Process {
    id: libc::pid_t,
    is_reaped: bool,
}

impl Process {
    /// A process that the guard has begun as the leader of its group.
    pub fn of(child: &Child) -> Self {
        Self { id: child.id() as libc::pid_t, is_reaped: false }
    }

    /// The number of the group.
    pub fn group(&self) -> i32 {
        self.id
    }

    /// Asks the group to end.
    pub fn ask_to_end(&self) {
        self.signal_group(libc::SIGTERM);
        // What is stopped hears nothing else.
        self.signal_group(libc::SIGCONT);
    }

    /// Ends the group.
    pub fn make_end(&self) {
        self.signal_group(libc::SIGKILL);
    }

    fn signal_group(&self, signal: libc::c_int) {
        debug_assert!(!self.is_reaped, "its number may be another's by now");
        // SAFETY: a plain system call. The leader is not reaped, so the group's number is still its own.
        unsafe { libc::kill(-self.id, signal) };
    }

    /// Whether the process has ended; it is not reaped by the question.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        // SAFETY: zeros are a valid siginfo_t, and mean "nothing happened" where waitid leaves them.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: `info` lives through the call.
        let done = unsafe { libc::waitid(libc::P_PID, self.id as libc::id_t, &mut info, flags) };
        if done != 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() == Some(libc::ECHILD) {
                // Somebody else has taken it off the list, and its number may be another's by now: nothing may be signalled.
                self.is_reaped = true;
                guard::remove(self.id as u32);
                return Err(io::Error::other(
                    "its end was not to be seen, since this process ignores the signal SIGCHLD",
                ));
            }
            return Err(error);
        }
        // SAFETY: waitid has filled the part of the union that `si_pid` reads, or left the zeros.
        Ok(unsafe { info.si_pid() } == self.id)
    }

    /// Waits for the end of the process, but not for long: where the system can tell of the end until [`LOOK`] is over,
    /// elsewhere for so long.
    pub fn wait_a_moment(&self, pause: Duration) {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: a plain system call, which gives a new descriptor or an error.
            let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.id, 0) };
            if fd >= 0 {
                // SAFETY: the descriptor is new, and nobody else's.
                let fd = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
                let mut polled = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: one entry, which lives through the call.
                unsafe { libc::poll(&mut polled, 1, LOOK.as_millis() as libc::c_int) };
                return;
            }
        }
        std::thread::sleep(pause);
    }

    /// Ends what is left of the group, and takes the process off the system's list.
    pub fn reap(&mut self) -> io::Result<(Ending, Account)> {
        self.signal_group(libc::SIGKILL);
        // Before the number can be another's.
        guard::remove(self.id as u32);
        let mut status = 0;
        // SAFETY: zeros are a valid rusage, which wait4 fills.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: both live through the call; the process is a child of ours that nobody else waits for.
            if unsafe { libc::wait4(self.id, &mut status, 0, &mut usage) } == self.id {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        self.is_reaped = true;
        let ending = if libc::WIFSIGNALED(status) {
            Ending::Signal(signal_name(libc::WTERMSIG(status)))
        } else {
            Ending::Exit(libc::WEXITSTATUS(status))
        };
        // Kibibytes, but on Apple's systems bytes.
        let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
        let at_most_bytes = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(unit);
        // A process begins as a copy of the one that starts it, and the most that this held counts as its own: only more tells.
        let peak_bytes = (usage.ru_maxrss > own_peak()).then_some(at_most_bytes);
        Ok((ending, Account { peak_bytes, at_most_bytes }))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = self.reap();
        }
    }
}

/// The most memory that this process has held, in the unit of the system.
fn own_peak() -> libc::c_long {
    // SAFETY: zeros are a valid rusage, which getrusage fills.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` lives through the call.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    usage.ru_maxrss
}

fn signal_name(number: libc::c_int) -> String {
    let name = match number {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
