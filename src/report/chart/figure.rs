//! A finished picture: for a page, with its data beneath it, or a file by itself.

use std::fmt::Write;

use super::colours::style_sheet;
use super::svg::{Anchor, At, Escaped, Svg};

/// The data of a picture, for who cannot see it or wants its figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataTable {
    /// The names of the columns.
    pub head: Vec<String>,
    /// As many cells as there are columns; the first says what the row is of.
    pub rows: Vec<Vec<String>>,
    /// What is to be known of it: what was summed up, what was left out. Empty where there is nothing.
    pub note: String,
}

/// Rows of a table in a page, so that a page of a large run stays small.
const ROWS_MAX: usize = 1000;

impl DataTable {
    /// A table with these columns and no rows.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table in HTML; of more than a thousand rows it says how many were left out.
    pub fn html(&self, caption: &str) -> String {
        let mut text = format!("<table><caption>{}</caption><thead><tr>", Escaped(caption));
        self.head.iter().for_each(|name| _ = write!(text, "<th scope=\"col\">{}</th>", Escaped(name)));
        text.push_str("</tr></thead><tbody>");
        for row in self.rows.iter().take(ROWS_MAX) {
            text.push_str("<tr>");
            for (at, cell) in row.iter().enumerate() {
                let _ = match at {
                    // A figure does not break.
                    0 if cell.len() <= 14 && cell.starts_with(|c: char| c.is_ascii_digit()) => {
                        write!(text, "<th scope=\"row\" class=\"short\">{}</th>", Escaped(cell))
                    }
                    0 => write!(text, "<th scope=\"row\">{}</th>", Escaped(cell)),
                    // What is a sentence is not to be squeezed into a column of words.
                    _ if cell.len() > 60 => write!(text, "<td class=\"text long\">{}</td>", Escaped(cell)),
                    // A figure and its unit stay together; words may break.
                    _ if cell.len() > 28 => write!(text, "<td class=\"text\">{}</td>", Escaped(cell)),
                    _ => write!(text, "<td>{}</td>", Escaped(cell)),
                };
            }
            text.push_str("</tr>");
        }
        text.push_str("</tbody></table>");
        let left_out = self.rows.len().saturating_sub(ROWS_MAX);
        let more = if left_out > 0 { format!(" {left_out} rows more were left out.") } else { String::new() };
        let note = format!("{}{more}", self.note);
        if !note.trim().is_empty() {
            let _ = write!(text, "<p class=\"note\">{}</p>", Escaped(note.trim()));
        }
        text
    }
}

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) inside: String,
    pub(super) data: DataTable,
}

/// Room above a picture that stands by itself, for its name.
const NAME_HEIGHT: f64 = 30.0;

impl Figure {
    /// What it shows, in a few words.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its data.
    pub fn data(&self) -> &DataTable {
        &self.data
    }

    /// The picture as an element of a page that has the [`style_sheet`].
    pub fn svg(&self) -> String {
        let Self { width, height, inside, .. } = self;
        format!("{}{}{inside}</svg>", self.open(*width, *height, ""), self.names())
    }

    /// The picture as a file: with its name above it and its own style sheet.
    pub fn svg_file(&self) -> String {
        let (width, height) = (self.width, self.height + NAME_HEIGHT);
        let mut name = Svg::default();
        name.text_within("name", (12.0, 21.0), Anchor::Start, &self.title, width - 24.0);
        let size = format!(r#" width="{}" height="{}""#, At(width), At(height));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}{}<style>{}</style>\
             <rect width=\"100%\" height=\"100%\" style=\"fill:var(--bg)\"/>{}\
             <g transform=\"translate(0 {NAME_HEIGHT})\">{}</g></svg>\n",
            self.open(width, height, &size),
            self.names(),
            style_sheet(),
            name.0,
            self.inside
        )
    }

    /// The picture in a page: under its name and description, with its data folded away beneath it.
    pub fn html(&self) -> String {
        let (title, description) = (Escaped(&self.title), Escaped(&self.description));
        format!(
            "<figure id=\"{id}\"><figcaption><h3>{title}</h3><p>{description}</p></figcaption>\n\
             <div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{title}\">{svg}</div>\n\
             <details><summary>Data: {title}</summary><div class=\"wide\" tabindex=\"0\" role=\"group\" \
             aria-label=\"Data: {title}\">{table}</div></details></figure>\n",
            id = self.id,
            svg = self.svg(),
            table = self.data.html(&self.title),
        )
    }

    fn open(&self, width: f64, height: f64, size: &str) -> String {
        let id = &self.id;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" viewBox=\"0 0 {} {}\"{size} \
             aria-labelledby=\"{id}-title {id}-desc\">",
            At(width),
            At(height)
        )
    }

    fn names(&self) -> String {
        let (id, title, description) = (&self.id, Escaped(&self.title), Escaped(&self.description));
        format!("<title id=\"{id}-title\">{title}</title><desc id=\"{id}-desc\">{description}</desc>")
    }
}

/// What every picture says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its name in the page, distinct there: letters, digits and hyphens.
    pub id: String,
    /// What it shows, in a few words.
    pub title: String,
    /// How it is read, in a sentence or two.
    pub description: String,
}

impl About {
    /// A picture's id, title and description.
    pub fn new(id: &str, title: impl Into<String>, description: impl Into<String>) -> Self {
        // An id that is not one would break its references.
        let id = id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        Self { id, title: title.into(), description: description.into() }
    }

    pub(super) fn figure(&self, [width, height]: [f64; 2], inside: Svg, data: DataTable) -> Figure {
        let Self { id, title, description } = self.clone();
        Figure { id, title, description, width, height, inside: inside.0, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_it_left_out() {
        let mut table = DataTable::new(["n", "time"]);
        (0..ROWS_MAX + 2).for_each(|n| table.row([n.to_string(), "<1 ms".to_owned()]));
        let html = table.html("a & b");
        assert!(html.starts_with("<table><caption>a &amp; b</caption><thead><tr><th scope=\"col\">n</th>"), "{html}");
        assert_eq!(html.matches("<td>&lt;1 ms</td>").count(), ROWS_MAX);
        assert!(html.ends_with("<p class=\"note\">2 rows more were left out.</p>"));
    }

    #[test]
    fn an_id_is_one_whatever_it_is_made_of() {
        assert_eq!(About::new("time: f32 \"x\"", "", "").id, "time--f32--x-");
    }
}
