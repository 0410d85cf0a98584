//! A job that a worker is asked to do.

use std::io;
use std::sync::Arc;

use crate::engine::Need;
use crate::job::{Cause, JobError};
use crate::tasks::command::capture::Capture;
use crate::tasks::command::process::{Ending, called, told};
use crate::tasks::command::worker::WorkerAnswer;
use crate::tasks::command::worker::failure::Failure;
use crate::tasks::command::worker::link::Worker;
use crate::tasks::command::worker::pool::{Pool, Workers};
use crate::tasks::command::worker::protocol::{ANSWER_BYTES_MAX, Exchange};
use crate::tasks::{AtOnce, Place, Step, Task, TaskContext};

/// A line for a worker of a pool.
pub(in crate::tasks::command) struct WorkerTask {
    pub workers: Workers,
    pub pool: Arc<Pool>,
    /// JSON.
    pub input: Arc<str>,
    /// What it is called by those who remember it, where somebody says.
    pub name: Option<Arc<str>>,
}

impl Task for WorkerTask {
    fn place(&self) -> Place {
        Place::Process
    }

    fn expected_ms(&self) -> f64 {
        // Nobody knows; as long as that of a command.
        100.0
    }

    fn need(&self) -> Need {
        Need::Learned(called(self.name.as_ref(), &self.pool.program))
    }

    fn at_once(&self) -> Option<AtOnce> {
        Some(AtOnce { group: self.pool.number, max: self.pool.workers_max as usize })
    }

    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        context.check()?;
        let Self { workers, pool, input, .. } = *self;
        let idle = workers.take(&pool);
        workers.make_room(context.room_bytes);
        let was_idle = idle.is_some();
        let (worker, mut held_bytes) = match idle {
            Some(idle) => idle,
            None => (start(&pool)?, 0),
        };
        let ask = |worker: Worker| {
            let mut stderr = Capture::new(context.spill("stderr"));
            let exchange = Exchange::new(&input, ANSWER_BYTES_MAX);
            (worker.ask(exchange, &mut stderr, context), stderr)
        };
        let mut heard = ask(worker);
        // One that has ended since it answered, or was about to, has touched nothing of this job: the next one does it.
        if was_idle && matches!(heard.0.0, Err(Failure::Unread(_))) {
            heard.1.discard();
            context.check()?;
            held_bytes = 0;
            heard = ask(start(&pool)?);
        }
        let ((asked, peak_memory_bytes), stderr) = heard;
        let tells =
            matches!(asked, Ok(_) | Err(Failure::Ended(Ending::Signal(_)) | Failure::Unread(Ending::Signal(_))));
        if let Some(bytes) = peak_memory_bytes.filter(|_| tells) {
            context.held_memory(bytes);
        }
        let stderr = stderr.finish();
        match asked {
            Ok((worker, answer)) => {
                workers.keep(&pool, worker, held_bytes.max(peak_memory_bytes.unwrap_or(0)));
                Ok(Step::Done(Box::new(WorkerAnswer { answer, stderr, peak_memory_bytes })))
            }
            Err(failure) => {
                let mut details = String::new();
                if let Failure::Ended(ending) | Failure::Unread(ending) = &failure {
                    details = match ending {
                        Ending::Exit(code) => format!("\"exit_code\":{code},"),
                        Ending::Signal(name) => format!("\"signal\":\"{name}\","),
                    };
                }
                details.push_str(&stderr.fields("stderr"));
                let JobError { cause, message, .. } = error(&pool, failure, context);
                let message = if cause == Cause::Timeout { message } else { told(message, &stderr) };
                Err(JobError::new(cause, message).with_details(details))
            }
        }
    }
}

fn start(pool: &Pool) -> Result<Worker, JobError> {
    let program = &pool.program;
    let started = program.command().and_then(Worker::start);
    started.map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => JobError::new(Cause::Unsupported, error.to_string()),
        _ => program.start_error(&error),
    })
}

fn error(pool: &Pool, failure: Failure, context: &TaskContext<'_>) -> JobError {
    let name = pool.program.name();
    match failure {
        Failure::Ended(Ending::Exit(code)) | Failure::Unread(Ending::Exit(code)) => {
            JobError::new(Cause::ExitCode, format!("the worker {name} ended with exit code {code} before it answered"))
        }
        Failure::Ended(Ending::Signal(signal)) | Failure::Unread(Ending::Signal(signal)) => {
            JobError::new(Cause::Signal, format!("the worker {name} was ended by {signal} before it answered"))
        }
        Failure::Garbage(garbage) => JobError::new(Cause::Io, format!("the worker {name} {garbage}")),
        Failure::Closed(pipe) => {
            JobError::new(Cause::Io, format!("the worker {name} closed its standard {pipe} before it answered"))
        }
        Failure::Stopped => {
            context.cancel.error().unwrap_or_else(|| JobError::new(Cause::Cancelled, "cancelled before it ended"))
        }
        Failure::Io(error) => JobError::io(&format!("the pipes of the worker {name}"), &error),
    }
}
