//! A job of one pass, run in chunks on threads, and the numbers that such jobs are timed with.

use tandem::input::Scratch;
use tandem::kernels::{FoldContext, Isa, Kernel, Next};

use crate::measure::on_threads;

/// What one thread has folded.
struct Folded<P> {
    scratch: Scratch,
    merged: Option<P>,
}

impl<P> Default for Folded<P> {
    fn default() -> Self {
        Self { scratch: Scratch::default(), merged: None }
    }
}

/// The answer of a job, folded in chunks of `chunk` units; `A` is what it answers.
pub fn answer<K: Kernel, A: 'static>(kernel: &K, threads: usize, chunk: u64) -> A {
    let pass = kernel.first_pass().expect("a pass");
    let folded = on_threads(threads, kernel.work().units, chunk, |units, folded: &mut Folded<K::Partial>| {
        let mut context = FoldContext { isa: Isa::detect(), scratch: &mut folded.scratch };
        let partial = kernel.fold(&pass, units, &mut context).expect("values in memory");
        match &mut folded.merged {
            Some(merged) => kernel.merge(merged, partial),
            none => *none = Some(partial),
        }
    });
    let mut partials = folded.into_iter().filter_map(|folded| folded.merged);
    let mut whole = partials.next().expect("a chunk");
    partials.for_each(|partial| kernel.merge(&mut whole, partial));
    match kernel.next(&pass, whole).expect("an answer") {
        Next::Done(answer) => {
            let answer: Box<dyn std::any::Any> = answer;
            *answer.downcast().expect("the answer of this kernel")
        }
        Next::Pass(_) => unreachable!("it takes one pass"),
    }
}

/// Random bits: the finaliser of SplitMix64.
pub fn mix(index: u64) -> u64 {
    let seed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// A bell-shaped number about 0, with a full significand.
pub fn bell(bits: u64) -> f64 {
    let quarter = |shift: u32| (bits >> shift & 0xffff) as f64 / 32768.0 - 1.0;
    (quarter(0) + quarter(16) + quarter(32) + quarter(48)) * std::f64::consts::FRAC_1_SQRT_2
}
