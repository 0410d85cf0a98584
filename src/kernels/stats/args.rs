//! `tandem stats`: its arguments, and the jobs that they ask for.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::exact::Decimal;
use crate::input::{ColumnRef, DType, Format, Header, InputSpec, Location, Outside, Voi, check_options};
use crate::job::{Asked, parse_bounded};
use crate::kernels::stats::{
    AlongAxes, Axis, Histogram, KIND, MAX_QUANTILES, MomentsUpTo, Quantile, SUPPORTED, StatsInput, StatsParams,
    StatsRequest, axis,
};

/// The subcommand.
pub(super) fn command() -> Command {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let element_types = SUPPORTED.map(|layout| layout.dtype.name());
    Command::new(KIND.name)
        .about(KIND.summary)
        .after_help(
            "Examples:\n  \
             tandem stats prices.npy --quantiles 0.01,0.5,0.99\n  \
             tandem stats weather.csv --column temp --histogram 20:-30..50 --missing -9999\n  \
             tandem stats day-*.raw --dtype f32 --together\n  \
             tandem stats 2023/*.nc --var t2m --together\n  \
             tandem stats 2023/*.nc --var t2m --together --axis time --output climate.npz\n  \
             tandem stats scan.dcm --window 40,400 --histogram 100\n\n\
             sum, mean, variance and std are exact, rounded once. NaN, empty cells and the missing value count in\n\
             nan_count alone.",
        )
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .help("Files to read (.npy, .csv, .json, .nc, .h5, .dcm, raw); - is standard input")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("together")
                .long("together")
                .action(ArgAction::SetTrue)
                .help("Take all files as one dataset; else each is a job for itself"),
        )
        .arg(
            arg("axis", "AXIS,...", "Statistics along axes of an array, by number (-1: the last) or name: an array of each")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .allow_hyphen_values(true)
                .value_parser(|text: &str| text.parse::<Axis>()),
        )
        .arg(
            arg("output", "FILE", "Write the arrays of --axis to a file: .npz (an array each) or .npy (one of records)")
                .requires("axis")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            arg("ddof", "N", "What variance and std subtract from the count: 0 for a whole population [default: 1]")
                .allow_negative_numbers(true)
                .value_parser(|text: &str| parse_bounded(text, 0..=u32::MAX.into()).map(|ddof| ddof as u32)),
        )
        .arg(
            arg("moments", "N", "4 adds skewness and kurtosis (biased; of a normal distribution 0) [default: 2]")
                .value_parser(|text: &str| text.parse::<MomentsUpTo>()),
        )
        .arg(
            arg("quantiles", "Q,...", "Quantiles, decimals from 0 to 1; linear interpolation: 0,0.5,0.99")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .allow_hyphen_values(true)
                .value_parser(|text: &str| text.parse::<Quantile>()),
        )
        .arg(
            arg("histogram", "BINS[:LO..HI]", "Count values in bins of equal width, over their whole range or LO..HI")
                .allow_hyphen_values(true)
                .value_parser(|text: &str| text.parse::<Histogram>()),
        )
        .arg(
            arg("missing", "NUMBER", "A number that stands for a missing value: counts as NaN")
                .allow_hyphen_values(true)
                .value_parser(|text: &str| text.parse::<Decimal>().map_err(|error| error.to_string())),
        )
        .arg(
            arg("format", "FORMAT", "How the input is written [default: by extension, else by its first bytes]")
                .value_parser(["npy", "csv", "raw", "json", "netcdf", "dicom"]),
        )
        .arg(arg("dtype", "TYPE", "The element type of a raw input").value_parser(element_types))
        .arg(
            arg("offset", "BYTES", "Bytes to skip at the start of a raw input")
                .allow_negative_numbers(true)
                .value_parser(|text: &str| parse_bounded(text, 0..=u64::MAX)),
        )
        .arg(
            arg(
                "column",
                "COLUMN",
                "A column of a CSV, by name or by number from 0; may be repeated [default: all numeric]",
            )
            .action(ArgAction::Append),
        )
        .arg(
            arg("header", "WHEN", "Whether the first row of a CSV names its columns [default: auto]")
                .value_parser(["auto", "yes", "no"]),
        )
        .arg(
            arg(
                "na",
                "WORD",
                "A word that stands for a missing value in a CSV, as an empty cell does; may be repeated",
            )
            .action(ArgAction::Append)
            .allow_hyphen_values(true),
        )
        .arg(arg(
            "var",
            "NAME",
            "The variable of a NetCDF or HDF5 file, after its groups: t2m, forecast/t2m [default: the only one that is no \
             coordinate]",
        ))
        .arg(
            arg("window", "CENTER,WIDTH", "Of a DICOM file only the values inside this VOI window; `file` is the file's own")
                .allow_hyphen_values(true)
                .value_parser(|text: &str| text.parse::<Voi>()),
        )
        .arg(
            arg("outside", "WHAT", "What becomes of values outside the window: leave_out or clip [default: leave_out]")
                .requires("window")
                .value_parser(|text: &str| text.parse::<Outside>()),
        )
}

