//! The hidden subcommand that outlives a killed program by a moment, to end the commands that it was running.

use std::process::ExitCode;

use clap::Command;

use crate::cli::Stopped;

/// What the program calls itself with.
pub(super) const NAME: &str = "end-commands-with-me";

/// The subcommand, which users have no use for.
pub(super) fn command() -> Command {
    Command::new(NAME).about("Ends the commands of a program that was killed").hide(true)
}

/// Has this program guarded from its first command on.
pub(super) fn set() {
    #[cfg(unix)]
    if let Ok(program) = std::env::current_exe() {
        let mut guard = std::process::Command::new(program);
        guard.arg(NAME);
        crate::tasks::command::guard_with(guard);
    }
}

/// Guards the program that this one was started by.
pub(super) fn run() -> Result<ExitCode, Stopped> {
    #[cfg(unix)]
    crate::tasks::command::guard().map_err(Stopped::failed)?;
    Ok(ExitCode::SUCCESS)
}
