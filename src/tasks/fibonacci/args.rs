//! The subcommand `fibonacci`.

use clap::{Arg, ArgMatches, Command};

use crate::job::Asked;
use crate::tasks::fibonacci::FibonacciParams;
use crate::tasks::fibonacci::params::index;

const ABOUT: &str = "Computes terms of the Fibonacci sequence, exact at any length";

const EXAMPLES: &str = "\
Indices are whole, from 0 to 100000000, and may be written as 10_000 or 1e6; F(0) = 0, F(1) = 1.

Examples:
  tandem fibonacci 100                   F(100) = 354224848179261915075
  tandem fibonacci 10 1e6 --json         one job, with both terms";

/// The arguments.
pub(super) fn command() -> Command {
    Command::new("fibonacci").about(ABOUT).after_help(EXAMPLES).arg(
        Arg::new("indices")
            .value_name("N")
            .help("Indices of the terms")
            .num_args(1..)
            .required(true)
            .allow_negative_numbers(true),
    )
}

/// One job of all indices.
///
/// # Errors
/// Where one is none, or beyond the limits.
pub(super) fn from_args(matches: &ArgMatches) -> Result<Vec<Asked>, String> {
    let texts = matches.get_many::<String>("indices").into_iter().flatten();
    let indices = texts.map(|text| index(text)).collect::<Result<_, _>>()?;
    let params = FibonacciParams::new(indices).map_err(|error| error.message)?;
    Ok(vec![Asked { label: None, params: Box::new(params) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(args: &[&str]) -> Result<String, String> {
        let matches = command()
            .try_get_matches_from([&["fibonacci"], args].concat())
            .map_err(|error| error.render().to_string())?;
        let asked = from_args(&matches)?;
        assert_eq!(asked.len(), 1);
        Ok(format!("{:?}", asked[0].params))
    }

    #[test]
    fn all_indices_are_one_job() {
        assert_eq!(asked(&["10", "1e2", "1_000"]).unwrap(), "FibonacciParams { indices: [10, 100, 1000] }");
    }

    #[test]
    fn usage_errors_say_what_to_do() {
        for (args, part) in [
            (&[][..], "<N>..."),
            (&["x"], "`x` is not an integer: use digits"),
            (&["7", "-5"], "`-5` is negative: indices are from 0"),
            (&["1e9"], "the index 1e9 is above 100000000"),
            (&["1e8", "1e8", "1e8", "1e8", "1e8", "1e8"], "the indices add up to 600000000"),
        ] {
            let message = asked(args).unwrap_err();
            assert!(message.contains(part), "{args:?}: {message}");
        }
    }

    #[test]
    fn the_command_is_one_that_clap_accepts() {
        command().debug_assert();
    }
}
