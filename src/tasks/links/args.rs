//! The subcommand `links`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use crate::job::{Asked, parse_bounded};
use crate::tasks::links::params::{MAX_REDIRECTS, parse_base, parse_max_bytes, parse_page_url};
use crate::tasks::links::{KIND, LinksParams, Page, time};

const EXAMPLES: &str = "\
Links are the href of <a> and <area>, as absolute URLs with their fragment, each once, in the order of the page.
Pages are fetched many at once; a proxy is taken from HTTPS_PROXY and its like.

Examples:
  tandem links https://example.org/
  tandem links a.html b.html                        one list a page
  tandem links saved.html --base https://example.org/docs/
  tandem links https://example.org/ --timeout 5s --json";

/// The arguments.
pub(super) fn command() -> Command {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).allow_hyphen_values(true)
    };
    Command::new(KIND.name)
        .about(KIND.summary)
        .after_help(EXAMPLES)
        .arg(
            Arg::new("page")
                .value_name("PAGE")
                .help("Files, or addresses that begin with http:// or https://; each is a job of its own")
                .required(true)
                .num_args(1..),
        )
        .arg(
            arg("timeout", "TIME", "How long a page may take: 30s, 500ms, 2m [default: 30s]").value_parser(time::parse),
        )
        .arg(
            arg("max-bytes", "N", "How long a page may be, in bytes [default: 10485760]").value_parser(parse_max_bytes),
        )
        .arg(
            arg("max-redirects", "N", "How many redirects to follow [default: 10]")
                .value_parser(|text: &str| parse_bounded(text, 0..=MAX_REDIRECTS.into()).map(|count| count as u32)),
        )
        .arg(
            arg("base", "URL", "Where the links of files start from; else from the file itself")
                .value_parser(parse_base),
        )
}

/// The jobs that the arguments ask for, one a page.
///
/// # Errors
/// Where a page has an address that is none, or `--base` has no file to be for.
pub(super) fn from_args(matches: &ArgMatches) -> Result<Vec<Asked>, String> {
    let base = matches.get_one("base").cloned();
    let texts: Vec<&String> = matches.get_many("page").into_iter().flatten().collect();
    if base.is_some() && texts.iter().all(|text| is_url(text)) {
        return Err("--base is for files: the links of an address start from the page itself".to_owned());
    }
    let asked = texts.into_iter().map(|text| {
        let page = if is_url(text) {
            Page::Url(parse_page_url(text)?)
        } else {
            Page::File { path: PathBuf::from(text), base: base.clone() }
        };
        let mut params = LinksParams::new(page);
        if let Some(timeout) = matches.get_one("timeout") {
            params.timeout = *timeout;
        }
        if let Some(max_bytes) = matches.get_one("max-bytes") {
            params.max_bytes = *max_bytes;
        }
        if let Some(max_redirects) = matches.get_one("max-redirects") {
            params.max_redirects = *max_redirects;
        }
        Ok(Asked { label: Some(text.clone()), params: Box::new(params) })
    });
    asked.collect()
}

fn is_url(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins("http://") || begins("https://")
}
