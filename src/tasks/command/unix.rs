//! A process on a Unix: started as the leader of a process group, its two outputs read as they come, its end awaited, its
//! group ended with it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::engine::CancelFlag;
use crate::tasks::TaskContext;
use crate::tasks::command::capture::Capture;
use crate::tasks::command::group::{GRACE, LOOK, Process};
use crate::tasks::command::guard;
use crate::tasks::command::memory::Later;
use crate::tasks::command::process::{Ended, Fault};

/// How long outputs are read on after the process has ended, where what it left running holds them open.
const DRAIN: Duration = Duration::from_millis(200);

/// Runs the process to its end, or until somebody wants it to end.
///
/// # Errors
/// Where it cannot be started, or its outputs can be neither read nor kept; it is not running then.
pub(super) fn run(command: Command, outputs: [Capture; 2], context: &TaskContext<'_>) -> Result<Ended, Fault> {
    let (child, pipes) = guard::spawn(command).map_err(Fault::Start)?;
    watch(&child, pipes, outputs, context).map_err(Fault::Output)
}

/// Waits for the process; it is ended where it cannot be waited for.
fn watch(child: &Child, pipes: [File; 2], outputs: [Capture; 2], context: &TaskContext<'_>) -> io::Result<Ended> {
    let cancel = context.cancel;
    let mut process = Process::of(child);
    let mut streams = Streams { pipes: pipes.map(Some), outputs };
    let mut stop = Stop { asked: None, made: false };
    let mut memory = Later::new(process.group(), context.memory);
    let mut has_ended = None;
    let mut looked = Instant::now();
    while streams.any_open() {
        let got = streams.read(LOOK)?;
        if got && looked.elapsed() < LOOK {
            continue;
        }
        looked = Instant::now();
        memory.look();
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
        memory.look();
        stop.look(cancel, &process);
        process.wait_a_moment(pause);
        pause = (pause * 2).min(LOOK);
    }
    let (ending, memory_of_one) = process.reap()?;
    let memory = memory_of_one.with(memory.peak_bytes());
    let [stdout, stderr] = streams.outputs.map(Capture::finish);
    Ok(Ended { ending, stdout, stderr, memory, was_stopped: stop.asked.is_some() })
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
                process.ask_to_end();
            }
            Some(asked) if !self.made && asked.elapsed() > GRACE => {
                self.made = true;
                process.make_end();
            }
            _ => {}
        }
    }
}
