//! Many numbers at once: divided by small primes, what remains sorted by size, and tested so many at a time as hides the
//! latency of the multiplications.

use super::lanes::{lucas, strong_to_two};
use super::lucas::{PARAMETER_MAX, parameter};
use super::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use super::{passes_lucas, trial};
use crate::kernels::Isa;

/// How an instruction set tests many numbers.
pub(super) struct Method {
    /// What of the instruction set it is written for.
    pub(super) name: &'static str,
    /// Divides by small primes.
    pub(super) sort_out: SortOut,
    /// From where on numbers are of the second and of the third size, which each have their arithmetic.
    pub(super) from: [u64; 2],
    /// The tests of each size.
    pub(super) tests: [Tests; 3],
}

/// About how many nanoseconds a number takes on one thread of a usual CPU, which has AVX2; with AVX-512 IFMA it is less than half, without either
/// some three times as much, as the model learns. The same on every machine, so that machines can be described beside it. It decides where a
/// job runs, never the answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels::primes) struct Pace {
    /// To divide by the small primes.
    pub(in crate::kernels::primes) trial_ns: f64,
    /// For the strong test, below [`Pace::LONG_FROM`] and from there on.
    pub(in crate::kernels::primes) strong_ns: [f64; 2],
    /// For the Lucas test, which only what passes that has to take, likewise.
    pub(in crate::kernels::primes) lucas_ns: [f64; 2],
}

impl Pace {
    /// Numbers from here on take a longer arithmetic.
    pub(in crate::kernels::primes) const LONG_FROM: u64 = 1 << 50;

    /// That of a usual CPU.
    pub(in crate::kernels::primes) const USUAL: Self =
        Self { trial_ns: 11.0, strong_ns: [18.0, 69.0], lucas_ns: [31.0, 154.0] };
}

impl Method {
    #[inline(always)]
    pub(super) fn size(&self, number: u64) -> usize {
        usize::from(number >= self.from[0]) + usize::from(number >= self.from[1])
    }
}

/// Divides numbers by small primes, the first of which has this place: those that it finds prime get their bit of the
/// words, those that need a test join those of their size that wait. There is room for all of them, and for [`ROOM`] more.
pub(super) type SortOut = unsafe fn(&Method, &[u64], u64, &mut [u64], &mut [Waiting; 3]);

/// The two tests, each with how many numbers it takes at a time.
#[derive(Clone, Copy)]
pub(super) struct Tests {
    pub(super) strong: (usize, Strong),
    pub(super) lucas: (usize, Lucas),
}

/// The strong test of numbers, whose bits say which pass. The machine must have the method's instruction set.
pub(super) type Strong = unsafe fn(&[u64]) -> u64;
/// The Lucas test of numbers, with their parameters, likewise.
pub(super) type Lucas = unsafe fn(&[u64], &[u64]) -> u64;

/// That of any machine.
static PORTABLE: Method = Method { name: "portable", sort_out, from: [0; 2], tests: [PORTABLE_TESTS; 3] };

const PORTABLE_TESTS: Tests = Tests {
    // SAFETY: `Scalar` needs no instruction set.
    strong: (STRONG_LANES, |numbers| unsafe { strong_to_two::<Scalar<STRONG_LANES>>(numbers) }),
    // SAFETY: as above.
    lucas: (LUCAS_LANES, |numbers, parameters| unsafe { lucas::<Scalar<LUCAS_LANES>>(numbers, parameters) }),
};

/// Enough to hide the latency of a multiplication, and few enough for the registers.
const STRONG_LANES: usize = 6;
const LUCAS_LANES: usize = 4;

/// The method of the widest instruction set up to `isa` that this machine has.
pub(super) fn method(isa: Isa) -> &'static Method {
    match isa.min(Isa::detect()) {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if avx512::is_available() => &avx512::METHOD,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => &avx2::METHOD,
        _ => &PORTABLE,
    }
}

