//! Comma-separated values: the columns of numbers in them, as `f64`.
//!
//! A column is decoded as its rows stream by, in one pass and in bounded memory, also while it is not yet known whether it
//! is one of numbers: one that turns out not to be is dropped.

mod blocks;
mod columns;
mod records;

use std::io::Read;
use std::sync::Arc;

use crate::input::bytes::MEMORY_LIMIT_BYTES;
use crate::input::decimal::number;
use crate::input::excerpt::excerpt;
use crate::input::spool::Spool;
use crate::input::window::Window;
use crate::input::{ColumnRef, DType, Dataset, Header, InputSpec, LeftOut, NamedColumn};
use crate::job::JobError;

use blocks::{BLOCK_BYTES, Decoded, Decoders, Rules, Wrong, decode};
use columns::Table;
use records::Records;

/// Reads the columns that `spec` asks for; gives them with how many bytes they take.
///
/// A cell is a number as Rust's `f64` parses it (`1`, `-2.5e3`, `nan`, `inf`), spaces around it ignored; or it is missing
/// (empty, or one of the words in `spec.na`) and a NaN. Blank lines are skipped.
///
/// Rows are decoded on up to `threads` threads, but for those around a quote; what comes of it is the same on any number.
pub(crate) fn read(
    name: &str,
    stream: &mut dyn Read,
    spec: &InputSpec,
    threads: usize,
) -> Result<(Dataset, u64), JobError> {
    let at_once = AtOnce { threads, block_bytes: BLOCK_BYTES };
    read_within(name, stream, spec, MEMORY_LIMIT_BYTES, at_once)
}

/// How rows are decoded at once.
#[derive(Clone, Copy)]
struct AtOnce {
    threads: usize,
    block_bytes: usize,
}

fn read_within(
    name: &str,
    stream: &mut dyn Read,
    spec: &InputSpec,
    limit_bytes: usize,
    at_once: AtOnce,
) -> Result<(Dataset, u64), JobError> {
    let mut window = Window::new(name, stream);
    window.skip_byte_order_mark()?;
    let mut records = Records::new(name, window);
    if !records.advance()? {
        return Err(JobError::bad_input(format!("{name}: has no row: a CSV file with numbers was expected")));
    }
    let first_line = records.line();
    let width = records.len();
    let missing = Missing { words: &spec.na };
    let has_header = match spec.header {
        Header::Yes => true,
        Header::No => false,
        Header::Auto => names_columns(name, &records, missing, spec.columns.as_deref())?,
    };
    if has_header && (0..width).any(|column| records.text(column).contains(&0)) {
        return Err(JobError::bad_input(format!(
            "{name}: line {first_line} has a zero byte in it: is it text at all?"
        )));
    }
    let table = Table::new(name, &records, has_header);
    let chosen = spec.columns.as_deref().map(|columns| table.resolve(columns)).transpose()?;

    let mut decoder = Decoder {
        name,
        table: &table,
        missing,
        is_automatic: chosen.is_none(),
        active: match &chosen {
            Some(chosen) => {
                let mut distinct = chosen.clone();
                distinct.sort_unstable();
                distinct.dedup();
                distinct
            }
            None => (0..width).collect(),
        },
        dropped: Vec::new(),
        spool: Spool::new(name, width, limit_bytes),
    };
    let is_row = !has_header || records.advance()?;
    if !is_row && spec.header == Header::Auto && decoder.is_automatic {
        return Err(JobError::bad_input(format!(
            "{name}: line {first_line} is all that it has, `{}`, and holds no number: is it the right file? Option `header` with `yes` takes it for a \
             table of no rows",
            excerpt(table.column_names().join(",").as_bytes())
        )));
    }
    if is_row {
        decoder.rows(&mut records, Shape { first_line, width }, at_once)?;
    }
    let kept = decoder.kept()?;
    let left_out = decoder.left_out();
    let (sources, decoded_bytes) = decoder.spool.finish(DType::F64)?;
    let columns = chosen
        .unwrap_or(kept)
        .into_iter()
        .map(|column| NamedColumn { name: Some(table.column_name(column)), source: Arc::clone(&sources[column]) });
    Ok((Dataset { columns: columns.collect(), shape: None, left_out, window: None }, decoded_bytes))
}

