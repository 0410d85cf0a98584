//! The pages for people: each is one file that needs nothing else. What it is made of lies in `page/`; its policy lets the browser
//! run exactly that script and that style, by their hashes, and ask nobody but this service.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::report::chart::style_sheet;

/// A page as it is sent.
struct Page {
    html: String,
    policy: HeaderValue,
}

static MAIN: LazyLock<Page> = LazyLock::new(|| {
    let script = concat!(
        include_str!("page/core.js"),
        include_str!("page/stream.js"),
        include_str!("page/figures.js"),
        include_str!("page/jobs.js"),
        include_str!("page/job.js"),
        include_str!("page/submit.js"),
        include_str!("page/datasets.js"),
        include_str!("page/main.js")
    );
    Page::new(include_str!("page/main.html"), include_str!("page/main.css"), script)
});

static DOCS: LazyLock<Page> = LazyLock::new(|| {
    let script = concat!(include_str!("page/core.js"), include_str!("page/docs.js"));
    Page::new(include_str!("page/docs.html"), include_str!("page/docs.css"), script)
});

impl Page {
    /// A page of this body, with these rules beside those of all pages.
    fn new(body: &str, rules: &str, script: &str) -> Self {
        let style = [&style_sheet(), include_str!("page/style.css"), rules].concat();
        // One function, so that nothing of it is a name of the whole page.
        let script = format!("(() => {{\n'use strict';\n{script}}})();\n");
        let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            hash(&script),
            hash(&style)
        );
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\n<style>{style}</style>\n\
             {body}<script>{script}</script></body></html>\n"
        );
        // It is made of letters, digits and what base64 has.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { html, policy }
    }

    fn response(&'static self) -> Response {
        let headers: [(HeaderName, HeaderValue); 5] = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        (headers, self.html.as_str()).into_response()
    }
}

/// The service as it runs.
pub(super) async fn page() -> Response {
    MAIN.response()
}

/// The API, browsable.
pub(super) async fn docs() -> Response {
    DOCS.response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_name_nobody_else_and_never_make_elements_of_text() {
        for page in [&*MAIN, &*DOCS] {
            assert!(page.html.contains("<title>") && page.html.ends_with("</html>\n"));
            for unsafe_way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
                assert!(!page.html.contains(unsafe_way), "{unsafe_way}");
            }
            for foreign in ["https://", "@import", "url(", "src=", " style=", " onclick="] {
                assert!(!page.html.contains(foreign), "{foreign}");
            }
            // `http://` stands only where the page names SVG, which nobody is asked for.
            let others = page.html.replace("http://www.w3.org/2000/svg", "");
            assert!(!others.contains("http://"), "{:?}", others.find("http://").map(|at| &others[at..at + 40]));
            let policy = page.policy.to_str().unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"),
                "{policy}"
            );
        }
    }
}
