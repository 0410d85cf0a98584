//! Planner, dispatch and model together, in virtual time, over null devices of any speed.

mod choices;
mod faults;
mod files;
mod fused;
mod learning;
mod machine;
mod stream;
#[path = "../support/mod.rs"]
mod support;
