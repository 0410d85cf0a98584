//! Aligned columns.

use crate::report::Style;

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Figures.
    Right,
}

/// A table: a head and rows, as wide as what is in them.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head and no rows.
    pub fn new<S: AsRef<str>>(head: &[(S, Align)]) -> Self {
        Self { head: head.iter().map(|(name, align)| (name.as_ref().to_owned(), *align)).collect(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table as text, each line begun with `indent` and ended.
    pub fn render(&self, indent: &str, style: Style) -> String {
        let widths: Vec<usize> = self
            .head
            .iter()
            .enumerate()
            .map(|(i, (name, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(i)).map(|cell| width(cell));
                cells.max().unwrap_or(0).max(width(name))
            })
            .collect();
        let aligns: Vec<Align> = self.head.iter().map(|(_, align)| *align).collect();
        let head: Vec<&str> = self.head.iter().map(|(name, _)| name.as_str()).collect();
        let mut text = format!("{indent}{}\n", style.faint(&line(&head, &widths, &aligns)));
        for row in &self.rows {
            let row: Vec<&str> = row.iter().map(String::as_str).collect();
            text.push_str(indent);
            text.push_str(&line(&row, &widths, &aligns));
            text.push('\n');
        }
        text
    }
}

/// One line of cells, padded to these widths, two spaces between them and none at the end.
pub fn line(cells: &[&str], widths: &[usize], aligns: &[Align]) -> String {
    let mut text = String::new();
    for ((cell, &wide), align) in cells.iter().zip(widths).zip(aligns) {
        let padding = " ".repeat(wide.saturating_sub(width(cell)));
        if !text.is_empty() {
            text.push_str("  ");
        }
        match align {
            Align::Left => text.extend([cell, padding.as_str()]),
            Align::Right => text.extend([padding.as_str(), cell]),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// How many characters are seen: those of colours are not.
fn width(text: &str) -> usize {
    let mut count = 0;
    let mut escape = false;
    for c in text.chars() {
        match (escape, c) {
            (false, '\u{1b}') => escape = true,
            (false, _) => count += 1,
            (true, 'm') => escape = false,
            (true, _) => {}
        }
    }
    count
}

/// The text, cut to this many characters where it is longer; a cut shows as `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_and_lines_end_clean() {
        let mut table = Table::new(&[("job", Align::Left), ("took", Align::Right), ("note", Align::Left)]);
        table.row(["a", "1.00 s", ""]);
        table.row(["longer", "12 ms", "why"]);
        table.row(["é"]);
        assert_eq!(
            table.render("  ", Style::PLAIN),
            "  job       took  note\n  a       1.00 s\n  longer   12 ms  why\n  é\n"
        );
    }

    #[test]
    fn colours_take_no_width() {
        let mut table = Table::new(&[("a", Align::Left), ("b", Align::Left)]);
        table.row([Style { colour: true }.bad("xx"), "y".to_owned()]);
        assert!(table.render("", Style::PLAIN).ends_with("\u{1b}[31mxx\u{1b}[0m  y\n"));
    }

    #[test]
    fn a_cut_is_shown() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("ééé", 2), "é…");
    }
}
