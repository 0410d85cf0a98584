//! What a job of links asks for, and how a line of a job file says it.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Visitor};
use url::Url;

use crate::job::{BindContext, Bound, JobError, JobParams, KindParams, Reach, parse_integer, shorten};
use crate::tasks::links::extract::{Extract, Fetched};
use crate::tasks::links::fetch::{Fetch, Origin};
use crate::tasks::links::time;

/// The longest time that a page may be given.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
/// The greatest limit of a page's size, in bytes.
pub const MAX_PAGE_BYTES: u64 = 256 << 20;
/// The greatest limit of redirects.
pub const MAX_REDIRECTS: u32 = 100;

/// Where a page is.
#[derive(Clone, PartialEq, Eq)]
pub enum Page {
    /// On a server; the scheme is http or https.
    Url(Url),
    /// In a file.
    File {
        /// Where it is; a relative path starts from the folder of the job.
        path: PathBuf,
        /// Where its links start from; left out, from the file itself (`file:///…`).
        base: Option<Url>,
    },
    /// Here.
    Html {
        /// Its bytes, in any character encoding.
        html: Arc<[u8]>,
        /// Where its links start from.
        url: Url,
    },
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "Url({url})"),
            Self::File { path, base: None } => write!(f, "File({})", path.display()),
            Self::File { path, base: Some(base) } => write!(f, "File({}, base {base})", path.display()),
            Self::Html { html, url } => write!(f, "Html({} bytes of {url})", html.len()),
        }
    }
}

/// A job of links, before its page is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinksParams {
    /// Where the page is.
    pub page: Page,
    /// How long the page may take to be here whole, redirects included; a millisecond to [`MAX_TIMEOUT`]. In a job file
    /// `page_timeout`, since `timeout` there is for all that a job does.
    pub timeout: Duration,
    /// How long it may be, in bytes, unpacked; 1 to [`MAX_PAGE_BYTES`].
    pub max_bytes: u64,
    /// How many redirects are followed; up to [`MAX_REDIRECTS`].
    pub max_redirects: u32,
}

impl LinksParams {
    /// The links of this page, within 30 seconds, 10 MiB and 10 redirects.
    pub fn new(page: Page) -> Self {
        Self { page, timeout: Duration::from_secs(30), max_bytes: 10 << 20, max_redirects: 10 }
    }

    fn bounds(&self) -> Result<Bounds, JobError> {
        let Self { timeout, max_bytes, max_redirects, .. } = *self;
        let wrong = |message: String| Err(JobError::bad_input(message));
        time::check(timeout).map_err(JobError::bad_input)?;
        if !(1..=MAX_PAGE_BYTES).contains(&max_bytes) {
            return wrong(format!("max_bytes is {max_bytes}: give 1 to {MAX_PAGE_BYTES}"));
        }
        if max_redirects > MAX_REDIRECTS {
            return wrong(format!("max_redirects is {max_redirects}: give at most {MAX_REDIRECTS}"));
        }
        Ok(Bounds { timeout, max_bytes, max_redirects })
    }
}

/// What a fetch may take; checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub timeout: Duration,
    pub max_bytes: u64,
    pub max_redirects: u32,
}

impl KindParams for LinksParams {
    const KIND: &'static str = super::KIND.name;
}

impl JobParams for LinksParams {
    fn in_memory(&self) -> bool {
        // A page is opened by the first stage, where waiting is free.
        true
    }

    fn input_files(&self) -> Vec<&Path> {
        match &self.page {
            Page::File { path, .. } => vec![path],
            Page::Url(_) | Page::Html { .. } => Vec::new(),
        }
    }

    fn reach(&self) -> Reach<'_> {
        let fetches = match &self.page {
            Page::Url(url) => vec![url.as_str()],
            Page::File { .. } | Page::Html { .. } => Vec::new(),
        };
        Reach { fetches, ..Reach::reading(self.input_files()) }
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        let bounds = self.bounds()?;
        let from = match &self.page {
            Page::Url(url) => {
                check_page_url(url).map_err(|message| JobError::bad_input(format!("{url}: {message}")))?;
                Origin::Url(url.clone())
            }
            Page::File { path, base } => Origin::File(context.base_dir.join(path), base.clone()),
            Page::Html { html, url } => {
                let (name, bytes) = (url.to_string(), html.to_vec());
                return Ok(Bound::Task(Box::new(Extract(Fetched { name, url: url.clone(), bytes, charset: None }))));
            }
        };
        Ok(Bound::Task(Box::new(Fetch { from, bounds })))
    }
}

