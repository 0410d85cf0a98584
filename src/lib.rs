//! Runs numeric jobs on CPU and GPU together: the same bytes on every device, and every placement explained.
//!
//! Begin with [`runner::Runner`]. A job is made of parameters ([`kernels::stats::StatsParams`],
//! [`kernels::primes::PrimesParams`]), of a line of a job file, or of a [`kernels::Kernel`] of one's own:
//!
//! ```
//! use tandem::kernels::primes::{NumbersAnswer, NumbersMode, PrimesParams};
//! use tandem::runner::{Job, Runner};
//!
//! let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
//! let numbers = vec![97, 91, 18_446_744_073_709_551_557];
//! let outcome = runner.submit(Job::from(PrimesParams::Numbers(numbers.into(), NumbersMode::Each))).wait();
//! assert_eq!(outcome.answer::<NumbersAnswer>()?.prime_count(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The modules are listed in reading order: from what is asked for, over what computes it, to what decides where.

// What was asked for: job files, parameters, errors.
pub mod job;

// Where numbers come from.
pub mod input;

// Arithmetic that rounds once.
pub mod exact;

// Random numbers from a seed.
mod random;

// What can be computed, exactly and in chunks.
pub mod kernels;

// What runs whole: irregular jobs.
pub mod tasks;

// What computes it.
pub mod device;

// What devices have been measured to do.
pub mod model;

// Where a job runs, and why.
pub mod plan;

// What makes it happen.
pub mod engine;

// The face of it all.
pub mod runner;

// Runs that are not run.
pub mod simulate;

// What a run did when.
pub mod timeline;

// Outcomes and plans as text.
pub mod report;

// Outcomes of a run, in the order of its jobs.
pub mod results;

// The durable record of a service.
#[cfg(feature = "service")]
pub mod journal;

// Jobs over HTTP.
#[cfg(feature = "service")]
pub mod service;

// CPU against GPU over sizes.
#[cfg(feature = "cli")]
pub mod bench;

// The command line.
#[cfg(feature = "cli")]
pub mod cli;

/// The example of the README is compiled and run with those of this documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
