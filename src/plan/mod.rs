//! Where a job runs, and why: a pure function of the job's work, the models, the devices' states and the policy. No
//! clock, no environment, no logging.

mod types;

pub use types::{Candidate, Choice, Crossover, Part, Plan, Prediction};