/// By which instructions lists of numbers are tested where code may use those of `isa`: `avx512 ifma`, `avx2` or `portable`.
pub fn instructions_of_lists(isa: Isa) -> &'static str {
    method(isa).name
}

/// The one of any machine.
pub(super) fn sort_out(
    method: &Method,
    numbers: &[u64],
    first_place: u64,
    words: &mut [u64],
    waiting: &mut [Waiting; 3],
) {
    for (place, &n) in (first_place..).zip(numbers) {
        match trial::by_trial(n) {
            Some(prime) => words[(place / 64) as usize] |= u64::from(prime) << (place % 64),
            None => waiting[method.size(n)].push(n, place),
        }
    }
}

/// Numbers that wait to be tested, each with its place in the list.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) numbers: Vec<u64>,
    pub(super) places: Vec<u64>,
    pub(super) len: usize,
}

impl Waiting {
    fn new(room: usize) -> Self {
        Self { numbers: vec![0; room], places: vec![0; room], len: 0 }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, number: u64, place: u64) {
        self.numbers[self.len] = number;
        self.places[self.len] = place;
        self.len += 1;
    }

    /// Fills lanes that nobody waits for with a number that can be tested.
    fn fill(&mut self, from: usize, to: usize) {
        let number = self.numbers[from - 1];
        self.numbers[from..to].fill(number);
    }

    /// Takes the first ones out.
    fn take(&mut self, count: usize) {
        self.numbers.copy_within(count..self.len, 0);
        self.places.copy_within(count..self.len, 0);
        self.len -= count;
    }
}

/// The numbers that are divided at a time.
const CHUNK: usize = 1 << 11;
/// More than any test takes at a time.
pub(super) const ROOM: usize = 64;
/// Shorter lists are tested one by one.
const SHORT_LIST: usize = 6;

/// Sets bit `i` of `words` for every prime `numbers[i]`. The bits must be 0 before.
///
/// # Panics
/// Where `words` has too few bits.
pub fn test_each(isa: Isa, numbers: &[u64], words: &mut [u64]) {
    if is_short(numbers.len() as u64) {
        for (place, &n) in numbers.iter().enumerate() {
            words[place / 64] |= u64::from(super::is_prime(n)) << (place % 64);
        }
        return;
    }
    let mut batch = Batch::new(isa, numbers.len());
    batch.add(numbers, 0, words);
    batch.finish(words);
}

/// Whether a list of so many numbers is better tested one by one than in a batch.
pub(in crate::kernels::primes) fn is_short(len: u64) -> bool {
    len <= SHORT_LIST as u64
}

/// Numbers on their way through the tests.
pub(in crate::kernels::primes) struct Batch {
    method: &'static Method,
    /// What no small prime divides, by size.
    survivors: [Waiting; 3],
    /// What passed the strong test, by size.
    strong: [Waiting; 3],
}

impl Batch {
    /// For so many numbers, or more.
    pub(in crate::kernels::primes) fn new(isa: Isa, count: usize) -> Self {
        let room = count.min(CHUNK) + 4 * ROOM;
        let waiting = || [(); 3].map(|()| Waiting::new(room));
        Self { method: method(isa), survivors: waiting(), strong: waiting() }
    }

    /// Adds numbers, the first of which has this place. The bit of each prime's place is set, now or at the end.
    pub(in crate::kernels::primes) fn add(&mut self, numbers: &[u64], first_place: u64, words: &mut [u64]) {
        for (chunk, place) in numbers.chunks(CHUNK).zip((first_place..).step_by(CHUNK)) {
            // SAFETY: `method` gives none that the machine cannot do.
            unsafe { (self.method.sort_out)(self.method, chunk, place, words, &mut self.survivors) };
            self.test(words);
        }
    }

