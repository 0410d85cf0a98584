//! What is done with every case: it is run in many ways, and each result is compared with the oracle's.

use std::sync::Arc;
use std::time::Instant;

use tandem::device::{CpuDevice, Device};
use tandem::kernels::{DynKernel, Isa};

use crate::compare;
use crate::gpus::{GpuForm, gpu_forms};
use crate::random::{Random, base_seed};
use crate::run::{Cut, Tally, Way, result_json};

/// What a case must come to.
pub enum Expected {
    /// These bytes of `result`, from an oracle.
    Result(String),
    /// A failure whose message has this part, the same message in every way.
    Failure(&'static str),
    /// Whatever it is, the same in every way: for jobs too large for an oracle.
    Agreement,
}

/// One job, and what it must come to.
pub struct Case {
    pub name: String,
    pub kernel: Arc<dyn DynKernel>,
    pub expected: Expected,
}

/// The cases of one variant of one kernel, run as they come.
pub struct Sweep {
    part: &'static str,
    seed: u64,
    number: u64,
    tally: Tally,
    gpu: bool,
    failures: Vec<String>,
    start: Instant,
}

/// Every instruction set that this machine has, forced.
pub fn cpus() -> Vec<(String, Arc<dyn Device>)> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter(|isa| *isa <= Isa::detect())
        .map(|isa| (format!("cpu {}", isa.name()), Arc::new(CpuDevice::with_isa(4, isa)) as Arc<dyn Device>))
        .collect()
}

fn named(form: &GpuForm) -> (String, Arc<dyn Device>) {
    (form.name.clone(), form.device.clone())
}

/// The ways in which a case is run: every instruction set on one thread; several threads; small or random chunks; GPUs in
/// one chunk and in several; everything together, split at random.
pub fn ways(kernel: &dyn DynKernel, gpus: &[GpuForm], random: &mut Random) -> Vec<Way> {
    let work = kernel.work();
    let mut ways = Vec::new();
    let mut add = |name: String, devices: Vec<(String, Arc<dyn Device>)>, cut, threads| {
        ways.push(Way { name, devices, cut, threads, seed: random.next() });
    };
    let cpus = cpus();
    for cpu in &cpus {
        add(format!("{}, 1 thread", cpu.0), vec![cpu.clone()], Cut::Whole, 1);
    }
    let widest = cpus.last().expect("there is a portable one").clone();
    add("cpu, 3 threads".into(), vec![widest.clone()], Cut::Random(9), 3);
    let granules = work.units.div_ceil(work.granularity.max(1));
    let fine = if granules <= 70 { 1 } else { granules / 64 + 1 };
    add("cpu, even chunks".into(), cpus.clone(), Cut::Even(fine), 1);
    if work.gpu && !gpus.is_empty() {
        for form in gpus {
            add(format!("{}, one chunk", form.name), vec![named(form)], Cut::Whole, 1);
        }
        let mut all: Vec<_> = gpus.iter().map(named).collect();
        add("every gpu form, even chunks".into(), all.clone(), Cut::Even(granules / 5 + 1), 1);
        all.extend(cpus.iter().cloned());
        add("split over everything".into(), all.clone(), Cut::Random(6), 1);
        add("split over everything, 2 threads".into(), all, Cut::Random(6), 2);
    }
    ways
}

