//! What jobs end with that were folded as one.

use std::io::{self, Write};
use std::sync::Arc;

use crate::kernels::Answer;

/// The answers of jobs that were [fused](crate::kernels::Kernel::fuse), in their order. The engine takes it apart: each job's outcome has
/// its own.
#[derive(Clone, Debug)]
pub struct Answers(pub Vec<Arc<dyn Answer>>);

impl Answer for Answers {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        for (at, answer) in self.0.iter().enumerate() {
            out.write_all(if at == 0 { b"[" } else { b"," })?;
            answer.write_json(out)?;
        }
        out.write_all(if self.0.is_empty() { b"[]" } else { b"]" })
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.iter().try_for_each(|answer| answer.write_text(out))
    }

    fn summary(&self) -> String {
        let summaries: Vec<String> = self.0.iter().map(|answer| answer.summary()).collect();
        summaries.join("; ")
    }
}
