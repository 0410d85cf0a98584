//! `tandem corr`: its arguments, and the job that they ask for.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::input::{ColumnRef, Format, Header, InputSpec, Location, check_options};
use crate::job::Asked;
use crate::kernels::corr::{CorrInput, CorrParams, KIND, output};

/// The subcommand.
pub(super) fn command() -> Command {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let columns = |name: &'static str, help: &'static str| arg(name, "COLUMN", help).action(ArgAction::Append);
    Command::new(KIND.name)
        .about(KIND.summary)
        .after_help(
            "Examples:\n  \
             tandem corr returns.csv\n  \
             tandem corr embeddings.npy --output corr.npy\n  \
             tandem corr genes.npy --with traits.csv --output corr.csv\n\n\
             Pearson's coefficients, with an error below 1e-12, the same bytes on every device. A row with a NaN or an\n\
             empty cell is left out of all of them, and counted; a constant column has NaN.",
        )
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .help("The table: a 2-d array (.npy, .nc, .h5) or a .csv; - is standard input")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            arg("with", "PATH", "Another table of as many rows: its columns are those of the matrix")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            arg("output", "FILE", "Write the matrix to a file, .npy (f64) or .csv, and not to standard output")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(columns("column", "A column of a CSV, by name or number from 0; may be repeated [default: all numeric]"))
        .arg(columns("with-column", "The same of the other table").requires("with"))
        .arg(
            arg("format", "FORMAT", "How the input is written [default: by extension, else by its first bytes]")
                .value_parser(["npy", "csv", "netcdf"]),
        )
        .arg(
            arg("header", "WHEN", "Whether the first row of a CSV names its columns [default: auto]")
                .value_parser(["auto", "yes", "no"]),
        )
        .arg(
            arg("na", "WORD", "A word that stands for a missing value in a CSV, as an empty cell does; may be repeated")
                .action(ArgAction::Append)
                .allow_hyphen_values(true),
        )
        .arg(arg(
            "var",
            "NAME",
            "The variable of a NetCDF or HDF5 file, after its groups: t2m, forecast/t2m [default: the only one that is no \
             coordinate]",
        ))
        .arg(arg("with-var", "NAME", "The same of the other table").requires("with"))
}

/// The job that the arguments ask for.
pub(super) fn from_args(args: &ArgMatches) -> Result<Vec<Asked>, String> {
    let many = |name: &str| -> Vec<String> {
        args.get_many::<String>(name).map_or_else(Vec::new, |values| values.cloned().collect())
    };
    let text = |name: &str| args.get_one::<String>(name).map(String::as_str);
    let format = text("format").map(str::parse::<Format>).transpose()?;
    let header = text("header").map(str::parse::<Header>).transpose()?.unwrap_or_default();
    let spec = |path: &PathBuf, columns: &str, var: &str| -> Result<InputSpec, String> {
        let columns = many(columns);
        let spec = InputSpec {
            format,
            columns: (!columns.is_empty()).then(|| columns.into_iter().map(ColumnRef::Name).collect()),
            header,
            na: many("na"),
            var: text(var).map(str::to_owned),
            ..InputSpec::new(Location::from_text(path))
        };
        let known = format.or_else(|| Format::from_extension(path));
        // A file of text is read as a table. What its bytes must tell is checked when it is opened.
        if let Some(known) = known.map(|format| if format == Format::Text { Format::Csv } else { format }) {
            check_options(&spec, known).map_err(|error| error.message)?;
        }
        Ok(spec)
    };
    let path = args.get_one::<PathBuf>("path").ok_or("no input: name a file")?;
    let input = spec(path, "column", "var")?;
    let with = args.get_one::<PathBuf>("with").map(|path| spec(path, "with-column", "with-var")).transpose()?;
    if with.as_ref().is_some_and(|with| with.location == Location::Stdin && input.location == Location::Stdin) {
        return Err("standard input (-) is named twice: it can be read once".to_owned());
    }
    let output = args.get_one::<PathBuf>("output").cloned();
    if let Some(output) = &output {
        output::check_name(output)?;
    }
    let params = CorrParams { input: CorrInput::File(input), with: with.map(CorrInput::File), output };
    Ok(vec![Asked { label: None, params: Box::new(params) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &str) -> Result<Vec<Asked>, String> {
        let arguments = ["corr"].into_iter().chain(arguments.split_whitespace());
        let matches = command().try_get_matches_from(arguments).map_err(|error| error.to_string())?;
        from_args(&matches)
    }

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_option_reaches_its_place() {
        let arguments =
            "t.csv --with u.csv --output o.csv --column a --column 3 --with-column b --header no --na -- --na x";
        let text = format!("{:?}", asked(arguments).unwrap());
        for part in
            ["t.csv", "u.csv", "o.csv", "Name(\"a\"), Name(\"3\")", "Name(\"b\")", "header: No", "[\"--\", \"x\"]"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn each_table_has_its_variable() {
        let text = format!("{:?}", asked("a.nc --var t2m --with b.h5 --with-var g/rain").unwrap());
        let (first, second) = text.split_once("with: ").unwrap();
        assert!(first.contains("Some(\"t2m\")") && second.contains("Some(\"g/rain\")"), "{text}");
    }

    #[test]
    fn what_does_not_apply_is_a_usage_error() {
        for (arguments, says) in [
            ("", "PATH"),
            ("a.npy b.npy", "unexpected argument"),
            ("a.npy --column x", "`column` does not apply to format npy"),
            ("a.csv --with-column x", "--with"),
            ("a.nc --with-var x", "--with"),
            ("a.csv --var x", "`var` does not apply to format csv"),
            ("- --with -", "twice"),
            ("a.npy --output b.txt", "neither called .npy nor .csv"),
        ] {
            let error = asked(arguments).map(|_| ()).unwrap_err();
            assert!(error.contains(says), "{arguments}: {error}");
        }
    }
}
