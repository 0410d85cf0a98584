//! What ends the commands of a process that is itself killed: a second process that outlives it by a moment.
//!
//! It is told of every process group that is begun and of every one that has ended, through a pipe. The pipe ends with the
//! process that writes to it, however that ends; the groups that are left are then killed. A parent-death signal would reach
//! only the first process of a group, not what that started, and makes starting processes slower.
//!
//! Between the start of a process and the moment that its number is told, it is known by the pipes that it prints to, which
//! are told before. (A process that has begun and not become its program yet holds the guard's pipe open.)

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
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
    let (mut groups, mut pipes) = (HashSet::new(), HashSet::new());
    let result = follow(&mut groups, &mut pipes);
    groups.extend(groups_that_print_to(&pipes));
    for id in groups {
        // SAFETY: a plain system call.
        unsafe { libc::kill(-id, libc::SIGKILL) };
    }
    result
}

/// Keeps up with the groups that run, and with the pipes of those that are about to, until standard input ends.
fn follow(groups: &mut HashSet<i32>, pipes: &mut HashSet<u64>) -> io::Result<()> {
    let mut input = BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let number = |at: usize| line.get(1..)?.split_ascii_whitespace().nth(at)?.parse::<u64>().ok();
        let id = number(0).and_then(|id| i32::try_from(id).ok());
        match line.get(..1) {
            Some("?") => pipes.extend([number(0), number(1)].into_iter().flatten()),
            Some("!") => [number(0), number(1)].iter().flatten().for_each(|pipe| _ = pipes.remove(pipe)),
            // Never 0 or 1: those would mean ourselves, or everybody.
            Some("+") => groups.extend(id.filter(|id| *id > 1)),
            Some("-") => _ = id.map(|id| groups.remove(&id)),
            _ => {}
        }
        line.clear();
        if input.buffer().is_empty() {
            std::thread::sleep(REST);
        }
    }
    Ok(())
}

/// The groups of the processes that hold one of these pipes open, as far as the system tells: those that were begun by a
/// process that did not live to tell.
fn groups_that_print_to(pipes: &HashSet<u64>) -> HashSet<i32> {
    let names: HashSet<String> = pipes.iter().map(|pipe| format!("pipe:[{pipe}]")).collect();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter(|_| !names.is_empty());
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    let prints_there = |id: &i32| {
        [1, 2].iter().any(|fd| {
            let target = std::fs::read_link(format!("/proc/{id}/fd/{fd}"));
            target.is_ok_and(|target| target.to_str().is_some_and(|target| names.contains(target)))
        })
    };
    // SAFETY: plain system calls.
    let (groups, own) = (ids.filter(prints_there).map(|id| unsafe { libc::getpgid(id) }), unsafe { libc::getpgrp() });
    groups.filter(|group| *group > 1 && *group != own).collect()
}

/// Starts a process that leads a group of its own and prints to pipes of its own, which are given too. It is guarded from its
/// first moment on, where the system tells who holds a pipe; else once it is [added](add).
///
/// # Errors
/// Where it cannot be started.
pub(super) fn spawn(mut command: Command) -> io::Result<(Child, [File; 2])> {
    let [(stdout, to_stdout), (stderr, to_stderr)] = [io::pipe()?, io::pipe()?];
    let [stdout, stderr] = [stdout, stderr].map(|pipe| File::from(OwnedFd::from(pipe)));
    let numbers = format!("{} {}", stdout.metadata()?.ino(), stderr.metadata()?.ino());
    command.stdout(to_stdout).stderr(to_stderr).process_group(0);
    tell('?', &numbers);
    let started = command.spawn();
    // From here on only the process holds the ends that it writes to.
    drop(command);
    if let Ok(child) = &started {
        add(child.id());
    }
    tell('!', &numbers);
    Ok((started?, [stdout, stderr]))
}

/// A process group was begun.
fn add(id: u32) {
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

fn tell(what: char, id: impl Display) {
    if let Some(pipe) = pipe() {
        // One write a line, which a pipe takes whole. A guard that is gone cannot be helped.
        let line = format!("{what}{id}\n");
        let _ = pipe.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}
