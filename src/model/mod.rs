//! What has been measured, and what it predicts. Predicting and learning are pure; only [`Store`] touches files.
//!
//! A [`Model`] keeps, for every kernel, variant, class of cost, device and number of lanes, how long a pass took against
//! its size, and for every device what it costs to open, to prepare and to feed. It is robust on purpose: medians over windows of recent runs, so
//! that one odd run changes little; fresh runs that contradict old ones push them out, so that a poisoned model heals.

mod curve;
mod forecast;
mod key;
mod memory;
mod places;
mod reopening;
mod store;
mod table;

pub use curve::Belief;
pub use forecast::Forecast;
pub(crate) use forecast::LONGEST_MS;
pub use key::{CostClass, Measured, ModelKey};
pub use memory::MemoryRow;
pub use store::{Location, Store, Warning};
pub(crate) use table::Alike;
pub use table::{Model, Row};
