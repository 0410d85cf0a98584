//! One worker as a process: started, asked, and ended with all that it started.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::engine::CancelFlag;
use crate::tasks::TaskContext;
use crate::tasks::command::capture::Capture;
use crate::tasks::command::group::{GRACE, LOOK, Process};
use crate::tasks::command::guard;
use crate::tasks::command::memory::{Later, held_now};
use crate::tasks::command::worker::failure::Failure;
use crate::tasks::command::worker::protocol::{Exchange, Garbage};

/// How long a worker that closed one of its pipes may take to be seen to end; also how long it is listened to after its end,
/// where what it started may still answer.
const DRAIN: Duration = Duration::from_millis(200);

/// So many answers of a worker are watched for words too many, and for so long.
const WATCHED_ANSWERS: u32 = 3;
const SETTLE: Duration = Duration::from_millis(10);

/// So much of what an idle worker prints is taken at a time, so that one that never stops holds nobody up.
const IDLE_BYTES_MAX: usize = 1 << 20;

/// A worker that was started and has not been reaped; dropping it ends it at once, with its group.
#[derive(Debug)]
pub(super) struct Worker {
    process: Process,
    stdin: Option<File>,
    stdout: Option<File>,
    stderr: Option<File>,
    /// How often it has answered.
    answers: u32,
}

