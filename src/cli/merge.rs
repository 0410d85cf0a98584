//! `tandem merge`: the results of the shards of a run, joined.

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cli::Stopped;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::tell;
use crate::cli::whole_file::takes_no_rename;
use crate::report::figures::{counted, whole};
use crate::results::{Merged, merge, merge_to_file};

/// How many gaps are told.
const MAX_TOLD_GAPS: u64 = 20;

const HELP: &str = "\
The shards are what `tandem run JOBS --shard I/N --output SHARD.jsonl` has written, one for each I. Each job has to be in one of
them. Exit codes are those of a run: 1 if a job has failed, or has no outcome.

Example:
  tandem merge all.jsonl results-*.jsonl";

pub(super) fn command() -> Command {
    Command::new("merge").about("Joins the results of the shards of a run").after_help(HELP).args([
        Arg::new("out")
            .value_name("OUT.jsonl|-")
            .help("The file to write, which must not be there yet; - is standard output")
            .required(true)
            .value_parser(value_parser!(PathBuf)),
        Arg::new("shards")
            .value_name("SHARD.jsonl")
            .help("The results of the shards, in any order")
            .required(true)
            .num_args(1..)
            .value_parser(value_parser!(PathBuf)),
        Arg::new("force").long("force").help("Replace OUT.jsonl").action(ArgAction::SetTrue),
    ])
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let paths = |name| matches.get_many::<PathBuf>(name).into_iter().flatten().cloned().collect::<Vec<_>>();
    let (out, shards) = (paths("out"), paths("shards"));
    let out = out.first().map_or(Path::new("-"), PathBuf::as_path);
    let mut gaps = 0;
    let mut missing = |gap: Range<u64>| {
        gaps += 1;
        if gaps <= MAX_TOLD_GAPS {
            tell(match gap.end - gap.start {
                1 => format!("no outcome of index {}", gap.start),
                _ => format!("no outcome of index {} to {}", gap.start, gap.end - 1),
            });
        }
    };
    let merged = if out.as_os_str() == "-" {
        let out = io::stdout().lock();
        to_stream(Box::new(out), &shards, &mut missing)
    } else if takes_no_rename(out) {
        let file = std::fs::OpenOptions::new().write(true).open(out);
        file.and_then(|file| to_stream(Box::new(file), &shards, &mut missing))
    } else if out.exists() && !matches.get_flag("force") {
        let message = "is there already: name the file to write first, then the shards; --force replaces it";
        return Err(Stopped::usage(format_args!("{} {message}", out.display())));
    } else {
        merge_to_file(out, &shards, &mut missing)
    };
    let merged = match merged {
        Ok(merged) => merged,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Stopped::PipeClosed),
        Err(error) => return Err(Stopped::failed(error)),
    };
    if gaps > MAX_TOLD_GAPS {
        tell(format_args!("and {} more gaps", whole(gaps - MAX_TOLD_GAPS)));
    }
    let Merged { jobs, failed, missing } = merged;
    let rest = if missing > 0 { format!(", {} without an outcome", whole(missing)) } else { String::new() };
    tell(format_args!("{}, {} failed{rest}", counted(jobs, "job", "jobs"), whole(failed)));
    Ok(ExitCode::from(if failed + missing > 0 { FAILED } else { 0 }))
}

fn to_stream(out: Box<dyn Write>, shards: &[PathBuf], missing: &mut dyn FnMut(Range<u64>)) -> io::Result<Merged> {
    let mut out = BufWriter::with_capacity(64 << 10, out);
    let merged = merge(shards, &mut out, missing)?;
    out.flush()?;
    Ok(merged)
}
