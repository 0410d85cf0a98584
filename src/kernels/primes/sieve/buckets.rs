//! Primes that cross off seldom: each waits in the bucket of the block that its next multiple lies in, so that it costs nothing in the
//! blocks between. Multiples with the factor 7 are passed over as well: these primes walk the wheel of 210.

use std::ptr;

use crate::kernels::primes::sieve::{BLOCK_WORDS, divide};
use crate::kernels::primes::wheel::{BIT_OF_RESIDUE, NUMBERS_PER_WORD, RESIDUES};

const BLOCK_BYTES_LOG2: u32 = (BLOCK_WORDS * 8).ilog2();
const BLOCK_BYTES: usize = 1 << BLOCK_BYTES_LOG2;

/// A prime on its way from multiple to multiple: from bit 0 the byte within its block, from bit 23 the step, from bit 32 `p / 30`.
type Entry = u64;
const STEP_AT: u32 = 23;
const PRIME_AT: u32 = 32;

/// How many numbers below 210 are on its wheel.
const SPOKES: usize = 48;

/// The numbers below 210 that neither 2, 3, 5 nor 7 divides.
const ON_WHEEL: [u8; SPOKES] = {
    let mut spokes = [0; SPOKES];
    let (mut n, mut len) = (1u32, 0);
    while n < 210 {
        if BIT_OF_RESIDUE[n as usize % 30] < 8 && !n.is_multiple_of(7) {
            spokes[len] = n as u8;
            len += 1;
        }
        n += 1;
    }
    spokes
};

/// The next number on the wheel.
#[derive(Clone, Copy)]
struct Spoke {
    /// Its place among those.
    index: u8,
    /// How far it is.
    gap: u8,
}

/// That of each number below 210; 209 is on the wheel.
static SPOKE_FROM: [Spoke; 210] = {
    let mut from = [Spoke { index: 0, gap: 0 }; 210];
    let (mut n, mut index) = (0, 0);
    while n < 210 {
        from[n] = Spoke { index: index as u8, gap: ON_WHEEL[index] - n as u8 };
        if ON_WHEEL[index] as usize == n {
            index += 1;
        }
        n += 1;
    }
    from
};

/// One step from a multiple `p * q` to the next `p * (q + gap)` with a cofactor on the wheel, where `p = 30 * c + r`.
#[derive(Clone, Copy)]
struct Step {
    /// All bits but the one of `p * q`.
    mask: u8,
    /// The way in bytes is `gap * c + extra`.
    gap: u8,
    /// See `gap`.
    extra: u8,
    /// The step that follows.
    next: u16,
}

/// The steps, by `SPOKES * (bit of r) + (spoke of q)`; filled up, that any nine bits are the place of one.
static STEPS: [Step; 512] = {
    let mut steps = [Step { mask: u8::MAX, gap: 0, extra: 0, next: 0 }; 512];
    let mut i = 0;
    while i < 8 * SPOKES {
        let r = RESIDUES[i / SPOKES] as u32;
        let q = ON_WHEEL[i % SPOKES] as u32;
        let q_next = if i % SPOKES == SPOKES - 1 { 211 } else { ON_WHEEL[i % SPOKES + 1] as u32 };
        steps[i] = Step {
            mask: !(1 << BIT_OF_RESIDUE[(r * q % 30) as usize]),
            gap: (q_next - q) as u8,
            extra: (r * q_next / 30 - r * q / 30) as u8,
            next: (i / SPOKES * SPOKES + (i + 1) % SPOKES) as u16,
        };
        i += 1;
    }
    steps
};

/// The longest way from a multiple to the next is `10 * c + 10` bytes, and to the first one as long again from the start.
const fn longest_way_bytes(p: u32) -> u64 {
    2 * (10 * (p / 30) as u64 + 10)
}

/// The buckets of the blocks ahead, in a ring.
///
/// A bucket is a chain of pages. Its tail is where its next entry goes. At the end of a page, and where there is none yet (null), a new page
/// is begun, whose first word keeps the tail that was.
pub(super) struct Buckets {
    tails: Vec<*mut Entry>,
    pages: Pages,
    /// The bucket of the block at hand.
    now: usize,
}

impl Buckets {
    /// For primes up to `greatest`.
    pub fn new(greatest: u32) -> Self {
        let ring = (longest_way_bytes(greatest) / BLOCK_BYTES as u64 + 2).next_power_of_two() as usize;
        Self { tails: vec![ptr::null_mut(); ring], pages: Pages::default(), now: 0 }
    }

