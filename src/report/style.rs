//! Colours, where they are wanted, and text that is safe to show.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether text carries colours. Who prints decides: on a terminal, unless `NO_COLOR` says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour.
    pub colour: bool,
}

impl Style {
    /// Without colours.
    pub const PLAIN: Self = Self { colour: false };

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// What is to be seen first.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What matters less.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What went wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// Text that came from outside, made safe for a terminal and for one line: control characters are escaped.
pub fn visible(text: &str) -> Cow<'_, str> {
    visible_but(text, |_| false)
}

/// The same for text of several lines.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    visible_but(text, |c| c == '\n')
}

fn visible_but(text: &str, allowed: impl Fn(char) -> bool) -> Cow<'_, str> {
    // Beside the controls, what reorders text on a screen.
    let hidden = |c: char| {
        (c.is_control() && !allowed(c))
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_there_only_where_it_is_wanted() {
        assert_eq!(Style::PLAIN.strong("x"), "x");
        assert_eq!(Style { colour: true }.bad("x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn controls_from_outside_cannot_reach_a_terminal() {
        assert_eq!(visible("a\u{1b}[2J\nb\u{202e}c\u{0}"), "a\\u{1b}[2J\\nb\\u{202e}c\\u{0}");
        assert_eq!(visible_lines("a\nb\r"), "a\nb\\r");
        assert!(matches!(visible("é `x` 日本"), Cow::Borrowed(_)));
    }
}
