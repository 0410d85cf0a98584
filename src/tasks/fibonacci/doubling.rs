//! Fast doubling: from F(k) and F(k-1) to those of 2k or 2k+1 with two squarings, by the identities
//!
//! - F(2k-1) = F(k)^2 + F(k-1)^2
//! - F(2k+1) = 4 F(k)^2 - F(k-1)^2 + 2 (-1)^k
//! - F(2k) = F(2k+1) - F(2k-1)
//!
//! of which the first and last are in Knuth, "The Art of Computer Programming", volume 1, section 1.2.8, and the second follows
//! from them and Cassini's F(k+1) F(k-1) - F(k)^2 = (-1)^k.

use num_bigint::BigUint;

use crate::job::JobError;
use crate::tasks::fibonacci::Check;

/// Doubling begins at a term that fits 64 bits.
const NARROW_MAX: u64 = 93;

/// So many additions cost less than a few doublings of long numbers.
const ADDITIONS_MAX: u64 = 16;

/// A term and the one before it.
pub(super) struct Pair {
    n: u64,
    term: BigUint,
    before: BigUint,
}

impl Pair {
    /// The term of index `n`, from the top bits of `n` on.
    ///
    /// # Errors
    /// Those of `check`, which is asked before each doubling.
    pub(super) fn at(n: u64, check: &Check<'_>) -> Result<Self, JobError> {
        let doublings = (0..64).find(|&shift| n >> shift <= NARROW_MAX).unwrap_or(64);
        let (mut term, mut before) = (0u64, 1);
        for _ in 0..n >> doublings {
            (term, before) = (term + before, term);
        }
        let mut pair = Self { n: n >> doublings, term: term.into(), before: before.into() };
        for shift in (0..doublings).rev() {
            check()?;
            pair = pair.doubled(n >> shift & 1 == 1);
        }
        Ok(pair)
    }

    /// The pair of twice the index, or of one more.
    fn doubled(self, one_more: bool) -> Self {
        let square = &self.term * &self.term;
        let square_before = &self.before * &self.before;
        let before = &square + &square_before;
        let mut after = (square << 2u32) - square_before;
        if self.n.is_multiple_of(2) {
            after += 2u32;
        } else {
            after -= 2u32;
        }
        let term = &after - &before;
        if one_more {
            Self { n: 2 * self.n + 1, term: after, before: term }
        } else {
            Self { n: 2 * self.n, term, before }
        }
    }

    /// Whether a few additions lead to the term of index `n`.
    pub(super) fn is_shortly_before(&self, n: u64) -> bool {
        n.checked_sub(self.n).is_some_and(|distance| distance <= ADDITIONS_MAX)
    }

    /// The pair of index `n`, which is not below this one's, by addition.
    pub(super) fn advanced_to(mut self, n: u64) -> Self {
        while self.n < n {
            self.before += &self.term;
            std::mem::swap(&mut self.before, &mut self.term);
            self.n += 1;
        }
        self
    }

    /// The term.
    pub(super) fn term(&self) -> &BigUint {
        &self.term
    }
}
