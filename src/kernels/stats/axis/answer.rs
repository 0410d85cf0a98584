//! The answer: an array of each statistic.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::input::DType;
use crate::kernels::Answer;
use crate::kernels::stats::answer::{text_of_f64, write_json_scalar};
use crate::kernels::stats::axis::cell::Cell;
use crate::kernels::stats::{Layout, Scalar};

/// The statistics along some axes of an array: of each cell of the array that the other axes make.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisAnswer {
    /// The type of the elements.
    pub dtype: DType,
    /// The numbers of the axes that the statistics go along, ascending.
    pub axes: Vec<usize>,
    /// The lengths of the axes that are left.
    pub shape: Vec<u64>,
    /// The names of the dimensions that are left, where the input has names.
    pub dimensions: Option<Vec<String>>,
    /// How many elements a cell is about.
    pub elements: u64,
    /// What variance and standard deviation subtract from the count.
    pub ddof: u32,
    /// The file that the arrays were written to.
    pub written_to: Option<PathBuf>,
    /// Whether the first of the axes that are left runs fastest.
    pub(super) fortran_order: bool,
    pub(super) cells: Cells,
}

/// A statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Statistic {
    Count,
    NanCount,
    Min,
    Max,
    Sum,
    Mean,
    Variance,
    Std,
}

impl Statistic {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 8] =
        [Self::Count, Self::NanCount, Self::Min, Self::Max, Self::Sum, Self::Mean, Self::Variance, Self::Std];

    /// Its name, as in `nan_count`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::NanCount => "nan_count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Variance => "variance",
            Self::Std => "std",
        }
    }
}

/// The statistics of all cells, in the order of storage.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    /// Disjoint and, once all are there, ascending and without a gap.
    pieces: Vec<Piece>,
}

/// The statistics of neighbouring cells.
#[derive(Clone, Debug)]
struct Piece {
    first: u64,
    count: Vec<u64>,
    nan_count: Vec<u64>,
    min_key: Vec<u64>,
    max_key: Vec<u64>,
    sum: Vec<f64>,
    /// Of integers alone.
    whole_sum: Vec<i128>,
    mean: Vec<f64>,
    variance: Vec<f64>,
    std: Vec<f64>,
}

/// Bytes that a cell takes here, at most.
pub(super) const CELL_BYTES: usize = 8 * 8 + 16;

impl Cells {
    /// Those of these cells, the first of which has this number.
    pub(super) fn of(first: u64, cells: Vec<Cell>, layout: &Layout, ddof: u32) -> Self {
        if cells.is_empty() {
            return Self::default();
        }
        let len = cells.len();
        let mut piece = Piece {
            first,
            count: Vec::with_capacity(len),
            nan_count: Vec::with_capacity(len),
            min_key: Vec::with_capacity(len),
            max_key: Vec::with_capacity(len),
            sum: Vec::with_capacity(len),
            whole_sum: Vec::with_capacity(if layout.float { 0 } else { len }),
            mean: Vec::with_capacity(len),
            variance: Vec::with_capacity(len),
            std: Vec::with_capacity(len),
        };
        let mut of_count = None;
        for cell in cells {
            piece.count.push(cell.count);
            piece.nan_count.push(cell.nan_count);
            piece.min_key.push(cell.min_key);
            piece.max_key.push(cell.max_key);
            let finished = cell.finish(layout, ddof, &mut of_count);
            piece.sum.push(finished.sum);
            if !layout.float {
                piece.whole_sum.push(finished.whole_sum);
            }
            piece.mean.push(finished.mean);
            piece.variance.push(finished.variance);
            piece.std.push(finished.std);
        }
        Self { pieces: vec![piece] }
    }

    /// Takes in those of other cells.
    pub(super) fn merge(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
    }

    /// Brings them into their order.
    pub(super) fn sort(&mut self) {
        self.pieces.sort_unstable_by_key(|piece| piece.first);
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.count.len() as u64).sum()
    }

    fn all<'a, T: Copy + 'a>(&'a self, of: impl Fn(&'a Piece) -> &'a [T] + 'a) -> impl Iterator<Item = T> + 'a {
        self.pieces.iter().flat_map(move |piece| of(piece).iter().copied())
    }

    fn place(&self, index: u64) -> (&Piece, usize) {
        let piece = &self.pieces[self.pieces.partition_point(|piece| piece.first <= index) - 1];
        (piece, (index - piece.first) as usize)
    }
}

