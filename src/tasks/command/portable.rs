//! A process on a system that is no Unix: its outputs go to temporary files, and it alone is ended, not what it started.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Child, Command};
use std::time::Duration;

use crate::engine::CancelFlag;
use crate::tasks::TaskContext;
use crate::tasks::command::capture::Capture;
use crate::tasks::command::process::{Account, Ended, Ending, Fault};

/// How often it is looked for an end.
const LOOK: Duration = Duration::from_millis(10);

/// Runs the process to its end, or until somebody wants it to end.
///
/// # Errors
/// Where it cannot be started, or its outputs cannot be kept.
pub(super) fn run(command: Command, outputs: [Capture; 2], context: &TaskContext<'_>) -> Result<Ended, Fault> {
    let files = || Ok::<_, io::Error>([tempfile::tempfile()?, tempfile::tempfile()?]);
    start(command, files().map_err(Fault::Output)?, outputs, context.cancel)
}

fn start(
    mut command: Command,
    mut files: [File; 2],
    outputs: [Capture; 2],
    cancel: &CancelFlag,
) -> Result<Ended, Fault> {
    let clone = |file: &File| file.try_clone().map_err(Fault::Output);
    command.stdout(clone(&files[0])?).stderr(clone(&files[1])?);
    let child = command.spawn().map_err(Fault::Start)?;
    watch(child, &mut files, outputs, cancel).map_err(Fault::Output)
}

fn watch(mut child: Child, files: &mut [File; 2], outputs: [Capture; 2], cancel: &CancelFlag) -> io::Result<Ended> {
    let mut was_stopped = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if cancel.is_cancelled() && !was_stopped {
            was_stopped = true;
            child.kill()?;
        }
        std::thread::sleep(LOOK);
    };
    let [stdout, stderr] = outputs;
    let read = |mut capture: Capture, file: &mut File| {
        file.rewind()?;
        let mut room = [0; 32 << 10];
        loop {
            match file.read(&mut room)? {
                0 => return Ok::<_, io::Error>(capture.finish()),
                len => capture.push(&room[..len])?,
            }
        }
    };
    let ending = status.code().map_or_else(|| Ending::Signal("a signal".to_owned()), Ending::Exit);
    let (stdout, stderr) = (read(stdout, &mut files[0])?, read(stderr, &mut files[1])?);
    Ok(Ended { ending, stdout, stderr, memory: Account::default(), was_stopped })
}
