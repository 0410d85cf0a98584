//! `corr`: columns of many kinds, at the edges of blocks and panels. Of few rows, and of short numbers, the coefficients are the
//! exact ones rounded, as an oracle has them; what else there is has to agree, and lies within the bound by the kernel's own tests.

mod oracle;

use std::sync::Arc;

use tandem::input::{Dataset, Element, InMemory, NamedColumn, Shape};
use tandem::kernels::corr::{CorrKernel, Table};

use crate::random::Random;
use crate::sweep::{Case, Expected, Sweep};
use oracle::Exact;

/// An element type with numbers to try.
pub trait Cell: Element + Exact {
    /// Any number of its type, hostile ones among them; never an infinity.
    fn any(random: &mut Random) -> Self;
    /// A whole number from 0 to 100.
    fn small(number: u8) -> Self;
    /// What is no number, where there is such a thing.
    const MISSING: Option<Self>;
}

macro_rules! cells {
    ($($type:ty, $missing:expr, $any:expr;)*) => {$(
        impl Cell for $type {
            fn any(random: &mut Random) -> Self {
                #[allow(clippy::redundant_closure_call)]
                ($any)(random)
            }
            fn small(number: u8) -> Self {
                number.into()
            }
            const MISSING: Option<Self> = $missing;
        }
    )*};
}
cells! {
    f32, Some(f32::NAN), |random: &mut Random| loop {
        let value = f32::from_bits(random.next() as u32);
        if value.is_finite() {
            break value;
        }
    };
    f64, Some(f64::NAN), |random: &mut Random| loop {
        let value = f64::from_bits(random.next());
        if value.is_finite() {
            break value;
        }
    };
    i32, None, |random: &mut Random| random.next() as i32;
    i64, None, |random: &mut Random| random.next() as i64;
    u32, None, |random: &mut Random| random.next() as u32;
    u64, None, |random: &mut Random| random.next();
}

/// A table of one kind: every column is one of few numbers, of any, constant, or like the one before it.
fn values<T: Cell>(random: &mut Random, rows: usize, width: usize, short: bool) -> Vec<T> {
    let kinds: Vec<u64> = (0..width).map(|_| random.below(if short { 4 } else { 7 })).collect();
    let mut values: Vec<T> = Vec::with_capacity(rows * width);
    for _ in 0..rows {
        for kind in &kinds {
            let before = values.last().copied();
            values.push(match (kind, before) {
                (0, _) => T::small(7),
                (1, _) => T::small(random.below(2) as u8),
                (2, Some(before)) => before,
                (4.., _) => T::any(random),
                _ => T::small(random.below(100) as u8),
            });
        }
    }
    if let Some(missing) = T::MISSING.filter(|_| random.below(2) == 0) {
        for _ in 0..rows / 10 {
            let at = random.below(values.len() as u64) as usize;
            values[at] = missing;
        }
    }
    values
}

/// What the answer is to say.
fn json<T: Cell>(values: &[T], width: usize) -> String {
    let (rows, matrix) = oracle::matrix(values, width);
    let names: Vec<String> = (0..width).map(|column| format!("\"{column}\"")).collect();
    let constant: Vec<&str> =
        (0..width).filter(|column| matrix[*column][*column].is_nan()).map(|column| names[column].as_str()).collect();
    let mut text = format!(
        "{{\"columns\":[{}],\"rows\":{rows},\"rows_left_out\":{}",
        names.join(","),
        values.len() / width - rows
    );
    if !constant.is_empty() {
        text += &format!(",\"constant_columns\":[{}]", constant.join(","));
    }
    let number =
        |value: &f64| if value.is_nan() { "\"NaN\"".to_owned() } else { serde_json::to_string(value).unwrap() };
    let row = |row: &Vec<f64>| format!("[{}]", row.iter().map(number).collect::<Vec<_>>().join(","));
    text + &format!(",\"matrix\":[{}]}}", matrix.iter().map(row).collect::<Vec<_>>().join(","))
}

/// The same table as a file in Fortran order has it, or one of columns.
fn by_columns<T: Cell>(values: &[T], width: usize, as_array: bool) -> Table {
    let rows = values.len() / width;
    let column = |column: usize| values.iter().skip(column).step_by(width).copied();
    let dataset = if as_array {
        let source = Arc::new(InMemory::new("array", (0..width).flat_map(column).collect::<Vec<T>>()));
        let shape = Shape { axes: vec![rows as u64, width as u64], fortran_order: true, dimensions: None };
        Dataset {
            columns: vec![NamedColumn { name: None, source }],
            shape: Some(shape),
            left_out: Vec::new(),
            window: None,
        }
    } else {
        let column = |number: usize| NamedColumn {
            name: None,
            source: Arc::new(InMemory::new("column", column(number).collect::<Vec<T>>())),
        };
        Dataset { columns: (0..width).map(column).collect(), shape: None, left_out: Vec::new(), window: None }
    };
    Table::of(&dataset).expect("a table")
}

/// The cases of one element type.
pub fn cases<T: Cell>(sweep: &mut Sweep) {
    // Edges of a panel, of a block of either side, of a part of a GPU's chunk.
    for (number, rows) in [0, 1, 2, 3, 15, 16, 17, 255, 256, 257, 600, 1023].into_iter().enumerate() {
        let mut random = sweep.random();
        let width = [1, 2, 7, 8, 9, 17][number % 6];
        let values = values::<T>(&mut random, rows, width, rows > 300);
        let expected = Expected::Result(json(&values, width));
        let table = match number % 3 {
            0 => by_columns(&values, width, true),
            1 => by_columns(&values, width, false),
            _ => Table::of_rows(values, width).expect("rows"),
        };
        let kernel = Arc::new(CorrKernel::new(table, None).expect("a job"));
        sweep.case(&Case { name: format!("{rows} x {width}"), kernel, expected });
    }
    // Short numbers, which are exact where the elements have few bits.
    let mut random = sweep.random();
    let few = values::<T>(&mut random, 4500, 5, true);
    let expected = Expected::Result(json(&few, 5));
    let kernel = Arc::new(CorrKernel::new(Table::of_rows(few, 5).expect("rows"), None).expect("a job"));
    sweep.case(&Case { name: "4500 x 5 of few bits".into(), kernel, expected });
    // Any numbers: some pairs are done once more with long ones.
    let any = values::<T>(&mut random, 9000, 11, false);
    let kernel = Arc::new(CorrKernel::new(Table::of_rows(any, 11).expect("rows"), None).expect("a job"));
    sweep.case(&Case { name: "9000 x 11 of any".into(), kernel, expected: Expected::Agreement });
    let (a, b) = (values::<T>(&mut random, 4200, 9, false), values::<f64>(&mut random, 4200, 3, false));
    let with = Some(Table::of_rows(b, 3).expect("rows"));
    let kernel = Arc::new(CorrKernel::new(Table::of_rows(a, 9).expect("rows"), with).expect("a job"));
    sweep.case(&Case { name: "9 columns with 3 of f64".into(), kernel, expected: Expected::Agreement });
}
