//! The same through the library's face: whatever device a job asks for, the same bytes of `result`.

use std::ops::Range;
use std::sync::Arc;

use tandem::device::{ChunkDone, Device, DeviceError, DeviceId, DeviceInfo, DeviceKind};
use tandem::input::Scratch;
use tandem::job::Sample;
use tandem::job::{BindContext, Bound, DeviceChoice, JobError, JobParams};
use tandem::kernels::{DynKernel, DynPass, KERNELS};
use tandem::model::Location;
use tandem::runner::{Job, Runner};

use crate::faulty::{FaultyOnGpu, GpuFault};
use crate::gpus::gpu_forms;
use crate::random::{Random, base_seed};
use crate::run::{Cut, Tally, Way, json_of, result_json};
use crate::samples::{affordable, bound};
use crate::sweep::cpus;

/// A device under another number, so that the forms of one GPU can stand side by side.
#[derive(Debug)]
struct Renumbered {
    info: DeviceInfo,
    inner: Arc<dyn Device>,
}

impl Device for Renumbered {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn is_open(&self) -> bool {
        self.inner.is_open()
    }

    fn resident_bytes(&self, sources: &[u64]) -> u64 {
        self.inner.resident_bytes(sources)
    }

    fn fold(
        &self,
        kernel: &dyn DynKernel,
        pass: &DynPass,
        units: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<ChunkDone, DeviceError> {
        self.inner.fold(kernel, pass, units, scratch)
    }
}

/// Every form of every GPU, as so many GPUs.
fn gpus() -> Vec<Arc<dyn Device>> {
    let forms = gpu_forms().iter().enumerate();
    forms
        .map(|(index, form)| {
            let info = DeviceInfo { id: DeviceId::Gpu(index as u32), ..form.device.info().clone() };
            Arc::new(Renumbered { info, inner: form.device.clone() }) as Arc<dyn Device>
        })
        .collect()
}

fn runner(threads: u32) -> Runner {
    Runner::builder().threads(threads).model(Location::Nowhere).gpus(gpus()).build().expect("a runner")
}

/// A kernel that is bound already, as the parameters of a job.
struct Ready(Arc<dyn DynKernel>);

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a kernel")
    }
}

impl JobParams for Ready {
    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Kernel(self.0.clone()))
    }
}

fn job(kind: &'static str, kernel: &Arc<dyn DynKernel>) -> Job {
    Job::new(kind, Box::new(Ready(kernel.clone())))
}

/// A small and a large sample of every registered kernel.
fn samples() -> Vec<(&'static str, String, Arc<dyn DynKernel>)> {
    let mut samples = Vec::new();
    for kind in KERNELS {
        for variant in kind.variants {
            let sample = |units| bound(&*(kind.sample)(&Sample { variant, units, seed: base_seed() }));
            for units in [1, affordable(sample, 70_001)] {
                samples.push((kind.name, format!("{} {variant}, {units} units", kind.name), sample(units)));
            }
        }
    }
    samples
}

fn expected(kernel: &dyn DynKernel) -> String {
    let devices = vec![cpus().remove(0)];
    let way = Way { name: "cpu".into(), devices, cut: Cut::Whole, threads: 1, seed: 1 };
    result_json(kernel, &way, &Tally::default()).expect("a valid job")
}

#[test]
fn every_choice_of_device_and_threads_gives_the_same_bytes() {
    let samples = samples();
    let expected: Vec<String> = samples.iter().map(|(.., kernel)| expected(&**kernel)).collect();
    let mut choices = vec![DeviceChoice::Cpu, DeviceChoice::Auto];
    if !gpu_forms().is_empty() {
        choices.extend([DeviceChoice::Gpu, DeviceChoice::Split]);
        choices.extend((0..gpu_forms().len() as u32).map(DeviceChoice::GpuIndex));
    }
    for threads in [1, 3] {
        let runner = runner(threads);
        for ((kind, name, kernel), expected) in samples.iter().zip(&expected) {
            for choice in &choices {
                if !kernel.work().gpu && !matches!(choice, DeviceChoice::Cpu | DeviceChoice::Auto) {
                    continue;
                }
                let outcome = runner.submit(job(kind, kernel).on(*choice)).wait();
                let answer = outcome.result.unwrap_or_else(|error| panic!("{name} on {choice}: {error}"));
                let found = json_of(&*answer).expect("it is in memory");
                crate::compare::same(&found, expected)
                    .unwrap_or_else(|difference| panic!("{name} on {choice}, {threads} threads: {difference}"));
            }
        }
    }
}

