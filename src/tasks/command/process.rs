//! A program as a task.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::engine::Need;
use crate::job::{Cause, JobError};
use crate::tasks::command::answer::{CommandAnswer, Output};
use crate::tasks::command::capture::Capture;
use crate::tasks::command::name;
#[cfg(not(unix))]
use crate::tasks::command::portable as system;
#[cfg(unix)]
use crate::tasks::command::unix as system;
use crate::tasks::{Place, Step, Task, TaskContext};

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself, with this code.
    Exit(i32),
    /// By the signal of this name.
    Signal(String),
}

/// How much memory a process held, by the system's account and by what its group was seen to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// The most at once, where that is known.
    pub peak_bytes: Option<u64>,
    /// More than this it did not hold, by itself; 0 where nothing is known.
    pub at_most_bytes: u64,
}

/// What is known to be no more than this is as good as known: a few hundred MiB more or less decide nothing.
const LITTLE_BYTES: u64 = 256 << 20;

impl Account {
    /// The same where its group was seen to hold so much.
    #[must_use]
    #[cfg_attr(not(unix), allow(dead_code, reason = "elsewhere nobody looks"))]
    pub fn with(self, seen_bytes: Option<u64>) -> Self {
        Self { peak_bytes: self.peak_bytes.max(seen_bytes), ..self }
    }

    /// What others of its name are to be expected to hold.
    fn lesson(self) -> Option<u64> {
        let little = Some(self.at_most_bytes).filter(|bytes| (1..=LITTLE_BYTES).contains(bytes));
        self.peak_bytes.or(little)
    }
}

/// A process that has ended, and what it printed.
pub(super) struct Ended {
    pub ending: Ending,
    pub stdout: Output,
    pub stderr: Output,
    pub memory: Account,
    /// Whether it was told to end.
    pub was_stopped: bool,
}

/// A program with all that it is started with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Program {
    /// The program and its arguments; never empty.
    pub argv: Vec<OsString>,
    pub stdin: Option<Arc<str>>,
    pub env: Vec<(OsString, OsString)>,
    /// The folder that it runs in; the current one where there is none.
    pub cwd: Option<PathBuf>,
}

/// Why a process was not run to its end.
pub(super) enum Fault {
    /// It could not be started.
    Start(io::Error),
    /// It was ended, since it could not be waited for, or what it printed could not be kept.
    Output(io::Error),
}

impl Program {
    /// What to call it in messages: the file name of the program.
    pub fn name(&self) -> String {
        let path = Path::new(&self.argv[0]);
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    }

    pub fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command.stdin(match &self.stdin {
            None => Stdio::null(),
            Some(text) => {
                // From a file, so that a program that reads nothing holds nobody up.
                let mut file = tempfile::tempfile()?;
                io::Write::write_all(&mut file, text.as_bytes())?;
                io::Seek::rewind(&mut file)?;
                file.into()
            }
        });
        Ok(command)
    }

    /// What it means that the program could not be started.
    pub fn start_error(&self, error: &io::Error) -> JobError {
        let program = self.argv[0].to_string_lossy();
        let message = match error.kind() {
            // The folder is looked at first, since the system says the same of both.
            _ if self.cwd.as_deref().is_some_and(|cwd| !cwd.is_dir()) => {
                let cwd = self.cwd.as_deref().unwrap_or(Path::new("")).display();
                return JobError::bad_input(format!(
                    "{program}: the folder `{cwd}` to run it in is not there: check `cwd`"
                ));
            }
            io::ErrorKind::NotFound if Path::new(&self.argv[0]).components().count() > 1 => {
                format!("{program}: no such program: check the path")
            }
            io::ErrorKind::NotFound => {
                format!("{program}: no such program in any folder of PATH: check the name, or give its path")
            }
            io::ErrorKind::PermissionDenied => format!("{program}: may not be run: make it executable"),
            _ => format!("{program}: cannot be started: {error}"),
        };
        JobError::new(Cause::Io, message)
    }
}

/// A program that is to be run.
pub(super) struct CommandTask {
    pub program: Program,
    /// What it is called by those who remember it, where somebody says.
    pub name: Option<Arc<str>>,
    /// Whether it computes on the CPU, or on which GPU.
    pub place: Place,
}

impl Task for CommandTask {
    fn place(&self) -> Place {
        self.place
    }

    fn expected_ms(&self) -> f64 {
        // Nobody knows; long enough that short work goes first.
        100.0
    }

    fn need(&self) -> Need {
        Need::Learned(called(self.name.as_ref(), &self.program))
    }

    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        context.check()?;
        let program = &self.program;
        let output = |stream: &str| Capture::new(context.spill(stream));
        let command = program.command().map_err(|error| JobError::io("standard input of a command", &error))?;
        let ended =
            system::run(command, [output("stdout"), output("stderr")], context).map_err(|fault| match fault {
                Fault::Start(error) => program.start_error(&error),
                Fault::Output(error) => JobError::io(&format!("what {} printed", program.name()), &error),
            })?;
        let was_stopped = ended.was_stopped;
        // One that gave up has shown little of what it takes to succeed; one that was killed may have been for what it took.
        let tells = ended.ending == Ending::Exit(0) || (matches!(ended.ending, Ending::Signal(_)) && !was_stopped);
        if let Some(bytes) = ended.memory.lesson().filter(|_| tells) {
            context.held_memory(bytes);
        }
        let (ending, answer) = answer(ended);
        // A program that came to its end in time stands, though somebody wished it to end.
        let stopped = context.cancel.error().filter(|_| was_stopped && ending != Ending::Exit(0));
        let error = match (&ending, stopped) {
            (_, Some(error)) => error,
            (Ending::Exit(0), None) => return Ok(Step::Done(Box::new(answer))),
            (Ending::Exit(code), None) => JobError::new(
                Cause::ExitCode,
                told(format!("{} ended with exit code {code}", program.name()), &answer.stderr),
            ),
            (Ending::Signal(signal), None) => {
                // Nobody but the system sends that one unasked.
                let hint = if signal == "SIGKILL" {
                    ", as a system does that runs out of memory: say in `memory` what it needs, or run fewer at once"
                } else {
                    ""
                };
                let message = format!("{} was ended by {signal}{hint}", program.name());
                JobError::new(Cause::Signal, told(message, &answer.stderr))
            }
        };
        let error = error.with_details(answer.fields());
        Err(JobError { peak_memory_bytes: answer.peak_memory_bytes, ..error })
    }
}

/// What a program is called by those who remember it.
pub(super) fn called(name: Option<&Arc<str>>, program: &Program) -> Arc<str> {
    name.map_or_else(|| name::of(&program.argv).into(), Arc::clone)
}

fn answer(ended: Ended) -> (Ending, CommandAnswer) {
    let (exit_code, signal) = match &ended.ending {
        Ending::Exit(code) => (Some(*code), None),
        Ending::Signal(name) => (None, Some(name.clone())),
    };
    let Ended { ending, stdout, stderr, memory, .. } = ended;
    let peak_memory_bytes = memory.peak_bytes;
    (ending, CommandAnswer { exit_code, signal, stdout, stderr, peak_memory_bytes })
}

/// The message, with what the program said last.
pub(super) fn told(message: String, stderr: &Output) -> String {
    match stderr.last_line() {
        Some(line) => format!("{message}: {line}"),
        None => message,
    }
}
