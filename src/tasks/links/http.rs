//! A page of a web server, in bounded time and memory.

use std::io;
use std::time::Instant;

use ureq::http::Response;
use ureq::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use ureq::{Body, Error};
use url::Url;

use crate::job::{Cause, JobError};
use crate::tasks::TaskContext;
use crate::tasks::links::client::client;
use crate::tasks::links::encoding::charset_of;
use crate::tasks::links::extract::Fetched;
use crate::tasks::links::fetch::{ReadError, read_bounded, too_long};
use crate::tasks::links::params::Bounds;
use crate::tasks::links::time::shown;

/// Fetches a page.
///
/// # Errors
/// Where it cannot be had within the bounds, or is no HTML; each names the URL, without a password.
pub(super) fn get(url: &Url, bounds: &Bounds, context: &TaskContext<'_>) -> Result<Fetched, JobError> {
    let name = nameable(url).to_string();
    // Who asked for the end of a job, or its own time-out, is what ended it, whatever the connection makes of that.
    let failure = |error| context.check().err().unwrap_or_else(|| failed(&name, error, bounds));
    let begun = Instant::now();
    let mut redirects = 0;
    let mut asked = url.clone();
    let mut response = loop {
        asked.set_fragment(None);
        // The whole way is bounded, not each step of it. Where no time is left, the client ends at once.
        let left = bounds.timeout.saturating_sub(begun.elapsed());
        let response = client(&asked, &name, left, context.cancel)?.get(asked.as_str()).call().map_err(failure)?;
        let status = response.status();
        let to = response.headers().get(LOCATION).filter(|_| leads_elsewhere(status.as_u16()));
        let Some(to) = to.filter(|_| bounds.max_redirects > 0) else { break response };
        if redirects == bounds.max_redirects {
            return Err(failure(Error::TooManyRedirects));
        }
        redirects += 1;
        asked = redirected(&asked, &String::from_utf8_lossy(to.as_bytes())).map_err(|(to, what)| {
            JobError::bad_input(format!(
                "{name}: redirects to {to} (status {status}), which is {what}: check the address"
            ))
        })?;
    };
    check_status(&name, &response)?;
    let content_type = header(&response, CONTENT_TYPE).map(str::to_owned);
    check_content_type(&name, content_type.as_deref())?;
    if response.body().content_length().is_some_and(|length| length > bounds.max_bytes) {
        return Err(too_long(&name, bounds.max_bytes));
    }
    // The limit is kept here, on what is unpacked; the client's own one would cut off in silence or at 10 MiB.
    let body = response.body_mut().with_config().limit(u64::MAX).reader();
    let bytes = read_bounded(body, bounds.max_bytes, context).map_err(|error| match error {
        ReadError::Job(error) => error,
        ReadError::Io(error) => failure(error.into()),
        ReadError::TooLong => too_long(&name, bounds.max_bytes),
    })?;
    let charset = content_type.as_deref().and_then(charset_of).map(str::to_owned);
    Ok(Fetched { name, url: nameable(&asked), bytes, charset })
}

/// Whether an answer with this status tells where else to look, as 304 does not.
fn leads_elsewhere(status: u16) -> bool {
    matches!(status, 301..=303 | 307 | 308)
}

/// Where a `Location` leads from here; else what it says and what is wrong with that. (The HTTP client's own way would take
/// `file:…` and `mailto:…` for paths on the same server.)
fn redirected(from: &Url, to: &str) -> Result<Url, (String, String)> {
    let next = from.join(to).map_err(|error| (excerpt(to), format!("no address ({error})")))?;
    match next.scheme() {
        "http" | "https" => Ok(next),
        _ => Err((excerpt(nameable(&next).as_str()), "no http(s) address".to_owned())),
    }
}

/// A URL that may be shown, and that links may start from: without the name and the password of a user.
fn nameable(url: &Url) -> Url {
    let mut url = url.clone();
    // Only URLs without a host refuse, and those have neither.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url
}

fn header(response: &Response<Body>, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

fn check_status(name: &str, response: &Response<Body>) -> Result<(), JobError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let (cause, remedy) = match status.as_u16() {
        300..=399 => {
            let to = header(response, LOCATION).map_or(String::new(), |to| format!(" to {}", excerpt(to)));
            let message = format!("{name}: redirects{to} (status {status}): name that page, or raise max_redirects");
            return Err(JobError::bad_input(message));
        }
        401 | 403 | 407 => (Cause::BadInput, "the server lets nobody in who has not signed in"),
        404 | 410 => (Cause::BadInput, "there is no such page: check the address"),
        408 | 429 | 500..=599 => (Cause::Io, "try again later"),
        _ => (Cause::BadInput, "check the address"),
    };
    Err(JobError::new(cause, format!("{name}: the server answers with status {status}: {remedy}")))
}

fn check_content_type(name: &str, content_type: Option<&str>) -> Result<(), JobError> {
    let Some(content_type) = content_type else { return Ok(()) };
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if ["", "text/html", "application/xhtml+xml"].iter().any(|html| kind.eq_ignore_ascii_case(html)) {
        return Ok(());
    }
    Err(JobError::bad_input(format!("{name}: is {}, no HTML page: name a page of text/html", excerpt(kind))))
}

/// The start of what a server says, which may be of any length.
fn excerpt(text: &str) -> String {
    text.chars().take(100).filter(|c| !c.is_control()).collect()
}

fn failed(name: &str, error: Error, bounds: &Bounds) -> JobError {
    let (cause, message) = match error {
        Error::Timeout(_) => {
            let time = shown(bounds.timeout);
            (
                Cause::Timeout,
                format!("was not here within {time}: raise page_timeout (--timeout) if it is worth the wait"),
            )
        }
        Error::TooManyRedirects => {
            let message =
                "is redirected more than {} times: check the address, or raise max_redirects (--max-redirects)";
            (Cause::BadInput, message.replace("{}", &bounds.max_redirects.to_string()))
        }
        Error::HostNotFound => (Cause::Io, "no such host: check the address and the network".to_owned()),
        Error::Io(error) => (Cause::Io, of_connection(&error)),
        Error::Rustls(error) => (Cause::Io, unsafe_connection(&error.to_string())),
        Error::Protocol(error) => {
            (Cause::Io, format!("what answers speaks no proper HTTP ({error}): check the address"))
        }
        Error::Decompress(_, error) => (Cause::Io, format!("the server sends broken compressed data: {error}")),
        Error::LargeResponseHeader(..) => (Cause::Io, "the server sends a header without end".to_owned()),
        Error::BadUri(error) => (Cause::BadInput, format!("leads to no http(s) address: {error}")),
        error => (Cause::Io, error.to_string()),
    };
    JobError::new(cause, format!("{name}: {message}"))
}

fn of_connection(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there: check the address, host and port".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            "the server closed the connection before the page was whole: try again".to_owned()
        }
        // What TLS finds wrong comes wrapped in this.
        io::ErrorKind::InvalidData => unsafe_connection(&error.to_string()),
        // Each system has words of its own for it, and no kind.
        _ if error.to_string().contains("lookup") => "no such host: check the address and the network".to_owned(),
        _ => format!("the connection failed: {error}"),
    }
}

fn unsafe_connection(error: &str) -> String {
    format!(
        "no safe connection: {error}: check the address and this machine's clock; where a network has a certificate authority \
         of its own, name its file in SSL_CERT_FILE"
    )
}
