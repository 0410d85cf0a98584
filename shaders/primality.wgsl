// Strong-probable-prime tests to sets of bases that leave no composite below 2^64, in Montgomery arithmetic. The sets, each with
// the bound below which it has been verified to leave no pseudoprime: 2, 7, 61 below 4,759,123,141 and 2, 3, 5, 7, 11 below
// 2,152,302,898,747 (Jaeschke, "On strong pseudoprimes to several bases", Math. Comp. 61, 1993); 2, 325, 9375, 28178, 450775,
// 9780504, 1795265022 below 2^64 (Sinclair 2011, verified against Feitsma's list of all base-2 pseudoprimes). The CPU side
// (`src/kernels/primes/primality/`) proves with other tests: each checks the other. After a `wide` prelude.

// The inverse of an odd n modulo 2^64: 5 bits to begin with, doubled four times.
fn inverse_of(n: Wide) -> Wide {
    var inverse = wide_mul(n, wide(3u, 0u));
    inverse = wide(wide_low(inverse) ^ 2u, wide_high(inverse));
    for (var round = 0u; round < 4u; round++) {
        inverse = wide_mul(inverse, wide_sub(wide(2u, 0u), wide_mul(n, inverse)));
    }
    return inverse;
}

// a * b / 2^64 modulo n.
fn montgomery(a: Wide, b: Wide, n: Wide, inverse: Wide) -> Wide {
    let high = wide_mul_high(a, b);
    let reduction = wide_mul_high(wide_mul(wide_mul(a, b), inverse), n);
    let difference = wide_sub(high, reduction);
    return select(difference, wide_add(difference, n), wide_lt(high, reduction));
}

fn add_modulo(a: Wide, b: Wide, n: Wide) -> Wide {
    let gap = wide_sub(n, b);
    return select(wide_sub(a, gap), wide_add(a, b), wide_lt(a, gap));
}

// Whether an odd n above 1 is a strong probable prime to a base below it.
fn is_strong(n: Wide, base: u32) -> bool {
    let inverse = inverse_of(n);
    let one = wide_power64_modulo(n);
    let minus_one = wide_sub(n, one);
    // The base as a residue, base * one, by doubling.
    var residue = WIDE_ZERO;
    for (var bit = 32u - countLeadingZeros(base); bit > 0u; bit--) {
        residue = add_modulo(residue, residue, n);
        if (((base >> (bit - 1u)) & 1u) == 1u) { residue = add_modulo(residue, one, n); }
    }
    let even = wide_sub(n, WIDE_ONE);
    let twos = select(32u + countTrailingZeros(wide_high(even)), countTrailingZeros(wide_low(even)), wide_low(even) != 0u);
    let exponent = wide_shr(even, twos & 63u);
    let high = wide_high(exponent);
    let bits = select(64u - countLeadingZeros(high), 32u - countLeadingZeros(wide_low(exponent)), high == 0u);
    var x = residue;
    for (var bit = bits; bit > 1u; bit--) {
        x = montgomery(x, x, n, inverse);
        if ((wide_low(wide_shr(exponent, bit - 2u)) & 1u) == 1u) { x = montgomery(x, residue, n, inverse); }
    }
    var strong = wide_eq(x, one) || wide_eq(x, minus_one);
    for (var squaring = 1u; squaring < twos && !strong; squaring++) {
        x = montgomery(x, x, n, inverse);
        strong = wide_eq(x, minus_one);
    }
    return strong;
}

// The bases past 2 that an n needs: number 0 to 5, or 0 where its set is shorter.
const OTHER_BASES: u32 = 6u;
fn other_base(n: Wide, number: u32) -> u32 {
    if (wide_lt(n, wide(464155845u, 1u))) { // 4,759,123,141
        switch number {
            case 0u: { return 7u; }
            case 1u: { return 61u; }
            default: { return 0u; }
        }
    }
    if (wide_lt(n, wide(524283451u, 501u))) { // 2,152,302,898,747
        switch number {
            case 0u: { return 3u; }
            case 1u: { return 5u; }
            case 2u: { return 7u; }
            case 3u: { return 11u; }
            default: { return 0u; }
        }
    }
    switch number {
        case 0u: { return 325u; }
        case 1u: { return 9375u; }
        case 2u: { return 28178u; }
        case 3u: { return 450775u; }
        case 4u: { return 9780504u; }
        default: { return 1795265022u; }
    }
}
