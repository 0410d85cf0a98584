//! The subcommand `primes`.

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};

use crate::input::Location;
use crate::job::{Asked, IntegerError, parse_integer};
use crate::kernels::primes::{NumberRange, Numbers, NumbersMode, PrimesParams, RangeMethod, RangeMode};

const ABOUT: &str = "Tells which numbers are prime, or counts or lists the primes of a range";

const EXAMPLES: &str = "\
Numbers are whole, at most 18446744073709551615 (2^64 - 1), and may be written as 10_000 or 1e10. The answers
are certain: no number is called prime that merely looks so.

Examples:
  tandem primes 97 91 1                  97 prime, 91 composite, 1 neither
  tandem primes --range 0..1e10          how many primes lie below 1e10
  tandem primes --range 0..1e15          the same, without finding them where that is predicted to be faster
  tandem primes --range 10..=29 --list   11, 13, 17, 19, 23, 29
  tandem primes --file numbers.txt       one number a line, or an .npy array of integers
  seq 100 | tandem primes --file - --count";

/// The arguments.
pub(super) fn command() -> Command {
    Command::new("primes")
        .about(ABOUT)
        .after_help(EXAMPLES)
        .arg(
            Arg::new("numbers")
                .value_name("N")
                .help("Numbers to test; negative ones too")
                .num_args(1..)
                .allow_negative_numbers(true),
        )
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("PATH")
                .help("Test the numbers of a file: text, one a line, or .npy; - is standard input")
                .value_parser(clap::value_parser!(std::path::PathBuf)),
        )
        .arg(
            Arg::new("range")
                .long("range")
                .value_name("A..B")
                .help("The primes from A on, below B (A..=B: B included); B is at most 2^64")
                .allow_hyphen_values(true),
        )
        .arg(
            Arg::new("count")
                .long("count")
                .help("Print only how many are prime (for a range: the default)")
                .action(ArgAction::SetTrue)
                .conflicts_with("list"),
        )
        .arg(
            Arg::new("method")
                .long("method")
                .value_name("METHOD")
                .help(
                    "How to count the primes of a range: by finding them (sieve) or without (combinatorial), or as is predicted to end \
                     first (auto) [default: auto]",
                )
                .value_parser(clap::builder::PossibleValuesParser::new(RangeMethod::NAMES.map(|(name, _)| name)))
                .conflicts_with_all(["numbers", "file"]),
        )
        .arg(Arg::new("list").long("list").help("Print only the primes, one a line").action(ArgAction::SetTrue))
        .group(ArgGroup::new("subject").args(["numbers", "file", "range"]).required(true))
}

/// The job that the arguments ask for.
///
/// # Errors
/// Where a number or a range is none, or above the limit.
pub(super) fn from_args(matches: &ArgMatches) -> Result<Vec<Asked>, String> {
    let (numbers_mode, range_mode) = match (matches.get_flag("list"), matches.get_flag("count")) {
        (true, _) => (NumbersMode::List, RangeMode::List),
        (false, true) => (NumbersMode::Count, RangeMode::Count),
        (false, false) => (NumbersMode::Each, RangeMode::Count),
    };
    let params = if let Some(range) = matches.get_one::<String>("range") {
        let asked = matches.get_one::<String>("method");
        let known = RangeMethod::NAMES.into_iter().find(|(name, _)| asked.is_some_and(|asked| asked == name));
        let method = known.map_or(RangeMethod::Auto, |(_, method)| method);
        method.check(range_mode)?;
        PrimesParams::Range(NumberRange::parse(range)?, range_mode, method)
    } else if let Some(path) = matches.get_one::<std::path::PathBuf>("file") {
        PrimesParams::File(Location::from_text(path), numbers_mode)
    } else {
        let texts = matches.get_many::<String>("numbers").into_iter().flatten();
        let integers: Vec<i128> = texts.map(|text| number(text)).collect::<Result<_, _>>()?;
        PrimesParams::Numbers(Numbers::of_integers(integers)?, numbers_mode)
    };
    Ok(vec![Asked { label: None, params: Box::new(params) }])
}

