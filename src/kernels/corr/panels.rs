//! A block of rows as the products want it: in panels of eight columns, and in each the rows one after the other.

use bytemuck::Zeroable;

/// Columns of a panel: the lanes of a register of AVX-512.
pub(super) const LANES: usize = 8;

/// Rows of a block: its panels stay in a core's second cache, and sums over it in 64 bits.
pub(super) const BLOCK_ROWS: usize = 256;

/// A row of a panel, aligned as a register is.
#[derive(Clone, Copy, Debug, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub [u64; LANES]);

/// How many panels a number of columns takes.
pub(super) fn panels_of(columns: usize) -> usize {
    columns.div_ceil(LANES)
}

/// Panels of one block. Lanes past the last column hold zeros.
#[derive(Debug)]
pub(super) struct Panels {
    rows: usize,
    words: Vec<Lanes>,
}

/// From one panel to the next in rows: one more than a block has, so that one row of all panels does not lie in one set of the
/// cache.
const STRIDE: usize = BLOCK_ROWS + 1;

impl Panels {
    /// So many panels of zeros.
    pub fn new(panels: usize) -> Self {
        Self { rows: 0, words: vec![Lanes::zeroed(); panels * STRIDE] }
    }

    /// Says how many rows of each panel count, from now on.
    pub fn set_rows(&mut self, rows: usize) {
        assert!(rows <= BLOCK_ROWS, "a block has {BLOCK_ROWS} rows at most");
        self.rows = rows;
    }

    /// The rows of a panel that count.
    pub fn panel(&self, panel: usize) -> &[Lanes] {
        &self.words[panel * STRIDE..][..self.rows]
    }

    /// See [`Panels::panel`].
    pub fn panel_mut(&mut self, panel: usize) -> &mut [Lanes] {
        &mut self.words[panel * STRIDE..][..self.rows]
    }

    /// One row of a panel.
    #[inline(always)]
    pub fn row_mut(&mut self, panel: usize, row: usize) -> &mut [u64; LANES] {
        &mut self.words[panel * STRIDE + row].0
    }

    /// How many panels there are.
    pub fn len(&self) -> usize {
        self.words.len() / STRIDE
    }
}

/// An element as a word that loses nothing: integers of 64 bits as keys that order as they do, all else as the bits of an `f64`.
pub(super) trait Word: Copy {
    /// That word.
    fn word(self) -> u64;
}

macro_rules! word_of_f64 {
    ($($type:ty),*) => {$(
        impl Word for $type {
            #[inline(always)]
            fn word(self) -> u64 {
                f64::from(self).to_bits()
            }
        }
    )*};
}
word_of_f64!(f32, f64, i8, i16, i32, u8, u16, u32);

impl Word for i64 {
    #[inline(always)]
    fn word(self) -> u64 {
        self as u64 ^ 1 << 63
    }
}

impl Word for u64 {
    #[inline(always)]
    fn word(self) -> u64 {
        self
    }
}

/// What the words of a type are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// The bits of `f64`.
    Float,
    /// Keys.
    Integer,
}

impl Domain {
    /// That of a type of elements.
    pub fn of(dtype: crate::input::DType) -> Self {
        match dtype {
            crate::input::DType::I64 | crate::input::DType::U64 => Self::Integer,
            _ => Self::Float,
        }
    }
}
