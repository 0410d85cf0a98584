//! The command line: a thin shell over the library, one file a subcommand. The only room that prints.

mod bench;
mod calibrate;
mod command;
mod completions;
mod devices;
mod flow;
mod guard;
#[cfg(all(unix, feature = "service"))]
mod init;
mod machine;
mod map;
mod merge;
mod model;
mod options;
mod pictures;
mod pipe;
mod printed;
mod progress;
mod replay;
mod run;
#[cfg(feature = "service")]
mod serve;
mod signals;
mod simulate;
mod single;
mod status_line;
mod stopped;
mod terminal;
mod total;
mod verify;
mod watch;
mod whole_file;

pub use command::command;
pub use stopped::Stopped;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::job::kind;

/// Runs the program with these arguments, the first of which is its own name.
///
/// # Errors
/// Whatever ended it early; [`Stopped::report`] tells the user and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<ExitCode, Stopped> {
    let matches = command().try_get_matches_from(args)?;
    guard::set();
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Stopped::usage("no subcommand: try `tandem --help`"));
    };
    match (name, kind(name)) {
        (_, Some(kind)) => single::run(kind, matches),
        ("run", _) => run::run(matches),
        ("map", _) => map::run(matches),
        ("merge", _) => merge::run(matches),
        ("devices", _) => devices::run(matches),
        ("calibrate", _) => calibrate::run(matches),
        ("model", _) => model::run(matches),
        ("machine", _) => machine::run(matches),
        ("replay", _) => replay::run(matches),
        ("bench", _) => bench::run(matches),
        ("simulate", _) => simulate::run(matches),
        #[cfg(feature = "service")]
        ("serve", _) => serve::run(matches),
        ("completions", _) => completions::run(matches),
        (guard::NAME, _) => guard::run(),
        _ => Err(Stopped::usage(format!("unknown subcommand `{name}`: try `tandem --help`"))),
    }
}
