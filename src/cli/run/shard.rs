//! The jobs of one shard of a job file.

use std::fs::File;
use std::sync::Arc;

use crate::job::{BadLine, JobFile, JobSpec, Shard, Sharding, Torn};
use crate::report::visible;

/// Which jobs of a job file are in a shard: a bit for each.
#[derive(Debug, Default)]
pub(in crate::cli) struct Members {
    bits: Vec<u64>,
    jobs: u64,
}

impl Members {
    /// Reads a job file for this.
    ///
    /// # Errors
    /// Where a job waits for jobs of two shards: what is wrong, and what to do.
    pub fn read(jobs: &mut JobFile<File>, shard: Shard) -> Result<Self, String> {
        let (mut members, mut sharding) = (Self::default(), Sharding::new(shard));
        for line in jobs {
            let (id, after) = match &line {
                Ok(spec) => (&spec.id, &*spec.terms.after),
                Err(bad) => (&bad.id, &[][..]),
            };
            let is_in = sharding.place(after).map_err(|Torn([(first, a), (second, b)])| {
                format!(
                    "`{}` waits for jobs of two shards (`after`): that in place {first} of the run is in shard {a}, that in \
                     place {second} in shard {b}: put it into a job file of its own, for a run after `tandem merge`",
                    visible(id)
                )
            })?;
            members.push(is_in);
        }
        Ok(members)
    }

    fn push(&mut self, is_in: bool) {
        if self.jobs.is_multiple_of(64) {
            self.bits.push(0);
        }
        if let Some(last) = self.bits.last_mut() {
            *last |= u64::from(is_in) << (self.jobs % 64);
        }
        self.jobs += 1;
    }

    fn has(&self, index: u64) -> bool {
        usize::try_from(index / 64)
            .ok()
            .and_then(|at| self.bits.get(at))
            .is_some_and(|bits| bits >> (index % 64) & 1 == 1)
    }
}

/// A job file of which only a shard is given.
pub(in crate::cli) struct Part {
    pub jobs: JobFile<File>,
    pub members: Arc<Members>,
}

impl Part {
    /// How many jobs it has.
    pub fn len(&self) -> u64 {
        self.members.bits.iter().map(|bits| u64::from(bits.count_ones())).sum()
    }

    /// The indices of its jobs, ascending.
    pub fn due(&self) -> Box<dyn Iterator<Item = u64> + Send> {
        let members = self.members.clone();
        Box::new((0..members.jobs).filter(move |index| members.has(*index)))
    }
}

impl Iterator for Part {
    type Item = Result<JobSpec, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        self.jobs.by_ref().find(|line| {
            self.members.has(match line {
                Ok(spec) => spec.index,
                Err(bad) => bad.index,
            })
        })
    }
}