fn check_page_url(url: &Url) -> Result<(), String> {
    match url.scheme() {
        "http" | "https" => Ok(()),
        scheme => Err(format!("pages are fetched by http and https only, not by {scheme}")),
    }
}

/// The address of a page.
///
/// # Errors
/// What is wrong with it, and how to write it.
pub(super) fn parse_page_url(text: &str) -> Result<Url, String> {
    let url = parse_base(text)?;
    check_page_url(&url).map_err(|message| format!("`{}`: {message}", shorten(text)))?;
    Ok(url)
}

/// An address that others start from.
///
/// # Errors
/// What is wrong with it, and how to write it.
pub(super) fn parse_base(text: &str) -> Result<Url, String> {
    let shown = shorten(text);
    match Url::parse(text) {
        Ok(url) if url.cannot_be_a_base() => Err(format!("`{shown}` is no address that links could start from")),
        Ok(url) => Ok(url),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            Err(format!("`{shown}` is no absolute URL: begin with https:// or http://"))
        }
        Err(error) => Err(format!("`{shown}` is no URL: {error}")),
    }
}

/// A limit on a page's bytes, as people write integers.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_max_bytes(text: &str) -> Result<u64, String> {
    let value = parse_integer(text.as_bytes()).map_err(|error| format!("`{}` {error}", shorten(text)))?;
    u64::try_from(value)
        .ok()
        .filter(|bytes| (1..=MAX_PAGE_BYTES).contains(bytes))
        .ok_or_else(|| format!("`{}` is out of range: give 1 to {MAX_PAGE_BYTES} bytes", shorten(text)))
}

/// A line of a job file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(rename = "device")]
    _device: Option<IgnoredAny>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    file: Option<PathBuf>,
    #[serde(borrow)]
    base: Option<Cow<'a, str>>,
    page_timeout: Option<PageTimeout>,
    max_bytes: Option<MaxBytes>,
    max_redirects: Option<u32>,
}

/// Parses a line of a job file.
///
/// # Errors
/// Where it is malformed, or names no page or two.
pub(super) fn parse(text: &str) -> Result<LinksParams, serde_json::Error> {
    let line: Line<'_> = serde_json::from_str(text)?;
    let field = |name: &'static str| move |message| Error::custom(format!("{name}: {message}"));
    let page = match (line.url, line.file, line.base) {
        (Some(url), None, None) => Page::Url(parse_page_url(&url).map_err(field("url"))?),
        (None, Some(path), base) => {
            Page::File { path, base: base.map(|base| parse_base(&base)).transpose().map_err(field("base"))? }
        }
        (None, None, _) => {
            return Err(Error::custom("no page: give `url` (\"https://example.org/\") or `file` (\"page.html\")"));
        }
        (Some(_), Some(_), _) => return Err(Error::custom("both `url` and `file`: a job has one page")),
        (Some(_), None, Some(_)) => {
            return Err(Error::custom("`base` is for a `file`: the links of a `url` start from the page itself"));
        }
    };
    let mut params = LinksParams::new(page);
    if let Some(PageTimeout(timeout)) = line.page_timeout {
        params.timeout = timeout;
    }
    if let Some(MaxBytes(max_bytes)) = line.max_bytes {
        params.max_bytes = max_bytes;
    }
    if let Some(max_redirects) = line.max_redirects {
        if max_redirects > MAX_REDIRECTS {
            return Err(Error::custom(format!(
                "max_redirects: {max_redirects} is too many: give at most {MAX_REDIRECTS}"
            )));
        }
        params.max_redirects = max_redirects;
    }
    Ok(params)
}

struct PageTimeout(Duration);

impl<'de> Deserialize<'de> for PageTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Time;
        impl Visitor<'_> for Time {
            type Value = PageTimeout;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as in \"30s\" or a number of seconds for `page_timeout`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PageTimeout, E> {
                time::parse(text).map(PageTimeout).map_err(E::custom)
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<PageTimeout, E> {
                self.visit_str(&seconds.to_string())
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<PageTimeout, E> {
                self.visit_str(&seconds.to_string())
            }
        }
        deserializer.deserialize_any(Time)
    }
}

struct MaxBytes(u64);

impl<'de> Deserialize<'de> for MaxBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = MaxBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number of bytes from 1 to {MAX_PAGE_BYTES} for `max_bytes`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<MaxBytes, E> {
                parse_max_bytes(text).map(MaxBytes).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<MaxBytes, E> {
                self.visit_str(&bytes.to_string())
            }
        }
        deserializer.deserialize_any(Bytes)
    }
}