impl Worker {
    /// Starts this program as a worker.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped());
        let (mut child, [stdout, stderr]) = guard::spawn(command)?;
        let process = Process::of(&child);
        let stdin = child.stdin.take().ok_or_else(|| io::Error::other("a pipe that was asked for is not there"))?;
        let stdin = pipe(OwnedFd::from(stdin).into())?;
        let (stdout, stderr) = (pipe(stdout)?, pipe(stderr)?);
        Ok(Self { process, stdin, stdout, stderr, answers: 0 })
    }

    /// Asks it, and waits for its answer; what it prints on standard error meanwhile goes to `stderr`. Where there is no answer,
    /// the worker has ended, with its group. The most memory that it was seen to hold is given too.
    pub fn ask(
        mut self,
        mut exchange: Exchange,
        stderr: &mut Capture,
        context: &TaskContext<'_>,
    ) -> (Result<(Self, String), Failure>, Option<u64>) {
        let mut memory = Later::new(self.process.group(), context.memory);
        let conversed = self.converse(&mut exchange, stderr, context.cancel, &mut memory);
        let sent_bytes = exchange.sent_bytes();
        let failure = match conversed {
            Ok(()) => match exchange.answer() {
                Ok(answer) => {
                    // However short its jobs are, what it has loaded is worth knowing.
                    self.answers = self.answers.saturating_add(1);
                    let held = || if self.answers == 1 { held_now(self.process.group()) } else { None };
                    let held = memory.peak_bytes().or_else(held);
                    return (Ok((self, answer)), held);
                }
                Err(garbage) => Failure::Garbage(garbage),
            },
            Err(failure) => failure,
        };
        (Err(self.end(failure, sent_bytes, stderr)), memory.peak_bytes())
    }

    fn converse(
        &mut self,
        exchange: &mut Exchange,
        stderr: &mut Capture,
        cancel: &CancelFlag,
        memory: &mut Later,
    ) -> Result<(), Failure> {
        let mut looked = Instant::now();
        let mut has_ended = None;
        loop {
            let got = self.wait(!exchange.unsent().is_empty())?;
            if got.stderr {
                read(&mut self.stderr, |bytes| Ok(stderr.push(bytes)?))?;
            }
            if got.stdout {
                read(&mut self.stdout, |bytes| exchange.heard(bytes).map_err(Failure::Garbage))?;
                if exchange.is_answered() {
                    return self.last_words(exchange, stderr);
                }
                if self.stdout.is_none() {
                    return Err(Failure::Closed("output"));
                }
            }
            if got.stdin {
                self.send(exchange)?;
            }
            if got.any() && looked.elapsed() < LOOK {
                continue;
            }
            looked = Instant::now();
            memory.look();
            if cancel.is_cancelled() {
                return Err(Failure::Stopped);
            }
            // What it started may hold its output open.
            if has_ended.is_none() && self.process.has_ended()? {
                has_ended = Some(looked);
            }
            if has_ended.is_some_and(|ended| ended.elapsed() > DRAIN) {
                return Err(Failure::Closed("output"));
            }
        }
    }

    /// What it had printed by the time that it answered belongs to the answer. One whose ways are not known yet is given a
    /// moment to say more: who prints two lines a job, one at a time, is found out before the second is taken for the answer
    /// to the next.
    fn last_words(&mut self, exchange: &mut Exchange, stderr: &mut Capture) -> Result<(), Failure> {
        if self.unread_bytes().is_some_and(|bytes| bytes > 0) {
            return Err(Failure::Garbage(Garbage::Early));
        }
        if self.answers < WATCHED_ANSWERS {
            self.wait_for_output(SETTLE)?;
        }
        while read(&mut self.stdout, |bytes| exchange.heard(bytes).map_err(Failure::Garbage))? > 0 {}
        let mut len = 0;
        while len < IDLE_BYTES_MAX {
            match read(&mut self.stderr, |bytes| Ok(stderr.push(bytes)?))? {
                0 => break,
                got => len += got,
            }
        }
        Ok(())
    }

    /// How much of the job still lies in the pipe, where the system tells: what it said is no answer to it then.
    fn unread_bytes(&self) -> Option<usize> {
        let stdin = self.stdin.as_ref().filter(|_| cfg!(target_os = "linux"))?;
        let mut len: libc::c_int = 0;
        // SAFETY: `len` lives through the call, which writes an int to it or nothing.
        let done = unsafe { libc::ioctl(stdin.as_raw_fd(), libc::FIONREAD, &mut len) };
        usize::try_from(len).ok().filter(|_| done == 0)
    }

    /// Waits for more on standard output, for so long at most.
    fn wait_for_output(&self, patience: Duration) -> io::Result<()> {
        let Some(stdout) = &self.stdout else { return Ok(()) };
        let mut polled = libc::pollfd { fd: stdout.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which lives through the call.
        let count = unsafe { libc::poll(&mut polled, 1, patience.as_millis() as libc::c_int) };
        let error = io::Error::last_os_error();
        if count < 0 && error.kind() != io::ErrorKind::Interrupted { Err(error) } else { Ok(()) }
    }

    fn send(&mut self, exchange: &mut Exchange) -> Result<(), Failure> {
        let Some(stdin) = &mut self.stdin else { return Err(Failure::Closed("input")) };
        match stdin.write(exchange.unsent()) {
            Ok(len) => exchange.sent(len),
            Err(error) if is_for_later(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Failure::Closed("input")),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Waits until a pipe has something, or room where there is something to send, but not for long.
    fn wait(&self, to_send: bool) -> io::Result<Ready> {
        let poll = |pipe: &Option<File>, events| libc::pollfd {
            // A negative one is passed over.
            fd: pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            events,
            revents: 0,
        };
        let stdin = if to_send { poll(&self.stdin, libc::POLLOUT) } else { poll(&None, 0) };
        let mut polled = [stdin, poll(&self.stdout, libc::POLLIN), poll(&self.stderr, libc::POLLIN)];
        // SAFETY: the array lives through the call, and its length is that of the array.
        let count = unsafe { libc::poll(polled.as_mut_ptr(), 3, LOOK.as_millis() as libc::c_int) };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(Ready::default()) } else { Err(error) };
        }
        let [stdin, stdout, stderr] = polled.map(|polled| polled.revents != 0);
        Ok(Ready { stdin, stdout, stderr })
    }

    /// Ends a worker that was given so much of a job and gave no answer, and tells why.
    fn end(mut self, failure: Failure, sent_bytes: usize, stderr: &mut Capture) -> Failure {
        if let Failure::Closed(_) = failure {
            // Most often it has ended, or is about to.
            let closed = Instant::now();
            while closed.elapsed() < DRAIN && matches!(self.process.has_ended(), Ok(false)) {
                self.hush(stderr);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let by_itself = matches!(self.process.has_ended(), Ok(true));
        if !by_itself {
            self.process.ask_to_end();
            let asked = Instant::now();
            while asked.elapsed() < GRACE && matches!(self.process.has_ended(), Ok(false)) {
                self.hush(stderr);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.hush(stderr);
        match (self.process.reap(), failure) {
            (Ok((ending, _)), Failure::Closed(_)) if by_itself => {
                let is_unread = sent_bytes == 0 || self.unread_bytes() == Some(sent_bytes);
                if is_unread { Failure::Unread(ending) } else { Failure::Ended(ending) }
            }
            (_, failure) => failure,
        }
    }

    /// Takes what it prints while it ends, so that it can.
    fn hush(&mut self, stderr: &mut Capture) {
        // What cannot be kept any more is lost: it is about the failure of a job that has failed in any case.
        let _ = read(&mut self.stderr, |bytes| {
            let _ = stderr.push(bytes);
            Ok(())
        });
        let _ = read(&mut self.stdout, |_| Ok(()));
    }

    /// Whether an idle worker can be asked again: it lives, listens, and has said nothing that nobody asked for. What it
    /// prints on standard error is nobody's.
    pub fn is_sound(&mut self) -> bool {
        let mut len = 0;
        while len < IDLE_BYTES_MAX {
            match read(&mut self.stderr, |_| Ok(())) {
                Ok(0) => break,
                Ok(got) => len += got,
                Err(_) => return false,
            }
        }
        let is_silent = matches!(read(&mut self.stdout, |_| Ok(())), Ok(0));
        is_silent && self.stdout.is_some() && self.stdin.is_some() && matches!(self.process.has_ended(), Ok(false))
    }

    /// Tells it that there are no more jobs.
    fn close(&mut self) {
        self.stdin = None;
    }

    fn has_ended(&mut self) -> bool {
        let _ = read(&mut self.stderr, |_| Ok(()));
        let _ = read(&mut self.stdout, |_| Ok(()));
        !matches!(self.process.has_ended(), Ok(false))
    }
}

/// Ends these workers: their jobs are over, then they are asked to end, then made to. Each time they have a while for it.
pub(super) fn end_all(mut workers: Vec<Worker>) {
    workers.iter_mut().for_each(Worker::close);
    end_within(&mut workers, GRACE);
    workers.iter().for_each(|worker| worker.process.ask_to_end());
    end_within(&mut workers, GRACE);
    // Whoever is left ends by being dropped.
}

fn end_within(workers: &mut Vec<Worker>, patience: Duration) {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        workers.retain_mut(|worker| !worker.has_ended());
        if workers.is_empty() || begun.elapsed() > patience {
            return;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Which pipes have something, or room.
#[derive(Clone, Copy, Default)]
struct Ready {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Ready {
    fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// This process's end of a pipe, which from now on nobody waits at.
fn pipe(file: File) -> io::Result<Option<File>> {
    // SAFETY: plain system calls on a descriptor that lives through them.
    let done = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        if flags < 0 { flags } else { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) }
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(Some(file)) }
}

/// Reads once what is there, and gives the number of bytes: 0 where there is nothing, for now or, which closes the pipe, for
/// ever.
fn read(pipe: &mut Option<File>, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<usize, Failure> {
    let Some(file) = pipe else { return Ok(0) };
    let mut room = [0; 32 << 10];
    match file.read(&mut room) {
        Ok(0) => {
            *pipe = None;
            Ok(0)
        }
        Ok(len) => take(&room[..len]).map(|()| len),
        Err(error) if is_for_later(&error) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
