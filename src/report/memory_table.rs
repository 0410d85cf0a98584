//! How much memory programs have held, as a table.

use crate::model::MemoryRow;
use crate::report::figures::{bytes, whole};
use crate::report::{Align, Style, Table, visible};

/// What was learned of the memory of programs; nothing where nothing was.
pub fn memory_text(rows: &[MemoryRow], style: Style) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[("program", Align::Left), ("memory", Align::Right), ("runs", Align::Right)]);
    for row in rows {
        table.row([visible(&row.name).into_owned(), bytes(row.bytes), whole(row.runs)]);
    }
    format!("\n{}", table.render("", style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_listed_with_the_memory_that_they_are_expected_to_hold() {
        assert_eq!(memory_text(&[], Style::PLAIN), "");
        let row = |name: &str, bytes, runs| MemoryRow { name: name.to_owned(), bytes, runs };
        let rows = [row("flac", 5 << 20, 1200), row("python3 predict.py", 3 << 30, 4)];
        assert_eq!(
            memory_text(&rows, Style::PLAIN),
            "
program               memory   runs
flac                5.00 MiB  1,200
python3 predict.py  3.00 GiB      4
"
        );
    }
}
