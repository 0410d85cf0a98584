//! Readers: files, pipes and values in a job become [`Source`]s of typed numbers. One file a format.

mod source;

pub use source::{DType, Element, InMemory, Scratch, Source, Values};
