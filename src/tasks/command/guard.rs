//! What ends the commands of a process that is itself killed: a second process that outlives it by a moment.
//!
//! It is told of every process group that is begun and of every one that has ended, through a pipe. The pipe ends with the
//! process that writes to it, however that ends; the groups that are left are then killed. A parent-death signal would reach
//! only the first process of a group, not what that started, and makes starting processes slower.

use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

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
    let mut result = Ok(());
    for line in io::stdin().lock().lines() {
        match line {
            Ok(line) => match (line.get(..1), line.get(1..).and_then(|id| id.parse::<i32>().ok())) {
                // Never 0 or 1: those would mean ourselves, or everybody.
                (Some("+"), Some(id)) if id > 1 => _ = groups.insert(id),
                (Some("-"), Some(id)) => _ = groups.remove(&id),
                _ => {}
            },
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    for id in groups {
        // SAFETY: a plain system call.
        unsafe { libc::kill(-id, libc::SIGKILL) };
    }
    result
}

/// A process group was begun.
pub(super) fn add(id: u32) {
    tell('+', id);
}

/// A process group has ended, and its leader has been reaped.
pub(super) fn remove(id: u32) {
    tell('-', id);
}

fn tell(what: char, id: u32) {
    let Some(guard) = GUARD.get() else { return };
    let pipe = guard.pipe.get_or_init(|| {
        let mut command = guard.command.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // A group of its own, so that an interruption at the terminal does not reach it.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.spawn().ok()?.stdin.map(Mutex::new)
    });
    if let Some(pipe) = pipe {
        // One write a line, which a pipe takes whole. A guard that is gone cannot be helped.
        let line = format!("{what}{id}\n");
        let _ = pipe.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}