    /// Adds a prime, which crosses off from its square on, or from the word `start` on, where the block at hand begins. It is left out
    /// where its first multiple lies `bytes_left` bytes past the start or further.
    #[inline]
    pub fn add(&mut self, p: u32, start: u64, bytes_left: u64) {
        let first = start * NUMBERS_PER_WORD;
        let (mut q, past) = divide(first, p);
        // How far the multiple lies past the first number of the block.
        let mut way = 0;
        if past > 0 {
            q += 1;
            way = p - past;
        }
        if q < u64::from(p) {
            // No square is awaited that lies past this block.
            q = u64::from(p);
            way = (q * q - first) as u32;
        }
        let Spoke { index, gap } = SPOKE_FROM[(q % 210) as usize];
        let byte = u64::from(way + p * u32::from(gap)) / 30;
        if byte < bytes_left {
            let c = p / 30;
            let step = u32::from(BIT_OF_RESIDUE[(p - 30 * c) as usize]) * SPOKES as u32 + u32::from(index);
            let bucket = (self.now + (byte >> BLOCK_BYTES_LOG2) as usize) & (self.tails.len() - 1);
            let entry = u64::from(c) << PRIME_AT | u64::from(step) << STEP_AT | (byte % BLOCK_BYTES as u64);
            self.pages.push(&mut self.tails[bucket], entry);
        }
    }

    /// Crosses off in the block at hand, which has `bytes`; `blocks_left` come after it. Then the next one is at hand.
    pub fn cross_off(&mut self, bytes: &mut [u8], blocks_left: u64) {
        assert!(bytes.len() <= BLOCK_BYTES && self.tails.len().is_power_of_two());
        // Primes may have several multiples in a block: they come back into its bucket.
        while !self.tails[self.now].is_null() {
            let mut tail = std::mem::replace(&mut self.tails[self.now], ptr::null_mut());
            while !tail.is_null() {
                let page = Pages::of(tail);
                // SAFETY: a page is whole and initialised, it is in no chain and not free, so nobody else writes it.
                let page_entries =
                    unsafe { std::slice::from_raw_parts(page.add(1), tail.offset_from(page) as usize - 1) };
                for &entry in page_entries {
                    self.walk(entry, bytes, blocks_left);
                }
                tail = Pages::before(page);
                self.pages.free.push(page);
            }
        }
        self.now = (self.now + 1) & (self.tails.len() - 1);
    }

    #[inline(always)]
    fn walk(&mut self, entry: Entry, bytes: &mut [u8], blocks_left: u64) {
        let step = STEPS[(entry >> STEP_AT) as usize % STEPS.len()];
        let c = entry >> PRIME_AT;
        let at = entry % (1 << STEP_AT);
        // Past the end of a last block that is short there is nothing to cross off.
        if let Some(byte) = bytes.get_mut(at as usize) {
            *byte &= step.mask;
        }
        let at = at + c * u64::from(step.gap) + u64::from(step.extra);
        let blocks = at >> BLOCK_BYTES_LOG2;
        if blocks <= blocks_left {
            let entry = c << PRIME_AT | u64::from(step.next) << STEP_AT | (at % BLOCK_BYTES as u64);
            let bucket = (self.now + blocks as usize) & (self.tails.len() - 1);
            self.pages.push(&mut self.tails[bucket], entry);
        }
    }
}

/// So many entries a page has, with its first word.
const PAGE_ENTRIES: usize = PAGE_BYTES / size_of::<Entry>();
const PAGE_BYTES: usize = 4096;
/// So many pages are allocated together.
const SLAB_PAGES: usize = 64;

#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([Entry; PAGE_ENTRIES]);

/// Pages, and which are free.
#[derive(Default)]
struct Pages {
    /// They are reached by pointers only.
    slabs: Vec<*mut [Page]>,
    /// What was freed last is in the cache, and is taken first.
    free: Vec<*mut Entry>,
}

impl Pages {
    /// Appends an entry to the chain of pages that ends at `tail`.
    #[inline(always)]
    fn push(&mut self, tail: &mut *mut Entry, entry: Entry) {
        let mut at = *tail;
        if at.addr().is_multiple_of(PAGE_BYTES) {
            at = self.begin(at);
        }
        // SAFETY: a tail that is not at the end of a page points into one that is in this chain alone.
        unsafe {
            at.write(entry);
            *tail = at.add(1);
        }
    }

    /// The first entry of a new page after the one that ends at `before`.
    #[cold]
    #[inline(never)]
    fn begin(&mut self, before: *mut Entry) -> *mut Entry {
        if self.free.is_empty() {
            let slab = Box::into_raw(vec![Page([0; PAGE_ENTRIES]); SLAB_PAGES].into_boxed_slice());
            self.slabs.push(slab);
            // SAFETY: all of them lie in the slab.
            self.free.extend((0..SLAB_PAGES).map(|page| unsafe { slab.cast::<Entry>().add(page * PAGE_ENTRIES) }));
        }
        let page = self.free.pop().expect("there are free ones");
        // SAFETY: a page is aligned as its size is, has room for a pointer in its first word, and was free.
        unsafe {
            page.cast::<*mut Entry>().write(before);
            page.add(1)
        }
    }

    /// The page that a tail, which is not null, ends.
    fn of(tail: *mut Entry) -> *mut Entry {
        tail.map_addr(|addr| (addr - 1) / PAGE_BYTES * PAGE_BYTES)
    }

    /// The tail that was before the page was begun.
    fn before(page: *mut Entry) -> *mut Entry {
        // SAFETY: `begin` has written it there.
        unsafe { page.cast::<*mut Entry>().read() }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for slab in self.slabs.drain(..) {
            // SAFETY: they came from boxes, and no pointer into them is left.
            drop(unsafe { Box::from_raw(slab) });
        }
    }
}
