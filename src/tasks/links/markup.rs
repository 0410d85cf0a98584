//! The start tags of a page, as a browser finds them: what stands in comments, scripts, style sheets and the like is none.
//!
//! The tokenizer is the HTML Standard's; what a tree builder would tell it (after which tags follows raw text, and that
//! SVG and MathML know no such tags) is told here, without a tree, so that time and memory are linear in the page.

use html5gum::{StartTag, State, StringReader, Token, Tokenizer};

/// Deeper than this, elements of SVG and MathML are no longer followed.
const MAX_DEPTH: usize = 64;

/// The tokens of a page, one at a time.
pub(super) struct Markup<'a> {
    tokenizer: Tokenizer<StringReader<'a>>,
    foreign: Foreign,
}

/// One step through a page.
pub(super) enum Piece {
    /// A start tag.
    Tag(StartTag<()>),
    /// Anything else.
    Other,
}

impl<'a> Markup<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { tokenizer: Tokenizer::new(text), foreign: Foreign::default() }
    }
}

impl Iterator for Markup<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let Ok(token) = self.tokenizer.next()?;
        Some(match token {
            Token::StartTag(tag) => {
                let is_html = self.foreign.start(&tag.name, tag.self_closing);
                if let Some(state) = raw_text(&tag.name).filter(|_| is_html) {
                    self.tokenizer.set_state(state);
                }
                Piece::Tag(tag)
            }
            Token::EndTag(tag) => {
                self.foreign.end(&tag.name);
                Piece::Other
            }
            _ => Piece::Other,
        })
    }
}

/// How the text inside an element is read, where not as markup. Links in `noscript` are there for people without scripts,
/// as this reader is one.
fn raw_text(name: &[u8]) -> Option<State> {
    match name {
        b"title" | b"textarea" => Some(State::RcData),
        b"style" | b"xmp" | b"iframe" | b"noembed" | b"noframes" => Some(State::RawText),
        b"script" => Some(State::ScriptData),
        b"plaintext" => Some(State::PlainText),
        _ => None,
    }
}

/// Whether a place of the page lies in SVG or MathML, by the elements around it that matter.
#[derive(Default)]
struct Foreign {
    open: Vec<Open>,
}

struct Open {
    name: Box<[u8]>,
    /// Whether HTML is inside it again.
    html_inside: bool,
}

impl Foreign {
    fn is_foreign(&self) -> bool {
        self.open.last().is_some_and(|open| !open.html_inside)
    }

    /// Takes a start tag; tells whether its element is one of HTML.
    fn start(&mut self, name: &[u8], self_closing: bool) -> bool {
        if self.is_foreign() && BREAKOUT.contains(&name) {
            // An element that only HTML has ends whatever SVG or MathML was left open.
            let html = self.open.iter().rposition(|open| open.html_inside).map_or(0, |at| at + 1);
            self.open.truncate(html);
        }
        let is_root = matches!(name, b"svg" | b"math");
        let is_foreign = is_root || self.is_foreign();
        let html_inside = !is_root && HTML_INSIDE.contains(&name);
        if is_foreign && (is_root || html_inside) && !self_closing && self.open.len() < MAX_DEPTH {
            self.open.push(Open { name: name.into(), html_inside });
        }
        !is_foreign
    }

    fn end(&mut self, name: &[u8]) {
        if let Some(at) = self.open.iter().rposition(|open| *open.name == *name) {
            self.open.truncate(at);
        }
    }
}

/// Elements of SVG and MathML with HTML in them (the HTML Standard's integration points).
const HTML_INSIDE: &[&[u8]] =
    &[b"foreignobject", b"desc", b"title", b"mi", b"mo", b"mn", b"ms", b"mtext", b"annotation-xml"];

/// Elements that never are SVG or MathML (the HTML Standard, "any other start tag" in foreign content; `font` aside, whose
/// attributes would decide).
const BREAKOUT: &[&[u8]] = &[
    b"b",
    b"big",
    b"blockquote",
    b"body",
    b"br",
    b"center",
    b"code",
    b"dd",
    b"div",
    b"dl",
    b"dt",
    b"em",
    b"embed",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"head",
    b"hr",
    b"i",
    b"img",
    b"li",
    b"listing",
    b"menu",
    b"meta",
    b"nobr",
    b"ol",
    b"p",
    b"pre",
    b"ruby",
    b"s",
    b"small",
    b"span",
    b"strong",
    b"strike",
    b"sub",
    b"sup",
    b"table",
    b"tt",
    b"u",
    b"ul",
    b"var",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The `href`s of the `a` elements that a page has.
    #[track_caller]
    fn found(html: &str, expected: &[&str]) {
        let hrefs: Vec<String> = Markup::new(html)
            .filter_map(|piece| match piece {
                Piece::Tag(tag) if *tag.name == b"a" => tag.attributes.get(&b"href"[..]).cloned(),
                _ => None,
            })
            .map(|href| String::from_utf8(href.to_vec()).unwrap())
            .collect();
        assert_eq!(hrefs, expected, "{html}");
    }

    #[test]
    fn tags_in_comments_scripts_and_texts_are_none() {
        found("<!-- <a href=1> --><a href=2>", &["2"]);
        found("<script>'<a href=1>'; '<\\/script>'</script><a href=2>", &["2"]);
        found("<script><!-- <script> <a href=1> </script> <a href=2> --></script><a href=3>", &["3"]);
        found("<style><a href=1></style><title><a href=2></title><textarea><a href=3></textarea><a href=4>", &["4"]);
        found("<iframe><a href=1></iframe><noscript><a href=2></noscript><xmp></p><a href=3></xmp>", &["2"]);
        found("<plaintext></plaintext><a href=1>", &[]);
        found("<script><a href=1>", &[]);
    }

    #[test]
    fn attributes_are_read_in_every_notation() {
        found(
            "<A HREF='a&amp;b'><a\nhref = c&copy=d ><a href=\"&#x65;\" href=f><a/href=g/>",
            &["a&b", "c&copy=d", "e", "g/"],
        );
        found("<a title='>' href=1><a href><a href=''><a name=x>", &["1", "", ""]);
    }

    #[test]
    fn inside_svg_and_mathml_no_tag_makes_raw_text() {
        found("<svg><title/><style/><script/><a href=1></a></svg><a href=2>", &["1", "2"]);
        found("<svg><foreignObject><script><a href=1></script></foreignObject><style/><a href=2></svg>", &["2"]);
        found("<svg/><script><a href=1></script><a href=2>", &["2"]);
        found("<svg><g><div><script><a href=1></script></div><a href=2>", &["2"]);
        found("<math><mi><style><a href=1></style></mi><style/><a href=2></math>", &["2"]);
        found("</svg></a><svg></math><title/></svg><a href=2>", &["2"]);
    }

    #[test]
    fn nesting_without_end_takes_linear_time() {
        for piece in ["<svg>", "<div>", "<svg><desc>", "<a href=x b", "</svg>", "<!--", "<![CDATA["] {
            assert!(Markup::new(&piece.repeat(100_000)).count() <= 1_000_000, "{piece}");
        }
    }
}
