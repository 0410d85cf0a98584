//! A process on a Unix: started as the leader of a process group, its two outputs read as they come, its end awaited, its
//! group ended with it.

use std::fs::File;
use std::io::{self, Read};
#[cfg(target_os = "linux")]
use std::os::fd::FromRawFd;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::engine::CancelFlag;
use crate::tasks::command::capture::Capture;
use crate::tasks::command::guard;
use crate::tasks::command::process::{Ended, Ending, Fault};

/// How long a process that was asked to end may take over it.
const GRACE: Duration = Duration::from_secs(2);

/// How often it is looked for a cancellation, and for an end of the process while others hold its outputs open.
const LOOK: Duration = Duration::from_millis(50);

/// How long outputs are read on after the process has ended, where what it left running holds them open.
const DRAIN: Duration = Duration::from_millis(200);

/// Runs the process to its end, or until somebody wants it to end.
///
/// # Errors
/// Where it cannot be started, or its outputs can be neither read nor kept; it is not running then.
pub(super) fn run(mut command: Command, outputs: [Capture; 2], cancel: &CancelFlag) -> Result<Ended, Fault> {
    guard::start();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().map_err(Fault::Start)?;
    watch(child, outputs, cancel).map_err(Fault::Output)
}

/// Waits for the process; it is ended where it cannot be waited for.
fn watch(mut child: Child, outputs: [Capture; 2], cancel: &CancelFlag) -> io::Result<Ended> {
    let mut process = Process { id: child.id() as libc::pid_t, is_reaped: false };
    guard::add(child.id());
    let pipe = |fd: Option<OwnedFd>| fd.map(File::from).ok_or_else(|| io::Error::other("no pipe to read from"));
    let pipes = [pipe(child.stdout.take().map(OwnedFd::from))?, pipe(child.stderr.take().map(OwnedFd::from))?];
    let mut streams = Streams { pipes: pipes.map(Some), outputs };
    let mut stop = Stop { asked: None, made: false };
    let mut has_ended = None;
    let mut looked = Instant::now();
    while streams.any_open() {
        let got = streams.read(LOOK)?;
        if got && looked.elapsed() < LOOK {
            continue;
        }
        looked = Instant::now();
        stop.look(cancel, &process);
        // Has it ended, while something that it started still holds its outputs, and perhaps goes on writing to them?
        if has_ended.is_none() && process.has_ended()? {
            has_ended = Some(Instant::now());
        }
        if has_ended.is_some_and(|ended| ended.elapsed() > DRAIN) {
            break;
        }
    }
    // It closed its outputs; most often it has ended, or is about to.
    let mut pause = Duration::from_micros(50);
    while !process.has_ended()? {
        stop.look(cancel, &process);
        process.wait_a_moment(pause);
        pause = (pause * 2).min(LOOK);
    }
    let (ending, peak_memory_bytes) = process.reap()?;
    let [stdout, stderr] = streams.outputs.map(Capture::finish);
    Ok(Ended { ending, stdout, stderr, peak_memory_bytes, was_stopped: stop.asked.is_some() })
}

/// The outputs of a process that are still open.
struct Streams {
    pipes: [Option<File>; 2],
    outputs: [Capture; 2],
}

impl Streams {
    fn any_open(&self) -> bool {
        self.pipes.iter().any(Option::is_some)
    }

    /// Reads what is there, waiting for up to `patience`; tells whether anything happened.
    fn read(&mut self, patience: Duration) -> io::Result<bool> {
        let poll = |pipe: &Option<File>| libc::pollfd {
            // A negative one is passed over.
            fd: pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut polled = [poll(&self.pipes[0]), poll(&self.pipes[1])];
        // SAFETY: the array lives through the call, and its length is that of the array.
        let count = unsafe { libc::poll(polled.as_mut_ptr(), 2, patience.as_millis() as libc::c_int) };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(true) } else { Err(error) };
        }
        let mut room = [0; 32 << 10];
        for (at, polled) in polled.iter().enumerate().filter(|(_, polled)| polled.revents != 0) {
            debug_assert!(polled.fd >= 0);
            let Some(pipe) = &mut self.pipes[at] else { continue };
            match pipe.read(&mut room) {
                Ok(0) => self.pipes[at] = None,
                Ok(len) => self.outputs[at].push(&room[..len])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count > 0)
    }
}

/// The wish to end a process, and how far it has been carried out.
struct Stop {
    asked: Option<Instant>,
    made: bool,
}

impl Stop {
    /// Asks the process to end once somebody wishes it, and makes it end once it has had its time.
    fn look(&mut self, cancel: &CancelFlag, process: &Process) {
        match self.asked {
            None if cancel.is_cancelled() => {
                self.asked = Some(Instant::now());
                process.signal_group(libc::SIGTERM);
                // What is stopped hears nothing else.
                process.signal_group(libc::SIGCONT);
            }
            Some(asked) if !self.made && asked.elapsed() > GRACE => {
                self.made = true;
                process.signal_group(libc::SIGKILL);
            }
            _ => {}
        }
    }
}

/// A process that leads its own group, not reaped yet; ended with its group when dropped.
struct Process {
    id: libc::pid_t,
    is_reaped: bool,
}

impl Process {
    fn signal_group(&self, signal: libc::c_int) {
        debug_assert!(!self.is_reaped, "its number may be another's by now");
        // SAFETY: a plain system call. The leader is not reaped, so the group's number is still its own.
        unsafe { libc::kill(-self.id, signal) };
    }

    /// Whether the process has ended; it is not reaped by the question.
    fn has_ended(&mut self) -> io::Result<bool> {
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
    fn wait_a_moment(&self, pause: Duration) {
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
    fn reap(&mut self) -> io::Result<(Ending, Option<u64>)> {
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
        // A process begins as a copy of the one that starts it, and the most that this held counts as its own: only more tells.
        let peak = u64::try_from(usage.ru_maxrss).ok().filter(|_| usage.ru_maxrss > own_peak());
        Ok((ending, peak.map(|peak| peak.saturating_mul(unit))))
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