    /// Adds an odd number above 4096 that has no prime factor up to 61. The bit of its place is set if it is prime, now or
    /// at the end.
    #[inline]
    pub(in crate::kernels::primes) fn push(&mut self, number: u64, place: u64, words: &mut [u64]) {
        let waiting = &mut self.survivors[self.method.size(number)];
        waiting.push(number, place);
        if waiting.len >= waiting.numbers.len() - ROOM {
            self.test(words);
        }
    }

    /// Tests whatever fills all lanes.
    fn test(&mut self, words: &mut [u64]) {
        for size in 0..3 {
            self.test_strong(size, false);
            self.test_lucas(size, false, words);
        }
    }

    /// Tests what still waits; there may be other numbers after it.
    pub(in crate::kernels::primes) fn finish(&mut self, words: &mut [u64]) {
        for size in 0..3 {
            self.test_strong(size, true);
            self.test_lucas(size, true, words);
        }
    }

    fn test_strong(&mut self, size: usize, all: bool) {
        let (survivors, strong) = (&mut self.survivors[size], &mut self.strong[size]);
        let mut at = 0;
        while let Some(Group { lanes, count, test }) =
            group(survivors.len - at, all, self.method.tests[size].strong, PORTABLE_TESTS.strong)
        {
            survivors.fill(at + count, at + lanes);
            // SAFETY: `method` gives none that the machine cannot do.
            let passed = unsafe { test(&survivors.numbers[at..at + lanes]) };
            for_each_bit(passed, count, |lane| strong.push(survivors.numbers[at + lane], survivors.places[at + lane]));
            at += count;
        }
        survivors.take(at);
    }

    fn test_lucas(&mut self, size: usize, all: bool, words: &mut [u64]) {
        let strong = &mut self.strong[size];
        let mut at = 0;
        while let Some(Group { lanes, count, test }) =
            group(strong.len - at, all, self.method.tests[size].lucas, PORTABLE_TESTS.lucas)
        {
            strong.fill(at + count, at + lanes);
            let passed = lucas_lanes(test, &strong.numbers[at..at + lanes]);
            for_each_bit(passed, count, |lane| {
                let place = strong.places[at + lane];
                words[(place / 64) as usize] |= 1 << (place % 64);
            });
            at += count;
        }
        strong.take(at);
    }
}

/// A few of those that wait, and a test for so many lanes.
struct Group<T> {
    lanes: usize,
    count: usize,
    test: T,
}

/// The next group of those that wait; where they are to be tested `all`, also one that does not fill its lanes. A few are of
/// more use to narrow ones.
fn group<T>(waiting: usize, all: bool, (lanes, test): (usize, T), (few, test_few): (usize, T)) -> Option<Group<T>> {
    if waiting >= lanes {
        Some(Group { lanes, count: lanes, test })
    } else if waiting == 0 || !all {
        None
    } else if waiting * 3 > lanes {
        Some(Group { lanes, count: waiting, test })
    } else {
        Some(Group { lanes: few, count: waiting.min(few), test: test_few })
    }
}

fn for_each_bit(bits: u64, count: usize, mut found: impl FnMut(usize)) {
    let mut bits = if count < 64 { bits & !(!0 << count) } else { bits };
    while bits != 0 {
        found(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// Which of these pass their Lucas test, whatever its parameter.
fn lucas_lanes(test: Lucas, numbers: &[u64]) -> u64 {
    let (mut parameters, mut aside) = ([3; 64], 0_u64);
    for (lane, &n) in numbers.iter().enumerate() {
        match parameter(n) {
            Some(p) if p <= PARAMETER_MAX => parameters[lane] = p,
            _ => aside |= 1 << lane,
        }
    }
    // SAFETY: `method` gives none that the machine cannot do.
    let mut passed = unsafe { test(numbers, &parameters) } & !aside;
    for_each_bit(aside, numbers.len(), |lane| passed |= u64::from(passes_lucas(numbers[lane])) << lane);
    passed
}