/// The jobs that the arguments ask for.
pub(super) fn from_args(args: &ArgMatches) -> Result<Vec<Asked>, String> {
    fn many<T: Clone + Send + Sync + 'static>(args: &ArgMatches, name: &str) -> Vec<T> {
        args.get_many::<T>(name).map_or_else(Vec::new, |values| values.cloned().collect())
    }
    let text = |name: &str| args.get_one::<String>(name).map(String::as_str);
    let request = StatsRequest {
        ddof: args.get_one("ddof").copied().unwrap_or(1),
        moments: args.get_one("moments").copied().unwrap_or_default(),
        quantiles: many(args, "quantiles"),
        histogram: args.get_one("histogram").copied(),
        missing: args.get_one::<Decimal>("missing").cloned(),
    };
    if request.quantiles.len() > MAX_QUANTILES {
        return Err(format!("{} quantiles: at most {MAX_QUANTILES}", request.quantiles.len()));
    }
    let axes: Vec<Axis> = many(args, "axis");
    let output = args.get_one::<PathBuf>("output").cloned();
    let along = (!axes.is_empty()).then_some(AlongAxes { axes, output });
    if let Some(along) = &along {
        request.check_along_axes()?;
        along.output.as_deref().map_or(Ok(()), axis::check_name)?;
    }
    let format = text("format").map(str::parse::<Format>).transpose()?;
    let columns: Vec<String> = many(args, "column");
    let spec = InputSpec {
        location: Location::Stdin,
        format,
        dtype: text("dtype").and_then(DType::from_name),
        offset: args.get_one("offset").copied(),
        columns: (!columns.is_empty()).then(|| columns.into_iter().map(ColumnRef::Name).collect()),
        header: text("header").map(str::parse::<Header>).transpose()?.unwrap_or_default(),
        na: many(args, "na"),
        var: text("var").map(str::to_owned),
        window: args.get_one("window").copied(),
        outside: args.get_one("outside").copied(),
    };
    let paths: Vec<PathBuf> = many(args, "path");
    let mut specs = Vec::with_capacity(paths.len());
    for path in &paths {
        let known = format.or_else(|| Format::from_extension(path));
        let spec = InputSpec { location: Location::from_text(path), ..spec.clone() };
        // A file of text is read as a table. What its bytes must tell is checked when it is opened.
        let known = known.map(|format| if format == Format::Text { Format::Csv } else { format });
        if let Some(known) = known {
            check_options(&spec, known).map_err(|error| error.message)?;
        }
        specs.push(spec);
    }
    if specs.iter().filter(|spec| spec.location == Location::Stdin).count() > 1 {
        return Err("standard input (-) is named twice: it can be read once".to_owned());
    }
    let job = |specs: Vec<InputSpec>, label: Option<String>| {
        let params = StatsParams { input: StatsInput::Files(specs), request: request.clone(), along: along.clone() };
        Asked { label, params: Box::new(params) }
    };
    if args.get_flag("together") || specs.len() == 1 {
        return Ok(vec![job(specs, None)]);
    }
    if along.as_ref().is_some_and(|along| along.output.is_some()) {
        return Err(format!(
            "{} files and one output: take them as one array along its first axis with --together, or name one file",
            specs.len()
        ));
    }
    Ok(specs.into_iter().zip(&paths).map(|(spec, path)| job(vec![spec], Some(path.display().to_string()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &str) -> Result<Vec<Asked>, String> {
        let arguments = ["stats"].into_iter().chain(arguments.split_whitespace());
        let matches = command().try_get_matches_from(arguments).map_err(|error| error.to_string())?;
        from_args(&matches)
    }

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_option_reaches_its_place() {
        let jobs = asked(
            "t.csv --ddof 0 --moments 4 --quantiles 0,.5,0.99 --quantiles 1 --histogram 10:-1..1 --missing -9999 --column a \
             --column 3 --header no --na -- --na x",
        );
        let text = format!("{:?}", jobs.unwrap());
        for part in [
            "ddof: 0",
            "moments: Kurtosis",
            "\"0.5\"",
            "\"0.99\"",
            "\"1\"",
            "bins: 10",
            "-1.0, 1.0",
            "\"-9999\"",
            "Name(\"a\")",
            "Name(\"3\")",
            "header: No",
            "na: [\"--\", \"x\"]",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn axes_are_numbers_and_names_and_their_arrays_go_to_a_file() {
        let text = format!("{:?}", asked("a.nc b.nc --together --axis -1,time --axis 0 --output o.npz").unwrap());
        for part in ["[Number(-1), Name(\"time\"), Number(0)]", "Some(\"o.npz\")"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(asked("a.npy b.npy --axis 0").unwrap().len(), 2);
    }

    #[test]
    fn several_files_are_jobs_with_labels_unless_taken_together() {
        let labels = |arguments: &str| -> Vec<Option<String>> {
            asked(arguments).unwrap().into_iter().map(|asked| asked.label).collect()
        };
        assert_eq!(labels("a.npy b.npy"), [Some("a.npy".to_owned()), Some("b.npy".to_owned())]);
        assert_eq!(labels("a.npy b.npy --together"), [None]);
        assert_eq!(labels("-"), [None]);
    }

    #[test]
    fn what_does_not_apply_is_a_usage_error() {
        for (arguments, says) in [
            ("", "PATH"),
            ("a.npy --dtype f32", "`dtype` does not apply to format npy"),
            ("a.raw", "needs option `dtype`"),
            ("a.csv --offset 4", "`offset` does not apply"),
            ("a --format json --column x", "`column` does not apply"),
            ("- -", "twice"),
            ("a.npy --quantiles 2", "outside 0 to 1"),
            ("a.npy --quantiles -0.5", "outside 0 to 1"),
            ("a.npy --histogram 0", "use 1 to"),
            ("a.npy --moments 3", "use 2"),
            ("a.npy --missing x", "not a decimal number"),
            ("a.npy --ddof -1", "-1"),
            ("a.npy --output b.npz", "--axis"),
            ("a.npy --axis 0 --output b.csv", "neither called .npz nor .npy"),
            ("a.npy b.npy --axis 0 --output c.npz", "--together"),
            ("a.npy --axis 0 --quantiles 0.5", "`quantiles` is of whole arrays"),
            ("a.npy --axis 0 --moments 4", "`moments` is of whole arrays"),
            ("a.npy --axis 0,,1", "without a name"),
            ("a.raw --dtype f16", "f32"),
            ("a.raw --dtype i8", "u64"),
        ] {
            let error = asked(arguments).map(|_| ()).unwrap_err();
            assert!(error.contains(says), "{arguments}: {error}");
        }
    }
}
