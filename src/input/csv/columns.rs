//! The columns of a CSV file: their names, and which of them are meant.

use std::collections::HashMap;

use super::records::Records;
use crate::input::ColumnRef;
use crate::input::excerpt::excerpt;
use crate::job::JobError;

/// The columns of a file.
pub(super) struct Table<'n> {
    name: &'n str,
    width: usize,
    /// Their names, where the file gives them.
    header: Option<Vec<String>>,
}

impl<'n> Table<'n> {
    /// The columns of the file whose first record is the current one of `records`.
    pub(super) fn new(name: &'n str, records: &Records<'_>, has_header: bool) -> Self {
        let width = records.len();
        let cell_name = |column| String::from_utf8_lossy(&records.text(column)).trim().to_owned();
        let header = has_header.then(|| (0..width).map(cell_name).collect());
        Self { name, width, header }
    }

    /// What a column is called: its name, or its number where it has none.
    pub(super) fn column_name(&self, column: usize) -> String {
        match &self.header {
            Some(names) if !names[column].is_empty() => names[column].clone(),
            _ => column.to_string(),
        }
    }

    /// What all its columns are called.
    pub(super) fn column_names(&self) -> Vec<String> {
        (0..self.width).map(|column| self.column_name(column)).collect()
    }

    /// The numbers of the columns that are meant, in the order asked for.
    pub(super) fn resolve(&self, columns: &[ColumnRef]) -> Result<Vec<usize>, JobError> {
        if columns.is_empty() {
            return Err(self.fault("option `column` names no column: name one, or leave it out".to_owned()));
        }
        let mut by_name: HashMap<&str, (usize, Option<usize>)> = HashMap::new();
        for (column, name) in self.header.iter().flatten().enumerate() {
            by_name.entry(name).and_modify(|(_, second)| *second = second.or(Some(column))).or_insert((column, None));
        }
        columns
            .iter()
            .map(|asked| match asked {
                ColumnRef::Index(index) => self.by_number(*index, asked),
                ColumnRef::Name(name) => match by_name.get(name.trim()) {
                    Some((first, None)) => Ok(*first),
                    Some((first, Some(second))) => Err(self.fault(format!(
                        "columns {first} and {second} are both called `{}`: name one by its number",
                        excerpt(name.as_bytes())
                    ))),
                    None => match name.parse() {
                        Ok(index) if name.bytes().all(|byte| byte.is_ascii_digit()) => self.by_number(index, asked),
                        _ => Err(self.unknown(asked)),
                    },
                },
            })
            .collect()
    }

    fn by_number(&self, index: usize, asked: &ColumnRef) -> Result<usize, JobError> {
        if index < self.width { Ok(index) } else { Err(self.unknown(asked)) }
    }

    fn unknown(&self, asked: &ColumnRef) -> JobError {
        const SHOWN_MAX: usize = 20;
        let last = self.width - 1;
        let asked = match asked {
            ColumnRef::Name(name) => format!("`{}`", excerpt(name.as_bytes())),
            ColumnRef::Index(index) => index.to_string(),
        };
        let Some(header) = &self.header else {
            return self.fault(format!("no column {asked}: it has no header, and its columns are 0 to {last}"));
        };
        let names = header.iter().take(SHOWN_MAX).map(|name| format!("`{}`", excerpt(name.as_bytes())));
        let names = names.collect::<Vec<_>>().join(", ");
        let more = if self.width > SHOWN_MAX { ", …" } else { "" };
        self.fault(format!("no column {asked}: its columns are {names}{more}, or 0 to {last}"))
    }

    fn fault(&self, what: String) -> JobError {
        JobError::bad_input(format!("{}: {what}", self.name))
    }
}
