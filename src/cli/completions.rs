//! `tandem completions`.

use std::process::ExitCode;

use clap::ArgMatches;

use crate::cli::terminal::print;
use crate::cli::{Stopped, command};

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let Some(&shell) = matches.get_one::<clap_complete::Shell>("shell") else {
        return Err(Stopped::usage("no shell: name one"));
    };
    // The generator panics where a write fails, so it gets memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "tandem", &mut script);
    print(|out| std::io::Write::write_all(out, &script))?;
    Ok(ExitCode::SUCCESS)
}
