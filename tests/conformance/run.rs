//! Runs a kernel in a given way: which device folds which units, in which order the partials meet.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use tandem::device::{Device, DeviceError, DeviceId};
use tandem::input::Scratch;
use tandem::job::{Cause, JobError};
use tandem::kernels::{Answer, DynKernel, DynPartial, DynPass, FoldContext, Isa, Next, Work};

use crate::random::Random;

/// How the units of each pass are cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// In one chunk.
    Whole,
    /// In chunks of this many granules.
    Even(u64),
    /// In at most this many chunks, anywhere, in any order.
    Random(u32),
}

/// A way of running a kernel.
#[derive(Clone)]
pub struct Way {
    pub name: String,
    /// Each chunk goes to one of them at random.
    pub devices: Vec<(String, Arc<dyn Device>)>,
    pub cut: Cut,
    /// Threads that fold at once.
    pub threads: usize,
    pub seed: u64,
}

impl Way {
    /// Whether one GPU folds everything.
    pub fn is_one_gpu(&self) -> bool {
        matches!(self.devices.as_slice(), [(_, device)] if device.info().id != DeviceId::Cpu)
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}, seed {})", self.name, self.cut, self.seed)
    }
}

/// What a scheduler could do wrong, for the negative controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    None,
    /// The first chunk of the first pass is not folded.
    DropChunk,
    /// It is folded and merged twice.
    RepeatChunk,
}

/// How many chunks each device folded, and how many it had no way to fold, so that the CPU did.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, (u64, u64)>>);

impl Tally {
    pub fn folded(&self, device: &str) -> u64 {
        self.0.lock().unwrap().get(device).map_or(0, |counts| counts.0)
    }

    pub fn unsupported(&self, device: &str) -> u64 {
        self.0.lock().unwrap().get(device).map_or(0, |counts| counts.1)
    }

    fn count(&self, device: &str, supported: bool) {
        let mut counts = self.0.lock().unwrap();
        let counts = counts.entry(device.to_owned()).or_default();
        if supported { counts.0 += 1 } else { counts.1 += 1 }
    }
}

/// More passes than any kernel has: a selection of 64-bit keys by 6 bits takes 11.
const MOST_PASSES: u32 = 40;

/// The answer of `kernel` when run in this way.
pub fn answer(
    kernel: &dyn DynKernel,
    way: &Way,
    mischief: Mischief,
    tally: &Tally,
) -> Result<Box<dyn Answer>, JobError> {
    let mut random = Random::new(way.seed);
    let work = kernel.work();
    let mut pass = kernel.first_pass()?;
    for number in 0..MOST_PASSES {
        let mut chunks = deal(way, &work, &mut random);
        if number == 0 {
            match mischief {
                Mischief::None => {}
                Mischief::DropChunk => drop(chunks.pop()),
                Mischief::RepeatChunk => chunks.extend(chunks.last().cloned()),
            }
        }
        let partials = fold(kernel, &pass, way, chunks, tally)?;
        let merged = merge(kernel, &pass, partials, &mut random)?;
        match kernel.next(&pass, merged)? {
            Next::Pass(next) => pass = next,
            Next::Done(answer) => {
                kernel.check_inputs()?;
                return Ok(answer);
            }
        }
    }
    panic!("{} did not end after {MOST_PASSES} passes", work.kernel)
}

/// The bytes of `result` of `kernel` when run in this way.
pub fn result_json(kernel: &dyn DynKernel, way: &Way, tally: &Tally) -> Result<String, JobError> {
    json_of(&*answer(kernel, way, Mischief::None, tally)?)
}

/// The bytes of an answer.
pub fn json_of(answer: &dyn Answer) -> Result<String, JobError> {
    let mut bytes = Vec::new();
    answer.write_json(&mut bytes).map_err(|error| JobError::io("result", &error))?;
    Ok(String::from_utf8(bytes).expect("JSON is UTF-8"))
}

/// Chunks and the number of the device that is to fold each.
fn deal(way: &Way, work: &Work, random: &mut Random) -> Vec<(usize, Range<u64>)> {
    let granularity = work.granularity.max(1);
    let ranges = match way.cut {
        Cut::Whole if work.units == 0 => Vec::new(),
        Cut::Whole => std::iter::once(0..work.units).collect(),
        Cut::Even(granules) => {
            let step = granules * granularity;
            (0..work.units.div_ceil(step)).map(|i| i * step..((i + 1) * step).min(work.units)).collect()
        }
        Cut::Random(pieces) => random.cut(work.units, granularity, pieces),
    };
    ranges.into_iter().map(|range| (random.below(way.devices.len() as u64) as usize, range)).collect()
}

fn fold(
    kernel: &dyn DynKernel,
    pass: &DynPass,
    way: &Way,
    chunks: Vec<(usize, Range<u64>)>,
    tally: &Tally,
) -> Result<Vec<DynPartial>, JobError> {
    let queue = Mutex::new(chunks);
    let work = || {
        let mut scratch = Scratch::default();
        let mut partials = Vec::new();
        loop {
            let next = queue.lock().unwrap().pop();
            let Some((device, units)) = next else { return Ok(partials) };
            partials.push(fold_one(kernel, pass, &way.devices[device], units, &mut scratch, tally)?);
        }
    };
    if way.threads == 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..way.threads).map(|_| scope.spawn(work)).collect();
        let mut partials = Vec::new();
        for thread in threads {
            partials.extend(thread.join().expect("a fold panicked")?);
        }
        Ok(partials)
    })
}

fn fold_one(
    kernel: &dyn DynKernel,
    pass: &DynPass,
    (name, device): &(String, Arc<dyn Device>),
    units: Range<u64>,
    scratch: &mut Scratch,
    tally: &Tally,
) -> Result<DynPartial, JobError> {
    match device.fold(kernel, pass, units.clone(), scratch) {
        Ok(done) => {
            tally.count(name, true);
            Ok(done.partial)
        }
        // As the engine does: what a GPU has no way to fold is folded by the CPU.
        Err(DeviceError::Unsupported(_)) if device.info().id != DeviceId::Cpu => {
            tally.count(name, false);
            kernel.fold(pass, units, &mut FoldContext { isa: Isa::detect(), scratch })
        }
        Err(DeviceError::Job(error)) => Err(error),
        Err(error) => Err(JobError::new(Cause::DeviceLost, format!("{name} on {units:?}: {error}"))),
    }
}

/// Merges in a random tree: any two partials, either one into the other, until one is left.
fn merge(
    kernel: &dyn DynKernel,
    pass: &DynPass,
    mut partials: Vec<DynPartial>,
    random: &mut Random,
) -> Result<DynPartial, JobError> {
    // The fold of nothing takes part, since merging it must change nothing.
    let mut context = FoldContext { isa: Isa::Portable, scratch: &mut Scratch::default() };
    partials.push(kernel.fold(pass, 0..0, &mut context)?);
    loop {
        let from = partials.swap_remove(random.below(partials.len() as u64) as usize);
        if partials.is_empty() {
            return Ok(from);
        }
        let into = random.below(partials.len() as u64) as usize;
        kernel.merge(&mut partials[into], from)?;
    }
}
