//! The primes that the sieve crosses off by: one table for the process, grown on demand.

use std::sync::{Arc, Mutex, PoisonError};

use crate::kernels::Isa;
use crate::kernels::primes::sieve::Sieve;
use crate::kernels::primes::wheel::{NUMBERS_PER_WORD, WHEEL_PRIMES, offset_of_bit};

/// The greatest limit of the table: 7.6 million primes, 30 MB.
pub(super) const LIMIT_MAX: u64 = 1 << 27;

/// The primes up to some limit, ascending.
#[derive(Clone, Debug)]
pub(super) struct BasePrimes {
    primes: Arc<[u32]>,
    limit: u64,
}

static TABLE: Mutex<Option<BasePrimes>> = Mutex::new(None);

impl BasePrimes {
    /// A table with all primes up to `limit` at least, which is at most [`LIMIT_MAX`]. Whoever needs a larger one than
    /// there is makes it, while others wait for it.
    pub(super) fn up_to(limit: u64) -> Self {
        assert!(limit <= LIMIT_MAX, "the table ends at {LIMIT_MAX}");
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        match &*table {
            Some(table) if table.limit >= limit => table.clone(),
            _ => table.insert(Self::build(limit.next_power_of_two().max(1 << 12))).clone(),
        }
    }

    /// The primes up to `limit`, which the table reaches.
    pub(super) fn below_or_at(&self, limit: u64) -> &[u32] {
        debug_assert!(limit <= self.limit);
        &self.primes[..self.primes.partition_point(|&p| u64::from(p) <= limit)]
    }

    fn build(limit: u64) -> Self {
        let words = limit / NUMBERS_PER_WORD + 1;
        let roots = by_eratosthenes((words * NUMBERS_PER_WORD).isqrt());
        let mut primes: Vec<u32> = WHEEL_PRIMES.iter().map(|&p| p as u32).collect();
        primes.reserve(if limit < 100 { 32 } else { (1.2 * limit as f64 / (limit as f64).ln()) as usize });
        Sieve::new(&roots, 0..words).on(Isa::detect()).for_each_block(|first_word, block| {
            for (word, &bits) in (first_word..).zip(block.iter()) {
                let mut bits = bits;
                while bits != 0 {
                    primes.push((word * NUMBERS_PER_WORD + offset_of_bit(bits.trailing_zeros())) as u32);
                    bits &= bits - 1;
                }
            }
        });
        Self { primes: primes.into(), limit }
    }
}

/// The primes up to a small limit.
fn by_eratosthenes(limit: u64) -> Vec<u32> {
    let mut composite = vec![false; limit as usize + 1];
    let mut primes = Vec::new();
    for n in 2..=limit as usize {
        if !composite[n] {
            primes.push(n as u32);
            (n * n..=limit as usize).step_by(n).for_each(|multiple| composite[multiple] = true);
        }
    }
    primes
}
