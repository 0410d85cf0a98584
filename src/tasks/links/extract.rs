//! The second stage: from the bytes of a page to its links.

use std::collections::HashSet;

use encoding_rs::{Encoding, UTF_8};
use html5gum::HtmlString;
use url::Url;

use crate::job::JobError;
use crate::tasks::links::LinksAnswer;
use crate::tasks::links::encoding::decode;
use crate::tasks::links::markup::{Markup, Piece};
use crate::tasks::{Place, Step, Task, TaskContext};

/// The links of a page may be longer than the page, since each is made absolute with the whole of the page's address: up
/// to so many times its size, or [`LEAST_LINKS_BYTES`].
const LINKS_PER_PAGE: usize = 8;
const LEAST_LINKS_BYTES: usize = 16 << 20;
/// Between two looks at whether to go on: well below a millisecond.
const STEPS_PER_CHECK: usize = 1024;

/// A page that is here.
#[derive(Debug)]
pub(super) struct Fetched {
    /// What to call it in messages.
    pub name: String,
    /// Where it was found; relative links start from here.
    pub url: Url,
    pub bytes: Vec<u8>,
    /// The character encoding that its server names.
    pub charset: Option<String>,
}

/// The stage of a page that is here.
pub(super) struct Extract(pub Fetched);

impl Task for Extract {
    fn place(&self) -> Place {
        Place::Compute
    }

    fn expected_ms(&self) -> f64 {
        // About 50 MB a second.
        self.0.bytes.len() as f64 / 50e3
    }

    fn run(self: Box<Self>, context: &TaskContext<'_>) -> Result<Step, JobError> {
        let Fetched { name, url, bytes, charset } = self.0;
        let limit = LEAST_LINKS_BYTES.max(LINKS_PER_PAGE * bytes.len());
        let (text, encoding) = decode(&bytes, charset.as_deref());
        drop(bytes);
        let written = Written::read(&text, || context.check())?;
        drop(text);
        let base =
            written.base.as_deref().and_then(|href| resolve(href, &url, None)).filter(|base| !base.cannot_be_a_base());
        // The encoding that the query of a link is written in, where not UTF-8.
        let encoding = Some(encoding.output_encoding()).filter(|&encoding| encoding != UTF_8);
        let links = absolute(written.links, base.as_ref().unwrap_or(&url), encoding, limit, || context.check())?
            .ok_or_else(|| too_long(&name, limit))?;
        Ok(Step::Done(Box::new(LinksAnswer::new(url.into(), links))))
    }
}

fn too_long(name: &str, limit: usize) -> JobError {
    let limit = limit >> 20;
    JobError::bad_input(format!(
        "{name}: its links, made absolute, are longer than {limit} MiB together: the page's `<base>` is absurdly long"
    ))
}

/// Links as a page writes them.
#[derive(Default)]
struct Written {
    /// The address of the first `<base>` that has one; it counts for the whole page.
    base: Option<HtmlString>,
    /// Each once, in the order of the page.
    links: Vec<HtmlString>,
}

impl Written {
    fn read(text: &str, check: impl Fn() -> Result<(), JobError>) -> Result<Self, JobError> {
        let mut written = Self::default();
        let mut seen = HashSet::new();
        for (index, piece) in Markup::new(text).enumerate() {
            if index.is_multiple_of(STEPS_PER_CHECK) {
                check()?;
            }
            let Piece::Tag(tag) = piece else { continue };
            let attribute = |name: &[u8]| tag.attributes.get(name).map(|value| HtmlString::clone(value));
            match &**tag.name {
                b"base" if written.base.is_none() => written.base = attribute(b"href"),
                b"a" | b"area" => {
                    let link = attribute(b"href").or_else(|| attribute(b"xlink:href"));
                    if let Some(link) = link.filter(|link| !seen.contains(link)) {
                        seen.insert(link.clone());
                        written.links.push(link);
                    }
                }
                _ => {}
            }
        }
        Ok(written)
    }
}

/// Links made absolute, each once; `None` where they would be longer than `limit` together.
fn absolute(
    written: Vec<HtmlString>,
    base: &Url,
    encoding: Option<&'static Encoding>,
    limit: usize,
    check: impl Fn() -> Result<(), JobError>,
) -> Result<Option<Vec<String>>, JobError> {
    let mut links = Vec::new();
    let mut seen = HashSet::new();
    let mut left = limit;
    for (index, href) in written.into_iter().enumerate() {
        if index.is_multiple_of(STEPS_PER_CHECK) {
            check()?;
        }
        // Whatever becomes of it, this is what resolving it costs.
        match left.checked_sub(base.as_str().len() + href.len()) {
            Some(rest) => left = rest,
            None => return Ok(None),
        }
        if let Some(link) = resolve(&href, base, encoding).map(String::from)
            && !seen.contains(&link)
        {
            seen.insert(link.clone());
            links.push(link);
        }
    }
    Ok(Some(links))
}

/// The absolute URL; `None` where it is none.
fn resolve(href: &[u8], base: &Url, encoding: Option<&'static Encoding>) -> Option<Url> {
    let href = std::str::from_utf8(href).ok()?;
    let options = Url::options().base_url(Some(base));
    match encoding {
        None => options.parse(href).ok(),
        Some(encoding) => options.encoding_override(Some(&|query| encoding.encode(query).0)).parse(href).ok(),
    }
}
