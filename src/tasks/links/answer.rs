//! What a job of links ends with.

use std::io::{self, Write};

use crate::kernels::Answer;

/// The links of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinksAnswer {
    url: String,
    links: Vec<String>,
}

impl LinksAnswer {
    pub(super) fn new(url: String, links: Vec<String>) -> Self {
        Self { url, links }
    }

    /// The page's own address: where redirects led; of a file its `base`, or else its `file:` URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Absolute URLs, each once, in the order in which they were first seen.
    pub fn links(&self) -> &[String] {
        &self.links
    }
}

impl Answer for LinksAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"url\":")?;
        serde_json::to_writer(&mut *out, &self.url)?;
        out.write_all(b",\"links\":[")?;
        for (index, link) in self.links.iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            serde_json::to_writer(&mut *out, link)?;
        }
        write!(out, "],\"count\":{}}}", self.links.len())
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.links.iter().try_for_each(|link| writeln!(out, "{link}"))
    }

    fn summary(&self) -> String {
        match self.links.len() {
            1 => "1 link".to_owned(),
            count => format!("{count} links"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_renders_as_json_text_and_summary() {
        let rendered = |links: &[&str]| {
            let answer = LinksAnswer::new("http://a/\"".into(), links.iter().map(|&link| link.into()).collect());
            let (mut json, mut text) = (Vec::new(), Vec::new());
            answer.write_json(&mut json).unwrap();
            answer.write_text(&mut text).unwrap();
            (String::from_utf8(json).unwrap(), String::from_utf8(text).unwrap(), answer.summary())
        };
        let (json, text, summary) = rendered(&["http://a/b", "mailto:x"]);
        assert_eq!(json, r#"{"url":"http://a/\"","links":["http://a/b","mailto:x"],"count":2}"#);
        assert_eq!((&*text, &*summary), ("http://a/b\nmailto:x\n", "2 links"));
        let (json, text, summary) = rendered(&[]);
        assert_eq!((&*json, &*text, &*summary), (r#"{"url":"http://a/\"","links":[],"count":0}"#, "", "0 links"));
        assert_eq!(rendered(&["a"]).2, "1 link");
    }
}