fn number(text: &str) -> Result<i128, String> {
    let value = parse_integer(text.as_bytes()).map_err(|error| {
        let hint = if text.contains("..") { ": for a range, use --range" } else { "" };
        match error {
            IntegerError::TooHigh => too_high(text),
            _ => format!("`{text}` {error}{hint}"),
        }
    })?;
    if value > i128::from(u64::MAX) {
        return Err(too_high(text));
    }
    Ok(value)
}

fn too_high(text: &str) -> String {
    format!("`{text}` is above {} (2^64 - 1), the greatest number that can be tested", u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters as they print, or the message of a usage error.
    fn asked(args: &[&str]) -> Result<String, String> {
        let matches =
            command().try_get_matches_from([&["primes"], args].concat()).map_err(|error| error.render().to_string())?;
        let asked = from_args(&matches)?;
        assert_eq!(asked.len(), 1);
        Ok(format!("{:?}", asked[0].params))
    }

    #[track_caller]
    fn accepted(args: &[&str], parts: &[&str]) {
        let params = asked(args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        for part in parts {
            assert!(params.contains(part), "{args:?}: {params}");
        }
    }

    #[track_caller]
    fn refused(args: &[&str], part: &str) {
        let message = asked(args).unwrap_err();
        assert!(message.contains(part), "{args:?}: {message}");
    }

    #[test]
    fn numbers_of_every_notation_are_arguments() {
        accepted(&["97"], &["[97]", "Each"]);
        accepted(&["-5", "97", "-1e3", "--count"], &["[0, 97, 0]", "(0, -5), (2, -1000)", "Count"]);
        accepted(&["1e10", "10_000", "18446744073709551615"], &["[10000000000, 10000, 18446744073709551615]"]);
        accepted(&["--list", "--", "-10_000", "3"], &["[0, 3]", "(0, -10000)", "List"]);
    }

    #[test]
    fn files_and_ranges_are_arguments() {
        accepted(&["--file", "n.txt"], &["Path(\"n.txt\")", "Each"]);
        accepted(&["--file", "-", "--count"], &["Stdin", "Count"]);
        accepted(&["--range", "0..1e3"], &["start: 0, end: 1000", "Count"]);
        accepted(&["--range", "5..=7", "--list"], &["start: 5, end: 8", "List"]);
        accepted(&["--range=5..=7", "--count"], &["Count, Auto"]);
        accepted(&["--range=5..=7", "--method", "combinatorial"], &["Count, Combinatorial"]);
        accepted(&["--range=5..=7", "--method=sieve", "--list"], &["List, Sieve"]);
    }

    #[test]
    fn usage_errors_say_what_to_do() {
        refused(&[], "--range <A..B>");
        refused(&["5", "--file", "n.txt"], "cannot be used with");
        refused(&["--range", "0..5", "--file", "n.txt"], "cannot be used with");
        refused(&["5", "--range", "0..5"], "cannot be used with");
        refused(&["5", "--list", "--count"], "cannot be used with");
        refused(&["x"], "`x` is not an integer: use digits");
        refused(&["0..10"], "for a range, use --range");
        refused(&["2.5"], "is not a whole number");
        refused(&["18446744073709551616"], "above 18446744073709551615 (2^64 - 1)");
        refused(&["1e400"], "`1e400` is above 18446744073709551615 (2^64 - 1), the greatest number that can be tested");
        refused(&["-1e400"], "`-1e400` is below -2^127 (about -1.7e38), the least integer");
        refused(&["--range", "7"], "is no range");
        refused(&["--range", "1..7", "--list", "--method", "combinatorial"], "counts primes without finding them");
        refused(&["5", "--method", "sieve"], "cannot be used with");
        refused(&["--range", "1..7", "--method", "x"], "combinatorial");
        refused(&["--range", "-5..7"], "must lie from 0");
        refused(&["--range", "9..7"], "ends before it starts");
        refused(&["5", "--lits"], "--list");
    }

    #[test]
    fn the_command_is_one_that_clap_accepts() {
        command().debug_assert();
    }
}