#[test]
fn jobs_of_all_kinds_mixed_give_the_same_bytes_as_alone() {
    let samples = samples();
    let expected: Vec<String> = samples.iter().map(|(.., kernel)| expected(&**kernel)).collect();
    let runner = runner(2);
    let jobs = (0..4).flat_map(|_| samples.iter().map(|(kind, _, kernel)| job(kind, kernel)));
    let outcomes: Vec<_> = runner.map(jobs.collect::<Vec<_>>()).collect();
    assert_eq!(outcomes.len(), 4 * samples.len());
    for (outcome, ((_, name, _), expected)) in outcomes.into_iter().zip(samples.iter().zip(&expected).cycle()) {
        let found = json_of(&*outcome.result.unwrap_or_else(|error| panic!("{name}: {error}"))).expect("in memory");
        crate::compare::same(&found, expected).unwrap_or_else(|difference| panic!("{name}: {difference}"));
    }
}

#[test]
fn verification_passes_what_is_right_and_catches_a_gpu_that_is_wrong() {
    let runner = runner(2);
    for (kind, name, kernel) in samples() {
        let verification = runner.verify(&job(kind, &kernel), base_seed()).expect("it runs");
        assert!(verification.same(), "{name}: {verification:?}");
        let gpu = kernel.work().gpu && !gpu_forms().is_empty();
        assert!(verification.runs.len() >= if gpu { 5 + gpu_forms().len() } else { 5 }, "{verification:?}");
        // Only in bit sets does every flipped bit show.
        if gpu && kernel.work().variant == "numbers" {
            let fault = GpuFault::FlippedBit { word: 0, bit: 0 };
            let faulty: Arc<dyn DynKernel> = Arc::new(FaultyOnGpu::new(kernel.clone(), fault, 0));
            let verification = runner.verify(&job(kind, &faulty), base_seed()).expect("it runs");
            assert!(!verification.same(), "{name}: a wrong GPU went unnoticed: {verification:?}");
        }
    }
}

/// The same device, as fast as the planner takes a discrete GPU to be: so that small jobs are worth folding as one there.
fn as_if_fast(device: Arc<dyn Device>) -> Arc<dyn Device> {
    let info = DeviceInfo { id: DeviceId::Gpu(0), kind: DeviceKind::DiscreteGpu, ..device.info().clone() };
    Arc::new(Renumbered { info, inner: device })
}

#[test]
fn small_jobs_that_run_as_one_on_a_gpu_give_the_same_bytes_as_on_the_cpu() {
    let mut random = Random::named(base_seed(), "small jobs as one");
    let lines: Vec<String> = (0..150)
        .map(|_| {
            let len = 1700 + random.below(2000);
            let numbers: Vec<String> = (0..len).map(|_| (random.next() >> random.below(60)).to_string()).collect();
            let asked = random.pick(&["", r#","count":true"#, r#","list":true"#]);
            format!(r#"{{"kind":"primes","numbers":[{}]{asked}}}"#, numbers.join(","))
        })
        .collect();
    let run = |gpus: Vec<Arc<dyn Device>>| {
        let runner = Runner::builder().threads(1).model(Location::Nowhere).gpus(gpus).build().expect("a runner");
        runner.engine().devices().gpus();
        let (release, held) = std::sync::mpsc::channel::<()>();
        // All of them wait by the time that the one thread is free.
        let holds = runner.spawn(move || held.recv().is_err());
        let jobs = lines.iter().map(|line| runner.submit(Job::parse(line).expect("a valid job")));
        let jobs: Vec<_> = jobs.collect();
        drop(release);
        assert!(holds.wait().expect("it returns"));
        jobs.into_iter()
            .map(|job| {
                let outcome = job.wait();
                let reason = outcome.plan.as_ref().map_or(String::new(), |plan| plan.reason.clone());
                (
                    json_of(&*outcome.result.expect("a valid job")).expect("in memory"),
                    reason.contains(" ran as one on "),
                )
            })
            .collect::<Vec<_>>()
    };
    let expected = run(Vec::new());
    assert!(expected.iter().all(|(_, as_one)| !as_one), "there is no GPU");
    for form in gpu_forms() {
        // Poisoned by what it takes here, a model might not choose it again: each has a runner, and an opened device.
        let found = run(vec![as_if_fast(form.device.clone())]);
        for ((found, _), (expected, _)) in found.iter().zip(&expected) {
            crate::compare::same(found, expected)
                .unwrap_or_else(|difference| panic!("{}, seed {}: {difference}", form.name, base_seed()));
        }
        assert!(found.iter().any(|(_, as_one)| *as_one), "{}: none ran as one", form.name);
    }
}
