//! Pages made up for benchmarks.

use std::fmt::Write;

use crate::job::Sample;
use crate::tasks::links::{LinksParams, Page};

/// A page in memory of about `sample.units` bytes: paragraphs with a link each, every fourth of which stood before.
pub(super) fn sample(sample: &Sample) -> LinksParams {
    let units = usize::try_from(sample.units).unwrap_or(usize::MAX).min(super::MAX_PAGE_BYTES as usize);
    let mut html = String::with_capacity(units + 256);
    html.push_str("<!DOCTYPE html><html><head><title>A sample</title><base href=\"/base/\"></head><body>\n");
    let mut number = sample.seed % 1_000_000;
    while html.len() < units {
        number += 1;
        let page = if number.is_multiple_of(4) { number / 4 } else { number };
        // Writing to a string does not fail.
        let _ = writeln!(
            html,
            "<p class=\"entry\">Paragraph {number} &amp; its <a href=\"../page/{page}.html?a=1&amp;b={page}#top\">link</a>.</p>"
        );
    }
    let url = "https://example.org/".parse().expect("a URL");
    LinksParams::new(Page::Html { html: html.into_bytes().into(), url })
}
