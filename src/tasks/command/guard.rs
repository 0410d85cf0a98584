//! What ends the commands of a process that is itself killed: a second process that outlives it by a moment.
//!
//! It is told of every process group that is begun and of every one that has ended, through a pipe. The pipe ends with the
//! process that writes to it, however that ends; the groups that are left are then killed. A parent-death signal would reach
//! only the first process of a group, not what that started, and makes starting processes slower.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long the guard rests once it has read all that there is: programs that begin and end all the time would wake it for each.
/// What comes meanwhile waits in the pipe, which holds far more.
const REST: Duration = Duration::from_millis(20);

/// The command that begins a guard, and the pipe to it once it runs.
struct Guard {
    command: Mutex<Option<Command>>,
    pipe: OnceLock<Option<Mutex<ChildStdin>>>,
}

static GUARD: OnceLock<Guard> = OnceLock::new();

/// From now on, the first command also begins a guard: `command`, which has to call [`watch`] and nothing else. The first
/// guard that is named stays. Without one, a process that is killed leaves its commands running.
pub fn guard_with(command: Command) {
    let _ = GUARD.set(Guard { command: Mutex::new(Some(command)), pipe: OnceLock::new() });
}

/// The guard's own work: kills the process groups that were begun on standard input and not ended, once that ends.
///
/// # Errors
/// Where standard input cannot be read; what was begun is killed all the same.
pub fn watch() -> io::Result<()> {
    let mut groups = HashSet::new();
    let result = follow(&mut groups);
    for id in groups {
        // SAFETY: a plain system call.
        unsafe { libc::kill(-id, libc::SIGKILL) };
    }
    result
}

/// Keeps up with the groups that run, until standard input ends.
fn follow(groups: &mut HashSet<i32>) -> io::Result<()> {
    let mut input = BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        match (line.get(..1), line.get(1..).and_then(|id| id.trim_end().parse::<i32>().ok())) {
            // Never 0 or 1: those would mean ourselves, or everybody.
            (Some("+"), Some(id)) if id > 1 => _ = groups.insert(id),
            (Some("-"), Some(id)) => _ = groups.remove(&id),
            _ => {}
        }
        line.clear();
        if input.buffer().is_empty() {
            std::thread::sleep(REST);
        }
    }
    Ok(())
}

/// Begins the guard, if there is to be one and it does not run yet.
pub(super) fn start() {
    pipe();
}

/// A process group was begun.
pub(super) fn add(id: u32) {
    tell('+', id);
}

/// A process group has ended, and its leader has been reaped.
pub(super) fn remove(id: u32) {
    tell('-', id);
}

fn pipe() -> Option<&'static Mutex<ChildStdin>> {
    let guard = GUARD.get()?;
    let pipe = guard.pipe.get_or_init(|| {
        let mut command = guard.command.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // A group of its own, so that an interruption at the terminal does not reach it.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.spawn().ok()?.stdin.map(Mutex::new)
    });
    pipe.as_ref()
}

fn tell(what: char, id: u32) {
    if let Some(pipe) = pipe() {
        // One write a line, which a pipe takes whole. A guard that is gone cannot be helped.
        let line = format!("{what}{id}\n");
        let _ = pipe.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}
