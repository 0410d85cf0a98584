//! Lenstra's elliptic-curve method: Lenstra, "Factoring integers with elliptic curves", Annals of Mathematics 126 (1987), on the
//! curves and with the continuation of Montgomery, "Speeding the Pollard and elliptic curve methods of factorization", Math.
//! Comp. 48 (1987), started from the points of Suyama's parametrisation (Brent, "Some integer factorization algorithms using
//! elliptic curves", 1986), which make every group order a multiple of 12.

use num_traits::{One, Zero};

use crate::kernels::primes::is_prime;
use crate::tasks::factor::modulus::Modulus;

/// How far one curve goes: it finds a prime `p` where the order of its group modulo `p` has all its prime powers below
/// `b1`, but for one prime below `b2`.
#[derive(Debug)]
pub(super) struct Bounds {
    /// The primes up to `b1`, each to the power that stays below it, multiplied together as far as they fit.
    multipliers: Vec<u64>,
    /// The first and last multiples of [`GIANT`] of the second stage.
    giants: std::ops::Range<u64>,
}

/// The second stage looks at `k * GIANT ± j`.
const GIANT: u64 = 210;

/// The `j`: what is below half of it and shares no factor with it.
const BABIES: [usize; 24] =
    [1, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103];

impl Bounds {
    pub(super) fn new(b1: u64, b2: u64) -> Self {
        let mut multipliers = vec![1u64];
        for p in (2..=b1).filter(|&p| is_prime(p)) {
            let power = p.pow(b1.ilog(p));
            match multipliers.last_mut().and_then(|last| Some((last.checked_mul(power)?, last))) {
                Some((product, last)) => *last = product,
                None => multipliers.push(power),
            }
        }
        Self { multipliers, giants: b1 / GIANT..b2.div_ceil(GIANT) }
    }
}

/// A point, by its coordinates X and Z: all that Montgomery's formulas need.
#[derive(Clone, Copy)]
struct Point<W> {
    x: W,
    z: W,
}

/// A curve `B y^2 = x^3 + A x^2 + x`.
#[derive(Clone, Copy)]
struct Curve<M: Modulus> {
    modulus: M,
    /// (A + 2) / 4.
    a24: M::Word,
}

impl<M: Modulus> Curve<M> {
    /// The curve of Suyama's parameter `sigma`, above 5, and a point of it; a divisor of the number where there is none.
    fn of(modulus: M, sigma: u64) -> Result<(Self, Point<M::Word>), M::Word> {
        let m = modulus;
        let sigma = m.residue(sigma);
        let times = |small, x| m.mul(m.residue(small), x);
        let u = m.sub(m.square(sigma), m.residue(5));
        let v = times(4, sigma);
        let cube = |x| m.mul(m.square(x), x);
        let (x, z) = (cube(u), cube(v));
        let numerator = m.mul(cube(m.sub(v, u)), m.add(times(3, u), v));
        let denominator = times(16, m.mul(x, v));
        let a24 = m.mul(numerator, m.invert(denominator)?);
        Ok((Self { modulus, a24 }, Point { x, z }))
    }

    #[inline(always)]
    fn double(self, p: Point<M::Word>) -> Point<M::Word> {
        let m = self.modulus;
        let sum = m.square(m.add(p.x, p.z));
        let difference = m.square(m.sub(p.x, p.z));
        let product = m.sub(sum, difference);
        Point { x: m.mul(sum, difference), z: m.mul(product, m.add(difference, m.mul(self.a24, product))) }
    }

    /// `p + q`, where `difference` is `p - q`.
    #[inline(always)]
    fn add(self, p: Point<M::Word>, q: Point<M::Word>, difference: Point<M::Word>) -> Point<M::Word> {
        let m = self.modulus;
        let u = m.mul(m.sub(p.x, p.z), m.add(q.x, q.z));
        let v = m.mul(m.add(p.x, p.z), m.sub(q.x, q.z));
        let (sum, minus) = (m.add(u, v), m.sub(u, v));
        Point { x: m.mul(difference.z, m.square(sum)), z: m.mul(difference.x, m.square(minus)) }
    }

    /// `factor * p`, the factor above 0, by Montgomery's ladder.
    fn multiply(self, factor: u64, p: Point<M::Word>) -> Point<M::Word> {
        let (mut low, mut high) = (p, self.double(p));
        for bit in (0..63 - factor.leading_zeros()).rev() {
            let sum = self.add(high, low, p);
            if factor >> bit & 1 == 1 {
                (low, high) = (sum, self.double(high));
            } else {
                (low, high) = (self.double(low), sum);
            }
        }
        low
    }
}

/// A proper factor of the number, if the curve of `sigma` finds one within these bounds.
pub(super) fn factor<M: Modulus>(modulus: M, sigma: u64, bounds: &Bounds) -> Option<M::Word> {
    let proper = |divisor: M::Word| (divisor != M::Word::one() && divisor != modulus.number()).then_some(divisor);
    let (curve, start) = match Curve::of(modulus, sigma) {
        Ok(found) => found,
        Err(divisor) => return proper(divisor),
    };
    let point = bounds.multipliers.iter().fold(start, |point, &factor| curve.multiply(factor, point));
    let divisor = modulus.gcd(point.z);
    if divisor != M::Word::one() {
        return proper(divisor);
    }
    proper(modulus.gcd(second_stage(curve, point, bounds)))
}

/// The product of what is divisible by a factor `p` where `(k * GIANT ± j) * point` is the zero of the curve modulo `p`.
fn second_stage<M: Modulus>(curve: Curve<M>, point: Point<M::Word>, bounds: &Bounds) -> M::Word {
    let m = curve.modulus;
    // The odd multiples of the point; every fourth or so is a baby step.
    let two = curve.double(point);
    let mut babies = [(point, M::Word::zero()); BABIES.len()];
    let (mut previous, mut multiple, mut at) = (point, point, 1);
    for (&j, (baby, product)) in BABIES.iter().zip(&mut babies) {
        while at < j {
            (previous, multiple) = (multiple, curve.add(multiple, two, previous));
            at += 2;
        }
        (*baby, *product) = (multiple, m.mul(multiple.x, multiple.z));
    }
    let step = curve.multiply(GIANT, point);
    let first = bounds.giants.start.max(1);
    let mut giant = curve.multiply(first, step);
    let mut next = curve.multiply(first + 1, step);
    let mut product = m.one();
    for _ in first..bounds.giants.end {
        let own = m.mul(giant.x, giant.z);
        for &(baby, baby_own) in &babies {
            // (Xg - Xj)(Zg + Zj) is Xg Zj - Xj Zg and the two products that are known.
            let cross = m.mul(m.sub(giant.x, baby.x), m.add(giant.z, baby.z));
            product = m.mul(product, m.add(m.sub(cross, own), baby_own));
        }
        (giant, next) = (next, curve.add(next, step, giant));
    }
    product
}
