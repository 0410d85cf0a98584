//! Runs the program.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program, with nothing of this machine's settings: no model, no colours, and all CPUs, however busy others keep them.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TANDEM_")) {
        command.env_remove(name);
    }
    command
        .args(args)
        .env("TANDEM_MODEL", "none")
        .env("NO_COLOR", "1")
        .env("TANDEM_THREADS", "all")
        .stdin(Stdio::null());
    command
}

/// What a finished program left.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// One line each, as JSON.
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// Fails unless it ended with this code and no word of a panic.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

pub fn tandem(args: &[&str]) -> Ended {
    command(args).output().expect("the program starts").into()
}

pub fn tandem_with(args: &[&str], variables: &[(&str, &str)]) -> Ended {
    command(args).envs(variables.iter().copied()).output().expect("the program starts").into()
}

/// Gives it this on standard input.
pub fn tandem_reading(args: &[&str], input: &[u8]) -> Ended {
    let mut child = start(args, Stdio::piped());
    let mut stdin = child.stdin.take().expect("it was asked for");
    std::thread::scope(|scope| {
        // A program that stops reading closes the pipe, which is no fault of the test.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("the program ends").into()
    })
}

pub fn start(args: &[&str], stdin: Stdio) -> Child {
    command(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// A folder with one file in it, and the file's path.
pub fn file(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = write(folder.path(), name, content);
    (folder, path)
}

pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("the temporary folder can be written");
    path.to_str().expect("the temporary folder's name is UTF-8").to_owned()
}

/// Sends the program a signal.
#[cfg(unix)]
pub fn interrupt(child: &Child, signal: libc::c_int) {
    let id = libc::pid_t::try_from(child.id()).expect("a process number");
    // SAFETY: a plain system call; the child has not been waited for, so its number is its own.
    assert_eq!(unsafe { libc::kill(id, signal) }, 0);
}
