//! The task `links`: the links of HTML pages, from files or http(s) URLs.
//!
//! A link is what a person can follow: the `href` of `a` (those of SVG too) and of `area`; style sheets, pictures and scripts are
//! none. Each is an absolute URL, resolved as browsers do (`<base href>`, the page's character encoding, redirects), with its
//! fragment, and stands once, where it was first seen. Schemes other than http (`mailto:`, `javascript:`) stay; what is no
//! URL at all is left out.
//!
//! A page is fetched where waiting is free ([`Place::Waiting`](crate::tasks::Place)), and its links are extracted on the CPU
//! pool, so that a slow site holds nobody up. Time ([`LinksParams::timeout`]) and memory ([`LinksParams::max_bytes`]) of a page
//! are bounded, whatever its server does.
//!
//! ```
//! use tandem::runner::{Job, Runner};
//! use tandem::tasks::links::{LinksAnswer, LinksParams, Page};
//!
//! let html = r#"<base href="/docs/"><a href="guide.html#first">The guide</a>"#;
//! let page = Page::Html { html: html.as_bytes().into(), url: "https://example.org/".parse()? };
//! let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
//! let outcome = runner.submit(Job::from(LinksParams::new(page))).wait();
//! assert_eq!(outcome.answer::<LinksAnswer>()?.links(), ["https://example.org/docs/guide.html#first"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
#[cfg(feature = "cli")]
mod args;
mod client;
mod encoding;
mod extract;
mod fetch;
mod http;
mod markup;
mod params;
mod sample;
mod time;
mod watched;

#[cfg(test)]
mod tests;

pub use answer::LinksAnswer;
pub use params::{LinksParams, MAX_PAGE_BYTES, MAX_REDIRECTS, MAX_TIMEOUT, Page};
pub use url::Url;

use crate::job::Kind;

/// The kind, for the registry.
pub static KIND: Kind = Kind {
    name: "links",
    summary: "lists the links of HTML pages, from files or http(s) URLs",
    variants: &["html"],
    parse: |text| Ok(Box::new(params::parse(text)?)),
    input_field: Some("file"),
    aside: &[],
    sample: |asked| Box::new(sample::sample(asked)),
    operations_per_unit: |_| None,
    shaders: Vec::new,
    #[cfg(feature = "cli")]
    command: args::command,
    #[cfg(feature = "cli")]
    from_args: args::from_args,
};