/// As they are told, since pieces may lie otherwise and floats may be NaN.
impl PartialEq for Cells {
    fn eq(&self, other: &Self) -> bool {
        let bits = |of: fn(&Piece) -> &[f64]| {
            let bits = |cells: &Self| cells.all(of).map(f64::to_bits).collect::<Vec<_>>();
            bits(self) == bits(other)
        };
        self.all(|piece| &piece.count).eq(other.all(|piece| &piece.count))
            && self.all(|piece| &piece.nan_count).eq(other.all(|piece| &piece.nan_count))
            && self.all(|piece| &piece.min_key).eq(other.all(|piece| &piece.min_key))
            && self.all(|piece| &piece.max_key).eq(other.all(|piece| &piece.max_key))
            && self.all(|piece| &piece.whole_sum).eq(other.all(|piece| &piece.whole_sum))
            && bits(|piece| &piece.sum)
            && bits(|piece| &piece.mean)
            && bits(|piece| &piece.variance)
            && bits(|piece| &piece.std)
    }
}

impl AxisAnswer {
    /// How many cells there are.
    pub fn cells(&self) -> u64 {
        self.cells.len()
    }

    /// The type of a statistic's array: counts are `i64`; extremes of the type of the elements, or of `f64` where some cell of
    /// integers has no value; sums of integers `i64` or `u64`, or `f64` where one does not fit; all others `f64`.
    pub fn dtype_of(&self, statistic: Statistic) -> DType {
        let is_float = matches!(self.dtype, DType::F32 | DType::F64);
        match statistic {
            Statistic::Count | Statistic::NanCount => DType::I64,
            Statistic::Min | Statistic::Max if is_float => self.dtype,
            Statistic::Min | Statistic::Max => {
                if self.cells.all(|piece| &piece.count).any(|count| count == 0) {
                    DType::F64
                } else {
                    self.dtype
                }
            }
            Statistic::Sum if !is_float => {
                let mut sums = self.cells.all(|piece| &piece.whole_sum);
                match self.dtype {
                    DType::U32 | DType::U64 if sums.all(|sum| u64::try_from(sum).is_ok()) => DType::U64,
                    DType::I32 | DType::I64 if sums.all(|sum| i64::try_from(sum).is_ok()) => DType::I64,
                    _ => DType::F64,
                }
            }
            _ => DType::F64,
        }
    }

    /// A statistic of the cell at this index, one number for each axis that is left; as exact as it is known. What has no value is
    /// NaN.
    ///
    /// # Panics
    /// Where there is no such cell.
    pub fn at(&self, statistic: Statistic, index: &[u64]) -> Scalar {
        assert_eq!(index.len(), self.shape.len(), "an index for each axis");
        assert!(index.iter().zip(&self.shape).all(|(index, len)| index < len), "{index:?} in {:?}", self.shape);
        let fold = |at: u64, (index, len): (&u64, &u64)| at * len + index;
        let axes = index.iter().zip(&self.shape);
        let at = if self.fortran_order { axes.rev().fold(0, fold) } else { axes.fold(0, fold) };
        self.in_storage(statistic, at)
    }

    /// A statistic of the cell of this number in the order of storage.
    pub(super) fn in_storage(&self, statistic: Statistic, at: u64) -> Scalar {
        let (piece, at) = self.cells.place(at);
        let element = |keys: &[u64]| match Scalar::from_key(self.dtype, keys[at]) {
            Some(scalar) if piece.count[at] > 0 => scalar,
            _ => Scalar::F64(f64::NAN),
        };
        match statistic {
            Statistic::Count => Scalar::Integer(piece.count[at].into()),
            Statistic::NanCount => Scalar::Integer(piece.nan_count[at].into()),
            Statistic::Min => element(&piece.min_key),
            Statistic::Max => element(&piece.max_key),
            Statistic::Sum => {
                piece.whole_sum.get(at).map_or(Scalar::F64(piece.sum[at]), |whole| Scalar::Integer(*whole))
            }
            Statistic::Mean => Scalar::F64(piece.mean[at]),
            Statistic::Variance => Scalar::F64(piece.variance[at]),
            Statistic::Std => Scalar::F64(piece.std[at]),
        }
    }