/// Whether the first record names the columns: not where every cell is a number or missing, and surely where none is a number.
/// In between, a name that was asked for tells.
fn names_columns(
    name: &str,
    records: &Records<'_>,
    missing: Missing<'_>,
    asked: Option<&[ColumnRef]>,
) -> Result<bool, JobError> {
    let cells = || (0..records.len()).map(|column| records.text(column));
    let Some(word) = cells().find(|cell| missing.value(cell).is_none()) else { return Ok(false) };
    let Some(number) = cells().find(|cell| missing.value(cell).is_some_and(|value| !value.is_nan())) else {
        return Ok(true);
    };
    let is_asked = |cell: &[u8]| {
        asked.into_iter().flatten().any(|column| match column {
            ColumnRef::Name(name) => name.trim().as_bytes() == cell.trim_ascii(),
            ColumnRef::Index(_) => false,
        })
    };
    if cells().any(|cell| missing.value(&cell).is_none() && is_asked(&cell)) {
        return Ok(true);
    }
    Err(JobError::bad_input(format!(
        "{name}: line {} has `{}`, a word, and `{}`, a number, so that one cannot tell whether it names the columns: say so with \
         option `header`, `yes` or `no`, or name the word as a missing value with option `na`",
        records.line(),
        excerpt(word.trim_ascii()),
        excerpt(number.trim_ascii()),
    )))
}

/// What all rows are like: the first, on this line, has so many cells.
#[derive(Clone, Copy)]
struct Shape {
    first_line: u64,
    width: usize,
}

impl Shape {
    fn ragged(self, name: &str, line: u64, found: usize) -> JobError {
        let Self { first_line, width } = self;
        JobError::bad_input(format!(
            "{name}: line {line} has {}, but line {first_line} has {}: give every row as many cells (a cell with a comma \
             in it needs quotes)",
            cells(found),
            cells(width),
        ))
    }
}

fn cells(count: usize) -> String {
    if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") }
}

/// What stands for a missing value, besides the empty cell.
#[derive(Clone, Copy)]
struct Missing<'s> {
    words: &'s [String],
}

impl Missing<'_> {
    /// The number in a cell, a missing one being NaN; `None` where it is no number.
    #[inline]
    fn value(self, cell: &[u8]) -> Option<f64> {
        let cell = cell.trim_ascii();
        if cell.is_empty() || self.words.iter().any(|word| word.trim().as_bytes() == cell) {
            return Some(f64::NAN);
        }
        number(cell)
    }
}

/// A column that was dropped since a cell of it is no number.
struct Dropped {
    column: usize,
    line: u64,
    cell: String,
}

/// Decodes row after row.
struct Decoder<'t> {
    name: &'t str,
    table: &'t Table<'t>,
    missing: Missing<'t>,
    /// Whether a column that is not one of numbers is dropped, rather than an error.
    is_automatic: bool,
    /// The columns that are decoded.
    active: Vec<usize>,
    dropped: Vec<Dropped>,
    spool: Spool<'t>,
}

