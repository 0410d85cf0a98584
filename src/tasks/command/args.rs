//! The subcommand `command`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::job::Asked;
use crate::tasks::command::{CommandParams, KIND};

const EXAMPLES: &str = "\
There is no shell, unless it is the program. The program leads a process group of its own, and whatever it leaves running in
that group ends with it.

Examples:
  tandem command -- python3 predict.py scan.dcm
  tandem command --cwd build --env MODE=fast -- make test
  tandem command -- sh -c 'ls | wc -l'";

/// The arguments.
pub(super) fn command() -> Command {
    Command::new(KIND.name)
        .about(KIND.summary)
        .after_help(EXAMPLES)
        .arg(
            Arg::new("argv")
                .value_name("PROGRAM")
                .help("The program and its arguments, after --")
                .required(true)
                .num_args(1..)
                .last(true)
                .value_parser(value_parser!(OsString)),
        )
        .arg(
            Arg::new("cwd")
                .long("cwd")
                .value_name("FOLDER")
                .help("The folder to run it in [default: the current one]")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("env")
                .long("env")
                .value_name("NAME=VALUE")
                .help("A variable of its environment, besides those that there are; may be repeated")
                .action(ArgAction::Append)
                .value_parser(variable),
        )
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .help("What it is called by the model, which remembers its memory [default: its file name]")
                .value_parser(NonEmptyStringValueParser::new()),
        )
        .arg(
            Arg::new("stdin")
                .long("stdin")
                .value_name("TEXT")
                .help("What it reads on standard input [default: nothing]"),
        )
}

/// The job that the arguments ask for.
pub(super) fn from_args(matches: &ArgMatches) -> Result<Vec<Asked>, String> {
    let argv: Vec<OsString> = matches.get_many::<OsString>("argv").into_iter().flatten().cloned().collect();
    let env: BTreeMap<OsString, OsString> =
        matches.get_many::<(OsString, OsString)>("env").into_iter().flatten().cloned().collect();
    let stdin = matches.get_one::<String>("stdin").map(|text| text.as_str().into());
    let name = matches.get_one::<String>("name").map(|name| name.as_str().into());
    let cwd = matches.get_one::<PathBuf>("cwd").cloned();
    Ok(vec![Asked {
        label: None,
        params: Box::new(CommandParams { argv, stdin, env, cwd, name, ..CommandParams::default() }),
    }])
}

fn variable(text: &str) -> Result<(OsString, OsString), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
