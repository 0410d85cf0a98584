//! A table: rows and columns of numbers of one type, however they lie in the input.

use std::ops::Range;
use std::sync::Arc;

use crate::input::{DType, Dataset, Element, InMemory, Scratch, Source, with_dtype};
use crate::job::{Cause, JobError};
use crate::kernels::corr::panels::{LANES, Panels, Word};

/// Rows and columns of numbers of one type.
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    rows: u64,
    dtype: DType,
    column_names: Vec<String>,
    place: Place,
}

/// Where the elements lie.
#[derive(Clone, Debug)]
enum Place {
    /// Row after row.
    Rows(Arc<dyn Source>),
    /// Each column in one run: its source, and the index of its first element there.
    Columns(Vec<(Arc<dyn Source>, u64)>),
}

impl Table {
    /// The table that an input holds: the columns of a CSV; a 2-d array, of which a row is one along the first axis; a 1-d array
    /// as one column. Columns without a name are called by their number, from 0, after the name of their variable where it has one:
    /// `t2m_0`.
    ///
    /// # Errors
    /// Where the array has another number of axes, or its columns differ in length or type.
    pub fn of(dataset: &Dataset) -> Result<Self, JobError> {
        let Some(first) = dataset.columns.first() else {
            return Err(JobError::bad_input("the input has no column of numbers"));
        };
        let (source, dtype) = (&first.source, first.source.dtype());
        let name = source.name().to_owned();
        if let Some(shape) = &dataset.shape {
            let (rows, columns) = match shape.axes.as_slice() {
                [rows] => (*rows, 1),
                [rows, columns] => (*rows, *columns),
                axes => {
                    let axes_text = axes.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
                    return Err(JobError::bad_input(format!(
                        "{name}: is an array of {} axes ({axes_text}): corr takes one of two, rows and columns; reshape it first",
                        axes.len()
                    )));
                }
            };
            let place = if shape.fortran_order || columns == 1 {
                Place::Columns((0..columns).map(|column| (Arc::clone(source), column * rows)).collect())
            } else {
                Place::Rows(Arc::clone(source))
            };
            let column_names = match &first.name {
                None => (0..columns).map(|column| column.to_string()).collect(),
                Some(variable) if shape.axes.len() == 1 => vec![variable.clone()],
                Some(variable) => (0..columns).map(|column| format!("{variable}_{column}")).collect(),
            };
            return Ok(Self { name, rows, dtype, column_names, place });
        }
        let rows = source.len();
        let mut column_names = Vec::with_capacity(dataset.columns.len());
        let mut places = Vec::with_capacity(dataset.columns.len());
        for (number, column) in dataset.columns.iter().enumerate() {
            if column.source.len() != rows || column.source.dtype() != dtype {
                return Err(JobError::bad_input(format!("{name}: its columns differ in length or type")));
            }
            column_names.push(column.name.clone().unwrap_or_else(|| number.to_string()));
            places.push((Arc::clone(&column.source), 0));
        }
        Ok(Self { name, rows, dtype, column_names, place: Place::Columns(places) })
    }

    /// A table of values in memory, row after row.
    ///
    /// # Errors
    /// Where there is no column, or the values are not whole rows.
    pub fn of_rows<T: Element>(values: Vec<T>, columns: usize) -> Result<Self, JobError> {
        if columns == 0 || !values.len().is_multiple_of(columns) {
            return Err(JobError::bad_input(format!("{} values are no rows of {columns} columns", values.len())));
        }
        Ok(Self {
            name: "values".to_owned(),
            rows: (values.len() / columns) as u64,
            dtype: T::DTYPE,
            column_names: (0..columns).map(|column| column.to_string()).collect(),
            place: Place::Rows(Arc::new(InMemory::new("values", values))),
        })
    }

    /// What to call it in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// What its columns are called.
    pub fn column_names(&self) -> &[String] {
        &self.column_names
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.column_names.len()
    }

    /// Whether what was read so far was really there.
    ///
    /// # Errors
    /// Those of [`Source::check`].
    pub fn check(&self) -> Result<(), JobError> {
        match &self.place {
            Place::Rows(source) => source.check(),
            Place::Columns(columns) => {
                let mut checked: Option<&Arc<dyn Source>> = None;
                for (source, _) in columns {
                    if checked.is_none_or(|other| !Arc::ptr_eq(other, source)) {
                        source.check()?;
                        checked = Some(source);
                    }
                }
                Ok(())
            }
        }
    }

    /// Lays the rows `rows` out in `panels`, from panel `first_panel` on, each element as its [`Word`].
    pub(super) fn load(
        &self,
        rows: Range<u64>,
        panels: &mut Panels,
        first_panel: usize,
        scratch: &mut Scratch,
    ) -> Result<(), JobError> {
        with_dtype!(self.dtype, T => self.load_as::<T>(rows, panels, first_panel, scratch))
    }

    fn load_as<T: Element + Word>(
        &self,
        rows: Range<u64>,
        panels: &mut Panels,
        first_panel: usize,
        scratch: &mut Scratch,
    ) -> Result<(), JobError> {
        let count = (rows.end - rows.start) as usize;
        match &self.place {
            Place::Rows(source) => {
                let width = self.columns();
                let values = source.read(rows.start * width as u64..rows.end * width as u64, scratch)?;
                let block = elements::<T>(&**source, &values, count * width)?;
                for (row, cells) in block.chunks_exact(width).enumerate() {
                    for (panel, cells) in cells.chunks(LANES).enumerate() {
                        let target = panels.row_mut(first_panel + panel, row);
                        if let Ok(whole) = <&[T; LANES]>::try_from(cells) {
                            *target = whole.map(Word::word);
                        } else {
                            target.iter_mut().zip(cells).for_each(|(word, cell)| *word = cell.word());
                        }
                    }
                }
            }
            Place::Columns(columns) => {
                for (column, (source, first)) in columns.iter().enumerate() {
                    let values = source.read(first + rows.start..first + rows.end, scratch)?;
                    let block = elements::<T>(&**source, &values, count)?;
                    let target = panels.panel_mut(first_panel + column / LANES);
                    for (row, cell) in target.iter_mut().zip(block) {
                        row.0[column % LANES] = cell.word();
                    }
                }
            }
        }
        Ok(())
    }
}

/// The elements that a reader gave, where they are those that were asked for.
fn elements<'a, T: Element>(
    source: &dyn Source,
    values: &crate::input::Values<'a>,
    count: usize,
) -> Result<&'a [T], JobError> {
    T::unwrap(values).filter(|block| block.len() == count).ok_or_else(|| {
        JobError::new(
            Cause::Io,
            format!(
                "{}: asked for {count} elements of {}, its reader gave {} of {}",
                source.name(),
                T::DTYPE,
                values.len(),
                values.dtype()
            ),
        )
    })
}
