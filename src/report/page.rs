//! A page: one HTML file that needs nothing else, with its styles inside, no script and no network.

use std::fmt::Write;

use crate::report::chart::{DataTable, Escaped, Figure, style_sheet};

const RULES: &str = "\
*{box-sizing:border-box}html{background:var(--bg);color:var(--ink)}\
body{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem;font:16px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}\
h1{font-size:1.7rem;line-height:1.2;margin:.2em 0}h2{font-size:1.25rem;margin:2.2em 0 .4em;border-bottom:1px solid var(--grid)}\
h3{font-size:1.05rem;margin:0}p{margin:.4em 0}.lead,figcaption p,.note{color:var(--soft)}\
figure{margin:1.4em 0 2em}.wide{overflow-x:auto}.chart{display:block;width:100%;min-width:34rem;height:auto;margin:.5em 0}\
details{margin:.3em 0}summary{cursor:pointer;color:var(--soft)}\
a:focus-visible,summary:focus-visible,.wide:focus-visible{outline:2px solid var(--s0);outline-offset:2px}\
table{border-collapse:collapse;font-size:.9rem;margin:.5em 0}caption{text-align:left;color:var(--soft);padding:.2em 0}\
th,td{text-align:left;padding:.2em .8em .2em 0;border-bottom:1px solid var(--grid);vertical-align:top;white-space:nowrap;\
font-variant-numeric:tabular-nums}th{font-weight:600}thead th{white-space:normal}tbody th{font-weight:400;white-space:normal;overflow-wrap:anywhere;\
min-width:4rem;max-width:24rem}tbody th.short{white-space:nowrap}td:last-child{white-space:normal;max-width:34rem}td.text{white-space:normal;overflow-wrap:anywhere}\
td.long{min-width:9rem}\
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:.6em 1.5em;margin:1em 0}\
dt{color:var(--soft);font-size:.85rem}dd{margin:0;font-size:1.1rem;overflow-wrap:anywhere}\
@media print{.wide{overflow:visible}.chart{min-width:0}table{font-size:.7rem}th,td,td.long,tbody th{white-space:normal;min-width:0;\
overflow-wrap:anywhere;padding-right:.5em}figure{break-inside:avoid}body{max-width:none}}";

/// A page as it grows.
#[derive(Clone, Debug)]
pub struct Page {
    text: String,
}

impl Page {
    /// A page with this title, and what it is about in a sentence.
    pub fn new(title: &str, lead: &str) -> Self {
        let (title, lead) = (Escaped(title), Escaped(lead));
        let text = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             img-src data:; base-uri 'none'; form-action 'none'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\n<style>{}{RULES}</style></head>\n\
             <body><main><header><h1>{title}</h1><p class=\"lead\">{lead}</p></header>\n",
            style_sheet()
        );
        Self { text }
    }

    /// Begins a section.
    pub fn section(&mut self, heading: &str) {
        let _ = writeln!(self.text, "<h2>{}</h2>", Escaped(heading));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.text, "<p>{}</p>", Escaped(text));
    }

    /// Names and their values, beside each other.
    pub fn facts<'a>(&mut self, facts: impl IntoIterator<Item = (&'a str, String)>) {
        self.text.push_str("<dl>");
        for (name, value) in facts {
            let _ = write!(self.text, "<div><dt>{}</dt><dd>{}</dd></div>", Escaped(name), Escaped(&value));
        }
        self.text.push_str("</dl>\n");
    }

    /// A table under its caption.
    pub fn table(&mut self, caption: &str, table: &DataTable) {
        let _ = writeln!(
            self.text,
            "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{}\">{}</div>",
            Escaped(caption),
            table.html(caption)
        );
    }

    /// A picture, with its data folded away beneath it.
    pub fn figure(&mut self, figure: &Figure) {
        self.text.push_str(&figure.html());
    }

    /// The whole file.
    pub fn finish(mut self) -> String {
        self.text.push_str("</main></body></html>\n");
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_asks_for_nothing_and_escapes_what_it_is_given() {
        let mut page = Page::new("<b>", "a & b");
        page.section("<i>");
        page.paragraph("\"x\"");
        page.facts([("<n>", "<v>".to_owned())]);
        let mut table = DataTable::new(["<h>"]);
        table.row(["<c>"]);
        page.table("<t>", &table);
        let text = page.finish();
        for hostile in ["<b>", "<i>", "<n>", "<v>", "<h>", "<c>", "<t>"] {
            assert!(!text.contains(hostile), "{hostile}");
        }
        for needed in ["lang=\"en\"", "name=\"color-scheme\"", "default-src 'none'", "name=\"viewport\""] {
            assert!(text.contains(needed), "{needed}");
        }
        assert!(
            !text.contains("<script") && !text.contains("src=") && !text.contains("@import") && !text.contains("url(")
        );
    }
}
