//! The streams of jobs of a run, as the planner is told of them: what waits, by kernel, and what jobs so far have lost because a GPU
//! was closed. Pure: a simulated run goes by it too.

use crate::device::DeviceId;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::plan::{Outlook, Stream};

/// Jobs of a kernel that wait to be planned.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    kernel: &'static str,
    jobs: u64,
    /// By the kernel's own account, on one thread.
    prior_ms: f64,
}

/// The streams of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    waiting: Vec<Waiting>,
    missed_ms: Vec<f64>,
    unsearched_ms: f64,
}

/// Whether the planner may open a GPU for such a job.
fn may_open(work: &Work, asked: DeviceChoice) -> bool {
    work.gpu && asked == DeviceChoice::Auto
}

impl Streams {
    /// A job waits to be planned.
    pub fn join(&mut self, work: &Work, asked: DeviceChoice) {
        if !may_open(work, asked) {
            return;
        }
        let at = self.waiting.iter().position(|waiting| waiting.kernel == work.kernel).unwrap_or_else(|| {
            self.waiting.push(Waiting { kernel: work.kernel, jobs: 0, prior_ms: 0.0 });
            self.waiting.len() - 1
        });
        self.waiting[at].jobs += 1;
        self.waiting[at].prior_ms += work.prior_ms();
    }

    /// A job that waited is planned now, or is not to run any more.
    pub fn leave(&mut self, work: &Work, asked: DeviceChoice) {
        let of_kernel = |waiting: &&mut Waiting| waiting.kernel == work.kernel && may_open(work, asked);
        if let Some(waiting) = self.waiting.iter_mut().find(of_kernel) {
            waiting.jobs = waiting.jobs.saturating_sub(1);
            // What is left of rounding is no job.
            waiting.prior_ms = if waiting.jobs == 0 { 0.0 } else { (waiting.prior_ms - work.prior_ms()).max(0.0) };
        }
    }

    /// The stream that a job is part of, where so many others wait that nobody has opened yet: they are taken to be like this one.
    pub fn of(&self, work: &Work, unopened: u64) -> Stream<'_> {
        let waiting = self.waiting.iter().find(|waiting| waiting.kernel == work.kernel);
        let (jobs, prior_ms) = waiting.map_or((0, 0.0), |waiting| (waiting.jobs, waiting.prior_ms));
        Stream {
            jobs: jobs + unopened,
            prior_ms: prior_ms + unopened as f64 * work.prior_ms(),
            missed_ms: &self.missed_ms,
            unsearched_ms: self.unsearched_ms,
        }
    }

    /// A job was planned.
    pub fn planned(&mut self, outlook: &Outlook) {
        self.unsearched_ms += outlook.unsearched_ms;
        for &(device, ms) in &outlook.missed {
            let DeviceId::Gpu(index) = device else { continue };
            let index = index as usize;
            if self.missed_ms.len() <= index {
                self.missed_ms.resize(index + 1, 0.0);
            }
            self.missed_ms[index] += ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(kernel: &'static str, prior_ms: f64) -> Work {
        Work {
            kernel,
            variant: String::new(),
            units: 1000,
            granularity: 1,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: prior_ms * 1e3,
            passes: 1,
            gpu: true,
        }
    }

    #[test]
    fn those_that_wait_are_counted_by_kernel_and_only_where_the_planner_may_open_a_gpu() {
        let mut streams = Streams::default();
        let (a, b) = (work("a", 2.0), work("b", 5.0));
        let auto = DeviceChoice::Auto;
        (0..3).for_each(|_| streams.join(&a, auto));
        streams.join(&b, auto);
        streams.join(&a, DeviceChoice::Cpu);
        streams.join(&Work { gpu: false, ..a.clone() }, auto);
        let of = |streams: &Streams, work: &Work| (streams.of(work, 0).jobs, streams.of(work, 0).prior_ms);
        assert_eq!(of(&streams, &a), (3, 6.0));
        assert_eq!(of(&streams, &b), (1, 5.0));
        streams.leave(&a, DeviceChoice::Cpu);
        streams.leave(&a, auto);
        streams.leave(&b, auto);
        assert_eq!((of(&streams, &a), of(&streams, &b)), ((2, 4.0), (0, 0.0)));
        let stream = streams.of(&b, 4);
        assert_eq!((stream.jobs, stream.prior_ms), (4, 20.0), "those that nobody has opened are taken to be like it");
    }

    #[test]
    fn what_was_missed_is_summed_up_by_gpu() {
        let mut streams = Streams::default();
        let outlook = |index, ms| Outlook { missed: vec![(DeviceId::Gpu(index), ms)], ..Outlook::default() };
        streams.planned(&outlook(1, 2.0));
        streams.planned(&outlook(1, 3.0));
        streams.planned(&outlook(0, 1.0));
        assert_eq!(streams.of(&work("a", 1.0), 0).missed_ms, [1.0, 5.0]);
    }
}
