//! The program itself: what it prints, where, and how it ends.
#![cfg(feature = "cli")]

mod factor_and_fibonacci;
mod interruption;
mod job_files;
mod learned_memory;
#[cfg(all(feature = "links", feature = "image"))]
mod links_and_image;
mod machine;
mod many_jobs;
mod memory;
mod program;
mod run_results;
mod single_jobs;
mod variants;
mod workers;