/// Runs a case in every one of `ways` and compares. This is the comparator that the negative controls test.
///
/// # Errors
/// With every way that gave something else, and how it differs.
pub fn check(case: &Case, ways: &[Way], tally: &Tally) -> Result<(), String> {
    let mut first: Option<Result<String, String>> = None;
    let mut differences = Vec::new();
    for way in ways {
        let found = result_json(&*case.kernel, way, tally).map_err(|error| error.message);
        let compared = match (&case.expected, &found) {
            (Expected::Result(expected), Ok(found)) => compare::same(found, expected),
            (Expected::Result(_), Err(message)) => Err(format!("it failed: {message}")),
            (Expected::Failure(part), Err(message)) if message.contains(part) => Ok(()),
            (Expected::Failure(part), found) => Err(format!("{found:?}, expected a failure with `{part}`")),
            (Expected::Agreement, Err(message)) => Err(format!("it failed: {message}")),
            (Expected::Agreement, Ok(_)) => Ok(()),
        };
        let agreed = match (first.get_or_insert_with(|| found.clone()), &found) {
            (Ok(first), Ok(found)) => compare::same(found, first),
            (Err(first), Err(found)) if first == found => Ok(()),
            (first, found) => Err(format!("{found:?}, but the first way gave {first:?}")),
        };
        if let Err(difference) = compared.and(agreed) {
            differences.push(format!("  {way:?}: {difference}"));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
}

impl Sweep {
    pub fn new(part: &'static str) -> Self {
        let seed = base_seed();
        Self { part, seed, number: 0, tally: Tally::default(), gpu: false, failures: Vec::new(), start: Instant::now() }
    }

    /// Randomness for the next case.
    pub fn random(&self) -> Random {
        Random::named(self.seed, &format!("{} {}", self.part, self.number))
    }

    /// Runs one case. Most cases leave all but one of the GPU forms out where a form runs alone: those take their turns.
    pub fn case(&mut self, case: &Case) {
        let mut random = self.random();
        let mut ways = ways(&*case.kernel, gpu_forms(), &mut random);
        if !self.number.is_multiple_of(4) {
            let forms = ways.iter().filter(|way| way.is_one_gpu()).count().max(1) as u64;
            let (chosen, mut number) = (random.below(forms), 0..);
            ways.retain(|way| !way.is_one_gpu() || number.next() == Some(chosen));
        }
        self.run(case, &ways);
    }

    /// Runs one case that takes its time, in one chunk on one CPU thread and on each GPU.
    pub fn case_in_few_ways(&mut self, case: &Case) {
        let mut ways = ways(&*case.kernel, gpu_forms(), &mut self.random());
        let widest = cpus().len() - 1;
        let mut number = 0..;
        ways.retain(|way| number.next() == Some(widest) || way.is_one_gpu());
        self.run(case, &ways);
    }

    fn run(&mut self, case: &Case, ways: &[Way]) {
        self.number += 1;
        self.gpu |= case.kernel.work().gpu;
        if let Err(differences) = check(case, ways, &self.tally) {
            self.failures.push(format!("case {}, {}:\n{differences}", self.number - 1, case.name));
        }
    }

    /// Fails the test where any case failed, or a GPU that was to take part folded nothing.
    pub fn finish(self) {
        const SHOWN: usize = 5;
        assert!(self.number > 0, "{} has no cases", self.part);
        if let Some(first) = self.failures.first() {
            let shown: Vec<&str> = self.failures.iter().take(SHOWN).map(String::as_str).collect();
            panic!(
                "{}: {} of {} cases failed (TANDEM_TEST_SEED={}), the first being\n{}\n\n{}",
                self.part,
                self.failures.len(),
                self.number,
                self.seed,
                first.lines().next().unwrap_or_default(),
                shown.join("\n")
            );
        }
        for form in gpu_forms().iter().filter(|_| self.gpu) {
            let (folded, unsupported) = (self.tally.folded(&form.name), self.tally.unsupported(&form.name));
            assert!(folded > 0, "{}: {} folded nothing", self.part, form.name);
            assert_eq!(unsupported, 0, "{}: {} left chunks to the CPU, {folded} it folded", self.part, form.name);
        }
        println_captured(&format!("{}: {} cases in {:.1?}", self.part, self.number, self.start.elapsed()));
    }
}

/// Shown by `--nocapture`, or where the test fails.
#[allow(clippy::print_stdout)]
fn println_captured(line: &str) {
    println!("{line}");
}
