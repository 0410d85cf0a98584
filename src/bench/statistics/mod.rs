//! What can be said of a few timings without knowing how they are distributed. Pure.

mod normal;
mod order;
mod rank_sum;
mod trend;

pub use order::{median, median_with_interval, outliers};
pub use rank_sum::{holm, slower_p};
pub use trend::trend;
