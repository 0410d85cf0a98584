//! The program itself: what it prints, where, and how it ends.
#![cfg(feature = "cli")]

mod bench;
mod corr;
mod factor_and_fibonacci;
mod from_multiprocessing;
mod interruption;
mod job_files;
mod kills;
mod learned_memory;
#[cfg(all(feature = "links", feature = "image"))]
mod links_and_image;
mod machine;
mod machines;
mod many_jobs;
mod map_results;
mod matrix;
mod memory;
mod pictures;
mod program;
#[path = "../support/random.rs"]
mod random;
mod resume;
mod resume_edits;
mod run_results;
mod shards;
mod simulate;
mod single_jobs;
mod variants;
mod watching;
mod workers;