    /// A statistic as nested lists, in C order.
    fn write_lists(&self, statistic: Statistic, index: &mut Vec<u64>, out: &mut dyn Write) -> io::Result<()> {
        let Some(len) = self.shape.get(index.len()) else {
            let value = self.at(statistic, index);
            let is_element = matches!(statistic, Statistic::Min | Statistic::Max | Statistic::Sum);
            return match value {
                Scalar::Integer(integer) if is_element => write!(out, "\"{integer}\""),
                value => write_json_scalar(out, Some(value)),
            };
        };
        out.write_all(b"[")?;
        for step in 0..*len {
            if step > 0 {
                out.write_all(b",")?;
            }
            index.push(step);
            self.write_lists(statistic, index, out)?;
            index.pop();
        }
        out.write_all(b"]")
    }

    fn shape_text(&self) -> String {
        match (self.shape.as_slice(), &self.dimensions) {
            ([], _) => "one cell".to_owned(),
            (shape, Some(names)) => {
                names.iter().zip(shape).map(|(name, len)| format!("{name} {len}")).collect::<Vec<_>>().join(" × ")
            }
            (shape, None) => format!(
                "{}{} cells",
                shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" × "),
                if shape.len() > 1 { format!(" = {}", self.cells()) } else { String::new() }
            ),
        }
    }

    fn heading(&self) -> String {
        let plural = if self.axes.len() == 1 { "axis" } else { "axes" };
        let axes = self.axes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        format!("{}, each of {} elements along {plural} {axes}", self.shape_text(), self.elements)
    }
}

impl Answer for AxisAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"axes\":")?;
        serde_json::to_writer(&mut *out, &self.axes)?;
        out.write_all(b",\"shape\":")?;
        serde_json::to_writer(&mut *out, &self.shape)?;
        if let Some(dimensions) = &self.dimensions {
            out.write_all(b",\"dimensions\":")?;
            serde_json::to_writer(&mut *out, dimensions)?;
        }
        write!(out, ",\"elements\":{},\"ddof\":{}", self.elements, self.ddof)?;
        if let Some(path) = &self.written_to {
            out.write_all(b",\"arrays\":{")?;
            for (number, statistic) in Statistic::ALL.into_iter().enumerate() {
                let comma = if number == 0 { "" } else { "," };
                write!(out, "{comma}\"{}\":\"{}\"", statistic.name(), self.dtype_of(statistic))?;
            }
            out.write_all(b"},\"output\":")?;
            serde_json::to_writer(&mut *out, &path.to_string_lossy())?;
        } else {
            for statistic in Statistic::ALL {
                write!(out, ",\"{}\":", statistic.name())?;
                self.write_lists(statistic, &mut Vec::new(), out)?;
            }
        }
        out.write_all(b"}")
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.heading())?;
        match &self.written_to {
            Some(path) => {
                let names = Statistic::ALL.map(Statistic::name).join(", ");
                writeln!(out, "{names} written to {}", path.display())
            }
            None => self.write_table(out),
        }
    }

    fn summary(&self) -> String {
        self.heading()
    }
}

/// Cells that a table shows at most.
const SHOWN: u64 = 24;

impl AxisAnswer {
    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let shown = self.cells().min(SHOWN);
        let mut rows = vec![vec!["cell".to_owned()]];
        rows[0].extend(Statistic::ALL.map(|statistic| statistic.name().to_owned()));
        for cell in 0..shown {
            let mut rest = cell;
            let mut index = vec![0; self.shape.len()];
            for (index, len) in index.iter_mut().zip(&self.shape).rev() {
                *index = rest % len;
                rest /= len;
            }
            let mut row = vec![index.iter().map(u64::to_string).collect::<Vec<_>>().join(",")];
            row.extend(Statistic::ALL.map(|statistic| match self.at(statistic, &index) {
                Scalar::Integer(integer) => integer.to_string(),
                float => in_short(float.to_f64()),
            }));
            rows.push(row);
        }
        let widths: Vec<usize> =
            (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
            writeln!(out, "{}", cells.join("  "))?;
        }
        if shown < self.cells() {
            writeln!(out, "shown: {shown} of {} cells; all of them with --output FILE.npz or --json", self.cells())?;
        }
        Ok(())
    }
}

/// A number in at most seven digits.
fn in_short(float: f64) -> String {
    text_of_f64(format!("{float:.6e}").parse().unwrap_or(float))
}
