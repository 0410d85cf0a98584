//! The answer of `corr`: typed for library users, JSON for programs, a table for people.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::input::LeftOut;
use crate::kernels::Answer;
use crate::kernels::corr::output::Matrix;

/// The coefficients of columns with each other, or with those of another table.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrAnswer {
    /// What the columns are called; a row of the matrix each.
    pub columns: Vec<String>,
    /// What those of the other table are called; a column of the matrix each. `None` where there is no other table.
    pub with_columns: Option<Vec<String>>,
    /// The rows that count: those without a NaN.
    pub rows: u64,
    /// The rows with a NaN.
    pub rows_left_out: u64,
    /// Columns all of whose values are equal: their coefficients are NaN.
    pub constant_columns: Vec<String>,
    /// Columns with an infinity: their coefficients are NaN.
    pub infinite_columns: Vec<String>,
    /// Columns of the input that are not of numbers.
    pub left_out: Vec<LeftOut>,
    /// The coefficients.
    pub matrix: Matrix,
    /// The file that the matrix was written to; it is then not in the JSON or the text.
    pub written_to: Option<PathBuf>,
}

/// Rows and columns of a table for people at most.
const SHOWN_ROWS: usize = 40;
const SHOWN_COLUMNS: usize = 10;
/// Characters of a name there at most.
const NAME_CHARS: usize = 16;

impl Answer for CorrAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"columns\":")?;
        serde_json::to_writer(&mut *out, &self.columns)?;
        if let Some(columns) = &self.with_columns {
            out.write_all(b",\"with_columns\":")?;
            serde_json::to_writer(&mut *out, columns)?;
        }
        write!(out, ",\"rows\":{},\"rows_left_out\":{}", self.rows, self.rows_left_out)?;
        for (field, names) in
            [("constant_columns", &self.constant_columns), ("infinite_columns", &self.infinite_columns)]
        {
            if !names.is_empty() {
                write!(out, ",\"{field}\":")?;
                serde_json::to_writer(&mut *out, names)?;
            }
        }
        if !self.left_out.is_empty() {
            let left_out: Vec<_> = self
                .left_out
                .iter()
                .map(|LeftOut { name, line, cell }| serde_json::json!({"name": name, "line": line, "cell": cell}))
                .collect();
            out.write_all(b",\"left_out\":")?;
            serde_json::to_writer(&mut *out, &left_out)?;
        }
        if let Some(path) = &self.written_to {
            out.write_all(b",\"output\":")?;
            serde_json::to_writer(&mut *out, &path.to_string_lossy())?;
            return out.write_all(b"}");
        }
        out.write_all(b",\"matrix\":[")?;
        let mut buffer = ryu::Buffer::new();
        for row in 0..self.matrix.height() {
            out.write_all(if row == 0 { b"[" } else { b",[" })?;
            for (column, value) in self.matrix.row(row).iter().enumerate() {
                if column > 0 {
                    out.write_all(b",")?;
                }
                let text = if value.is_finite() { buffer.format_finite(*value) } else { "\"NaN\"" };
                out.write_all(text.as_bytes())?;
            }
            out.write_all(b"]")?;
        }
        out.write_all(b"]}")
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let plural = |count: u64| if count == 1 { "row" } else { "rows" };
        write!(out, "{} {}", self.rows, plural(self.rows))?;
        if self.rows_left_out > 0 {
            write!(out, ", and {} left out for a NaN", self.rows_left_out)?;
        }
        writeln!(out)?;
        for LeftOut { name, line, cell } in &self.left_out {
            let (name, cell) = (name.escape_debug(), cell.escape_debug());
            writeln!(out, "left out: {name}, since line {line} has `{cell}`, no number")?;
        }
        match &self.written_to {
            Some(path) => writeln!(
                out,
                "{} x {} coefficients written to {}",
                self.matrix.height(),
                self.matrix.width(),
                path.display()
            ),
            None => self.write_table(out),
        }
    }

    fn write_notes(&self, out: &mut dyn Write) -> io::Result<()> {
        for (names, what) in [(&self.constant_columns, "constant"), (&self.infinite_columns, "not finite everywhere")] {
            match names.as_slice() {
                [] => {}
                [name] => writeln!(out, "warning: column {} is {what}: its coefficients are NaN", name.escape_debug())?,
                [name, ..] => {
                    let (count, name) = (names.len(), name.escape_debug());
                    writeln!(out, "warning: {count} columns are {what}, {name} the first: their coefficients are NaN")?;
                }
            }
        }
        Ok(())
    }

    fn summary(&self) -> String {
        format!("{} x {} coefficients, {} rows", self.matrix.height(), self.matrix.width(), self.rows)
    }
}

impl CorrAnswer {
    /// The coefficients to four places, as many as fit a screen.
    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let heads = self.with_columns.as_ref().unwrap_or(&self.columns);
        let (rows, columns) = (self.columns.len().min(SHOWN_ROWS), heads.len().min(SHOWN_COLUMNS));
        let heads: Vec<String> = heads[..columns].iter().map(|name| shortened(name)).collect();
        let names: Vec<String> = self.columns[..rows].iter().map(|name| shortened(name)).collect();
        let widths: Vec<usize> = heads.iter().map(|name| name.chars().count().max(7)).collect();
        let left = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        write!(out, "{:left$}", "")?;
        for (head, width) in heads.iter().zip(&widths) {
            write!(out, "  {head:>width$}")?;
        }
        writeln!(out)?;
        for (row, name) in names.iter().enumerate() {
            write!(out, "{name:left$}")?;
            for (value, width) in self.matrix.row(row).iter().zip(&widths) {
                write!(out, "  {value:>width$.4}")?;
            }
            writeln!(out)?;
        }
        let (more_rows, more_columns) = (self.matrix.height() - rows, self.matrix.width() - columns);
        if more_rows + more_columns > 0 {
            writeln!(
                out,
                "shown: {rows} of {} rows, {columns} of {} columns; all of them with --json or --output",
                self.matrix.height(),
                self.matrix.width()
            )?;
        }
        Ok(())
    }
}

/// A name in few characters, without what would upset a terminal.
fn shortened(name: &str) -> String {
    let name = name.escape_debug().to_string();
    match name.char_indices().nth(NAME_CHARS) {
        Some(_) => name.chars().take(NAME_CHARS - 1).chain(['…']).collect(),
        None => name,
    }
}
