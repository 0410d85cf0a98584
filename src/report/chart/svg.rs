//! SVG as text: numbers as short as they can be, and every text escaped.

use std::fmt::{self, Display, Write};

/// Text that may stand in an element or in an attribute in double quotes. Characters that XML has no room for are replaced.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\t' | '\n' | '\r' => f.write_char(' ')?,
                // What reorders text on a screen is shown as missing, as controls are.
                '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    f.write_char('\u{fffd}')?
                }
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A coordinate, to a hundredth.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub f64);

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 100.0).round() / 100.0;
        // Not `-0`, and nothing that SVG cannot read.
        if rounded == 0.0 || !rounded.is_finite() { f.write_char('0') } else { write!(f, "{rounded}") }
    }
}

/// How a text lies about its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The inside of a picture, as it grows.
#[derive(Clone, Debug, Default)]
pub(super) struct Svg(pub String);

impl Svg {
    /// What `write!` calls; unlike that of other writers it cannot fail.
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(text);
    }

    /// A rectangle; `tip` is shown where a pointer rests.
    pub fn rect(&mut self, class: &str, [x, y, width, height]: [f64; 4], tip: &str) {
        write!(
            self,
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}""#,
            At(x),
            At(y),
            At(width),
            At(height)
        );
        self.close("rect", tip);
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(At);
        write!(self, r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#);
    }

    /// A path along these points.
    pub fn polyline(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        write!(self, r#"<polyline class="{class}" points=""#);
        for (at, (x, y)) in points.into_iter().enumerate() {
            write!(self, "{}{},{}", if at > 0 { " " } else { "" }, At(x), At(y));
        }
        self.0.push_str("\"/>");
    }

    pub fn path(&mut self, class: &str, data: &str, tip: &str) {
        write!(self, r#"<path class="{class}" d="{data}""#);
        self.close("path", tip);
    }

    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        write!(self, r#"<text class="{class}" x="{}" y="{}"{anchor}>{}</text>"#, At(x), At(y), Escaped(text));
    }

    /// A text that is cut where it is longer than `wide`; the whole of it is shown where a pointer rests.
    pub fn text_within(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str, wide: f64) {
        let cut = cut_to(text, wide);
        if cut == text {
            return self.text(class, (x, y), anchor, text);
        }
        write!(self, "<g><title>{}</title>", Escaped(text));
        self.text(class, (x, y), anchor, &cut);
        self.0.push_str("</g>");
    }

    fn close(&mut self, name: &str, tip: &str) {
        if tip.is_empty() {
            self.0.push_str("/>");
        } else {
            write!(self, "><title>{}</title></{name}>", Escaped(tip));
        }
    }
}

/// So wide is a character of a label at most, on average; pictures do not know their font.
pub(super) const CHARACTER: f64 = 6.9;

/// How wide a text is drawn, about.
pub(super) fn wide(text: &str) -> f64 {
    // Ideographs and the like take two places.
    text.chars().map(|c| if c >= '\u{1100}' { 2.0 * CHARACTER } else { CHARACTER }).sum()
}

/// The text, cut to be drawn within so much.
pub(super) fn cut_to(text: &str, room: f64) -> String {
    if wide(text) <= room {
        return text.to_owned();
    }
    let mut left = room - CHARACTER;
    let mut cut = String::new();
    for c in text.chars() {
        left -= if c >= '\u{1100}' { 2.0 * CHARACTER } else { CHARACTER };
        if left < 0.0 {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_a_browser_is_escaped() {
        let hostile = "<script>alert(\"1\" & '2')</script>\u{0}\u{1b}\u{202e}\n";
        assert_eq!(
            Escaped(hostile).to_string(),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;\u{fffd}\u{fffd}\u{fffd} "
        );
    }

    #[test]
    fn coordinates_are_short_and_readable() {
        let shown = [1.0, 0.1 + 0.2, -0.001, 1e3 / 3.0, f64::NAN, f64::INFINITY].map(|x| At(x).to_string());
        assert_eq!(shown, ["1", "0.3", "0", "333.33", "0", "0"]);
    }

    #[test]
    fn long_texts_are_cut_and_keep_their_whole_in_a_tip() {
        let mut svg = Svg::default();
        svg.text_within("t", (0.0, 0.0), Anchor::End, "abcdefgh", 5.0 * CHARACTER);
        assert_eq!(
            svg.0,
            r#"<g><title>abcdefgh</title><text class="t" x="0" y="0" text-anchor="end">abcd…</text></g>"#
        );
        assert_eq!(cut_to("日本語", 5.0 * CHARACTER), "日本…");
        assert_eq!(cut_to("abc", 3.0 * CHARACTER), "abc");
    }
}
