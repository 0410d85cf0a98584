//! What is timed: made-up jobs, run again and again.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::bench::fresh::Fresh;
use crate::bench::{Place, Run};
use crate::job::{BindContext, Bound, JobError, JobParams, Kind, Sample};
use crate::kernels::{Answer, DynKernel, Work};
use crate::runner::{Job, JobHandle, Runner};

/// How large a made-up irregular job is: of a page in bytes, of a picture in pixels, of a term its index.
const TASK_UNITS: u64 = 1 << 16;

/// The bytes of an answer, hashed.
pub(super) type AnswerHash = [u8; 32];

/// What is timed.
pub(super) trait Subject {
    /// Runs it once; gives the hash of its answers where they are asked for, which takes time that is not counted.
    ///
    /// # Errors
    /// Where a job fails.
    fn run(&mut self, runner: &Runner, place: Place, hashed: bool) -> anyhow::Result<(Run, Option<AnswerHash>)>;

    /// Its size in units.
    fn units(&self) -> u64;
}

/// A kernel over made-up data.
pub(super) struct KernelSubject {
    kind: &'static Kind,
    kernel: Shared<dyn DynKernel>,
    work: Work,
}

/// Something that is bound as often as a job is run, so that its data is made up once.
struct Shared<T: ?Sized>(Arc<T>);

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a sample")
    }
}

impl JobParams for Shared<dyn DynKernel> {
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Kernel(self.0.clone()))
    }
}

impl JobParams for Shared<dyn JobParams> {
    fn in_memory(&self) -> bool {
        self.0.in_memory()
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        self.0.bind(context)
    }
}

impl KernelSubject {
    /// A job of this kind and variant with about `units` units.
    ///
    /// # Errors
    /// Where it cannot be made: for want of memory, for example.
    pub fn new(kind: &'static Kind, variant: &'static str, units: u64) -> Result<Self, JobError> {
        let kernel = (kind.sample)(&Sample { variant, units, seed: 1 }).bind(&BindContext::default())?.kernel();
        let kernel = kernel.ok_or_else(|| JobError::bad_input(format!("{} is no kernel", kind.name)))?;
        let work = kernel.work();
        Ok(Self { kind, kernel: Shared(Arc::new(Fresh(kernel))), work })
    }

    /// How large it is.
    pub fn work(&self) -> &Work {
        &self.work
    }
}

impl Subject for KernelSubject {
    fn run(&mut self, runner: &Runner, place: Place, hashed: bool) -> anyhow::Result<(Run, Option<AnswerHash>)> {
        let job = Job::new(self.kind.name, Box::new(self.kernel.clone())).on(place.choice());
        let outcome = runner.submit(job).wait();
        let answer = outcome.result?;
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (times, phases) = (outcome.timings, outcome.timings.phases);
        let run = Run {
            order: 0,
            ms: ms(times.total),
            waiting_ms: ms(times.queued),
            setup_ms: ms(phases.setup),
            opening_ms: ms(phases.opening),
            upload_ms: ms(phases.upload),
            compute_ms: ms(phases.compute),
            readback_ms: ms(phases.readback),
        };
        Ok((run, hashed.then(|| hash(&[answer])).transpose()?))
    }

    fn units(&self) -> u64 {
        self.work.units
    }
}

/// Many irregular jobs at once.
pub(super) struct TaskSubject {
    kind: &'static Kind,
    variant: &'static str,
    samples: Vec<Shared<dyn JobParams>>,
}

impl TaskSubject {
    /// One job of this kind and variant, to which others come.
    pub fn new(kind: &'static Kind, variant: &'static str) -> Self {
        let mut subject = Self { kind, variant, samples: Vec::new() };
        subject.grow(1);
        subject
    }

    /// Adds jobs, each other than those before, until there are so many.
    pub fn grow(&mut self, jobs: usize) {
        while self.samples.len() < jobs {
            let seed = self.samples.len() as u64 + 1;
            let sample = (self.kind.sample)(&Sample { variant: self.variant, units: TASK_UNITS, seed });
            self.samples.push(Shared(sample.into()));
        }
    }
}

impl Subject for TaskSubject {
    fn run(&mut self, runner: &Runner, _: Place, hashed: bool) -> anyhow::Result<(Run, Option<AnswerHash>)> {
        let jobs: Vec<Job> =
            self.samples.iter().map(|sample| Job::new(self.kind.name, Box::new(sample.clone()))).collect();
        let begun = Instant::now();
        let handles: Vec<JobHandle> = jobs.into_iter().map(|job| runner.submit(job)).collect();
        let outcomes: Vec<_> = handles.into_iter().map(JobHandle::wait).collect();
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        let answers = outcomes.into_iter().map(|outcome| outcome.result).collect::<Result<Vec<_>, _>>()?;
        Ok((Run { ms, compute_ms: ms, ..Run::default() }, hashed.then(|| hash(&answers)).transpose()?))
    }

    fn units(&self) -> u64 {
        self.samples.len() as u64
    }
}

/// The hash of answers, rendered; none of them is in memory as text.
fn hash(answers: &[Arc<dyn Answer>]) -> io::Result<AnswerHash> {
    struct Hasher(Sha256);
    impl Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = io::BufWriter::new(Hasher(Sha256::new()));
    for answer in answers {
        answer.write_json(&mut hasher)?;
        hasher.write_all(b"\n")?;
    }
    hasher.flush()?;
    let hasher = hasher.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(hasher.0.finalize().into())
}
