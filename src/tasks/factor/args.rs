//! The subcommand `factor`.

use std::io::{self, BufRead, Read};
use std::path::Path;

use clap::{Arg, ArgGroup, ArgMatches, Command};

use crate::input::Location;
use crate::job::{Asked, BindContext, Bound, JobError, JobParams};
use crate::tasks::factor::FactorParams;

const ABOUT: &str = "Finds the prime factors of numbers below 2^128";

const EXAMPLES: &str = "\
Numbers are whole, from 1 to 340282366920938463463374607431768211455 (2^128 - 1), and may be written as 10_000 or
1e10. The answers are certain: every factor is proven prime.

Examples:
  tandem factor 600851475143             600851475143: 71 839 1471 6857
  tandem factor 12 1e10 --json           a JSON line for each number
  tandem factor --file numbers.txt       one number a line
  seq 100 | tandem factor --file -";

/// The arguments.
pub(super) fn command() -> Command {
    Command::new("factor")
        .about(ABOUT)
        .after_help(EXAMPLES)
        .arg(Arg::new("numbers").value_name("N").help("Numbers to factor").num_args(1..).allow_negative_numbers(true))
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("PATH")
                .help("Factor the numbers of a text file, one a line; - is standard input")
                .value_parser(clap::value_parser!(std::path::PathBuf)),
        )
        .group(ArgGroup::new("subject").args(["numbers", "file"]).required(true))
}

/// A job for each number.
///
/// # Errors
/// Where a number of the command line cannot be factored, or the file cannot be read.
pub(super) fn from_args(matches: &ArgMatches) -> Result<Vec<Asked>, String> {
    if let Some(path) = matches.get_one::<std::path::PathBuf>("file") {
        let location = Location::from_text(path);
        let name = location.name(Path::new(""));
        return match &location {
            Location::Stdin => lines(io::stdin().lock(), &name),
            Location::Path(path) => std::fs::File::open(path).and_then(|file| lines(io::BufReader::new(file), &name)),
        }
        .map_err(|error| format!("{name}: {error}"));
    }
    let texts = matches.get_many::<String>("numbers").into_iter().flatten();
    texts
        .map(|text| {
            let params = FactorParams::parse(text).map_err(|error| error.message)?;
            Ok(Asked { label: Some(text.clone()), params: Box::new(params) })
        })
        .collect()
}

/// A job for each line that is not blank. A line that is wrong is a job that fails.
fn lines(mut text: impl BufRead, name: &str) -> io::Result<Vec<Asked>> {
    let mut jobs = Vec::new();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if text.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.len() as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
            return Err(io::Error::other(format!("line {number} is longer than {LINE_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let params: Box<dyn JobParams> = match FactorParams::parse(text) {
            Ok(params) => Box::new(params),
            Err(error) => Box::new(Refused(JobError { message: format!("{name}:{number}: {error}"), ..error })),
        };
        jobs.push(Asked { label: Some(text.to_owned()), params });
    }
    Ok(jobs)
}

/// More than any way to write a number needs.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// A line without a number.
#[derive(Debug)]
struct Refused(JobError);

impl JobParams for Refused {
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Err(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(args: &[&str]) -> Result<Vec<Asked>, String> {
        let matches =
            command().try_get_matches_from([&["factor"], args].concat()).map_err(|error| error.render().to_string())?;
        from_args(&matches)
    }

    #[test]
    fn each_number_is_a_job_labelled_as_it_was_written() {
        let jobs = asked(&["12", "1e10", "10_000"]).unwrap();
        let labels: Vec<&str> = jobs.iter().filter_map(|job| job.label.as_deref()).collect();
        assert_eq!(labels, ["12", "1e10", "10_000"]);
        assert_eq!(format!("{:?}", jobs[1].params), "FactorParams { n: 10000000000 }");
    }

    #[test]
    fn each_line_is_a_job_and_a_wrong_one_fails_alone() {
        let jobs = lines(&b"12\r\n\n  7 \nx\n\xff\n1e3"[..], "n.txt").unwrap();
        let results: Vec<String> = jobs
            .iter()
            .map(|job| match job.params.bind(&BindContext::default()) {
                Ok(bound) => format!("{}: {bound:?}", job.label.as_deref().unwrap()),
                Err(error) => error.message,
            })
            .collect();
        assert_eq!(results[..2], ["12: a task", "7: a task"]);
        assert!(results[2].starts_with("n.txt:4: `x` is not an integer"), "{}", results[2]);
        assert!(results[3].starts_with("n.txt:5: `\u{fffd}` is not an integer"), "{}", results[3]);
        assert_eq!(results[4..], ["1e3: a task"]);
        let endless = io::repeat(b'1').take(1 << 20);
        assert!(lines(io::BufReader::new(endless), "n.txt").unwrap_err().to_string().contains("line 1 is longer"));
    }

    #[test]
    fn usage_errors_say_what_to_do() {
        for (args, part) in [
            (&[][..], "<N|--file <PATH>>"),
            (&["0"], "0 has no factorisation"),
            (&["7", "-5"], "`-5` is negative"),
            (&["340282366920938463463374607431768211456"], "(2^128 - 1), the greatest number that is factored"),
            (&["7", "--file", "n.txt"], "cannot be used with"),
            (&["--file", "/no/such.txt"], "/no/such.txt: "),
            (&["2.5"], "is not a whole number"),
        ] {
            let message = asked(args).map(|_| ()).unwrap_err();
            assert!(message.contains(part), "{args:?}: {message}");
        }
    }

    #[test]
    fn the_command_is_one_that_clap_accepts() {
        command().debug_assert();
    }
}
