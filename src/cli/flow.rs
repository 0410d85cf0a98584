//! The options of a run of many jobs: how many at once, how long, how often, and when to stop.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::engine::flow::{FlowOptions, Halt};
use crate::job::{parse_bounded, parse_duration};
use crate::runner::StreamOptions;

const HEADING: &str = "Many jobs";

/// How long until a first further try, if nothing is said.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Adds the options.
pub(super) fn with_flow_options(command: Command) -> Command {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).help_heading(HEADING)
    };
    command.args([
        arg("jobs", "N", "Jobs under way at once, at most [default: as many as keep all devices busy]")
            .value_parser(|text: &str| parse_bounded(text, 1..=1_000_000)),
        arg("timeout", "TIME", "How long a job may take that does not say, from its begin: 500ms, 30s, 10m")
            .value_parser(parse_duration),
        arg("retries", "N", "How often a job is tried again that was lost with its device or timed out [default: 0]")
            .value_parser(|text: &str| parse_bounded(text, 0..=1000)),
        arg(
            "retry-delay",
            "TIME",
            "How long until the first of these tries; each further one waits twice as long [default: 1s]",
        )
        .value_parser(parse_duration),
        arg("retry-exit-codes", "CODE,...", "Exit codes of commands that can pass: these are tried again too")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(|text: &str| parse_bounded(text, 1..=255).map(|code| code as i32)),
        arg(
            "halt",
            "WHEN",
            "Begin no more jobs after failures: never, soon,fail=N, now,fail=P% (now: end those under way too)",
        )
        .value_parser(|text: &str| text.parse::<Halt>()),
        Arg::new("fail-fast")
            .long("fail-fast")
            .help("Short for --halt now,fail=1")
            .action(ArgAction::SetTrue)
            .conflicts_with("halt")
            .help_heading(HEADING),
    ])
}

/// What these arguments ask for.
pub(super) fn flow_options(matches: &ArgMatches) -> StreamOptions {
    let halt = match (matches.get_one::<Halt>("halt"), matches.get_flag("fail-fast")) {
        (Some(halt), _) => *halt,
        (None, true) => Halt { now: true, at: Some(crate::engine::flow::Failures::Count(1)) },
        (None, false) => Halt::default(),
    };
    StreamOptions {
        jobs: matches.get_one::<u64>("jobs").map(|jobs| *jobs as usize),
        timeout: matches.get_one("timeout").copied(),
        flow: FlowOptions {
            halt,
            retries: matches.get_one::<u64>("retries").map_or(0, |retries| *retries as u32),
            retry_delay: matches.get_one("retry-delay").copied().unwrap_or(RETRY_DELAY),
            retry_exit_codes: matches.get_many::<i32>("retry-exit-codes").into_iter().flatten().copied().collect(),
        },
    }
}
