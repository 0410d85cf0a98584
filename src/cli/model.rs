//! `tandem model show` and `tandem model reset`.

use std::io::Write;
use std::process::ExitCode;

use clap::ArgMatches;

use crate::cli::Stopped;
use crate::cli::options::Options;
use crate::cli::terminal::{print, stdout_style, tell};
use crate::model::{Location, Store};
use crate::report::{memory_text, model_json, model_text, visible};

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let Some((what, matches)) = matches.subcommand() else {
        return Err(Stopped::usage("show or reset: try `tandem model --help`"));
    };
    let options = Options::read(matches)?;
    let mut store = Store::new(options.model.clone());
    let place = match &options.model {
        Location::File(path) => path.display().to_string(),
        Location::Nowhere => "none".to_owned(),
    };
    if what == "reset" {
        let removed = store.reset().map_err(|error| Stopped::failed(format_args!("{place}: {error}")))?;
        tell(format_args!(
            "{}: {}",
            visible(&place),
            if removed { "forgotten" } else { "there was nothing to forget" }
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let (rows, memory) = (store.model().rows(), store.model().memory_rows());
    for warning in store.take_warnings() {
        tell(format_args!("warning: {}", visible(&warning.0)));
    }
    print(|out| {
        let text = if options.json {
            model_json(&place, &rows, &memory)?
        } else {
            model_text(&place, &rows, stdout_style()) + &memory_text(&memory, stdout_style())
        };
        out.write_all(text.as_bytes())
    })?;
    Ok(ExitCode::SUCCESS)
}