impl Decoder<'_> {
    /// Decodes all rows from the current one on.
    fn rows(&mut self, records: &mut Records<'_>, shape: Shape, at_once: AtOnce) -> Result<(), JobError> {
        let AtOnce { threads, block_bytes } = at_once;
        let rules = Rules { missing: self.missing, width: shape.width, is_automatic: self.is_automatic };
        std::thread::scope(|scope| {
            let mut decoders: Option<Decoders> = None;
            let mut active: Arc<[usize]> = self.active.as_slice().into();
            // What was decoded row by row since blocks were last tried: a small file needs no threads, and around a quote a block
            // will not do.
            let mut here_bytes = 0;
            loop {
                if records.len() != shape.width {
                    return Err(shape.ragged(self.name, records.line(), records.len()));
                }
                self.row(records)?;
                here_bytes += records.bytes();
                if here_bytes >= block_bytes {
                    here_bytes = 0;
                    while let Some(rows) = records.rows(block_bytes)? {
                        let bytes = rows.len();
                        if threads == 1 {
                            let block = decode(rows, &self.active, rules);
                            records.take_rows(bytes);
                            self.block(block, records, shape)?;
                            continue;
                        }
                        let rows = rows.to_vec();
                        records.take_rows(bytes);
                        let decoders = decoders.get_or_insert_with(|| blocks::start(scope, threads, rules));
                        if !decoders.has_room()
                            && let Some(block) = decoders.take()
                        {
                            self.block(block, records, shape)?;
                        }
                        if active.len() != self.active.len() {
                            active = self.active.as_slice().into();
                        }
                        decoders.send((rows, Arc::clone(&active)));
                    }
                    while let Some(block) = decoders.as_mut().and_then(Decoders::take) {
                        self.block(block, records, shape)?;
                    }
                }
                if !records.advance()? {
                    return Ok(());
                }
            }
        })
    }

    /// Takes what came of a block, whose first line is the current one.
    fn block(&mut self, block: Decoded, records: &mut Records<'_>, shape: Shape) -> Result<(), JobError> {
        for (column, values) in &block.columns {
            if self.active.binary_search(column).is_ok() {
                self.spool.extend(*column, values);
            }
        }
        for (column, line, cell) in block.dropped {
            if let Ok(at) = self.active.binary_search(&column) {
                self.active.remove(at);
                self.spool.clear(column);
                let line = records.line() + line;
                self.dropped.push(Dropped { column, line, cell: excerpt(cell.trim_ascii()) });
            }
        }
        if let Some((line, wrong)) = block.wrong {
            records.passed(line);
            return Err(match wrong {
                Wrong::Unreadable { lines, what } => records.fault_after(lines, what),
                Wrong::Ragged(found) => shape.ragged(self.name, records.line(), found),
                Wrong::NotNumber { column, cell } => self.not_a_number(records.line(), column, &cell),
            });
        }
        records.passed(block.lines);
        self.spool.settle()
    }

    fn not_a_number(&self, line: u64, column: usize, cell: &[u8]) -> JobError {
        JobError::bad_input(format!(
            "{}: line {line}, column `{}`: `{}` is not a number: mend it, or name it as a missing value with option `na`",
            self.name,
            excerpt(self.table.column_name(column).as_bytes()),
            excerpt(cell.trim_ascii()),
        ))
    }

    fn row(&mut self, records: &Records<'_>) -> Result<(), JobError> {
        let dropped_before = self.dropped.len();
        for &column in &self.active {
            let cell = records.text(column);
            match self.missing.value(&cell) {
                Some(value) => self.spool.push(column, value.to_bits()),
                None if self.is_automatic => {
                    self.dropped.push(Dropped { column, line: records.line(), cell: excerpt(cell.trim_ascii()) });
                }
                None => return Err(self.not_a_number(records.line(), column, &cell)),
            }
        }
        if self.dropped.len() > dropped_before {
            let dropped = &self.dropped[dropped_before..];
            self.active.retain(|column| dropped.binary_search_by_key(column, |dropped| dropped.column).is_err());
            dropped.iter().for_each(|dropped| self.spool.clear(dropped.column));
        }
        self.spool.settle()
    }

    /// The columns that were dropped, in their order.
    fn left_out(&mut self) -> Vec<LeftOut> {
        self.dropped.sort_unstable_by_key(|dropped| dropped.column);
        let left_out = self.dropped.drain(..).map(|Dropped { column, line, cell }| {
            let name = self.table.column_name(column);
            LeftOut { name, line, cell }
        });
        left_out.collect()
    }

    /// The columns that were decoded to the end.
    fn kept(&mut self) -> Result<Vec<usize>, JobError> {
        if !self.active.is_empty() {
            return Ok(std::mem::take(&mut self.active));
        }
        const SHOWN_MAX: usize = 4;
        let shown = self.dropped.iter().take(SHOWN_MAX).map(|dropped| {
            let column = self.table.column_name(dropped.column);
            format!("`{}` has `{}` on line {}", excerpt(column.as_bytes()), dropped.cell, dropped.line)
        });
        let mut shown = shown.collect::<Vec<_>>().join(", ");
        if self.dropped.len() > SHOWN_MAX {
            shown += &format!(", and {} more", self.dropped.len() - SHOWN_MAX);
        }
        // One column with other separators in it is a table that is written otherwise.
        let separator = match self.dropped.as_slice() {
            [only] => {
                [(';', "semicolons"), ('\t', "tabs")].into_iter().find(|(separator, _)| only.cell.contains(*separator))
            }
            _ => None,
        };
        let remedy = match separator {
            Some((_, name)) => format!("its cells seem to be separated by {name}: write it with commas"),
            None => "name words that stand for missing values with option `na`".to_owned(),
        };
        Err(JobError::bad_input(format!("{}: no column has numbers alone: {shown}: {remedy}", self.name)))
    }
}

#[cfg(test)]
mod tests;
