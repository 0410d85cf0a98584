// Which numbers of a range are prime: a bit for each number on the wheel of 30, as `src/kernels/primes/wheel.rs` lays them
// out: byte b of the bits stands for the numbers 30 b + {1, 7, 11, 13, 17, 19, 23, 29}.
//
// `sieve` crosses off by small primes in workgroup memory, `cross_off` by the others in the output, `test` tests what is
// left where the primes do not reach the root, and `count` counts. A multiple p * (30 t + w), w on the wheel, lies in byte
// p * t + p * w / 30, whose bit is that of p * w % 30: constant strides of p bytes for each w.
// After a `wide` prelude and `primality.wgsl`.

struct Params {
    // The first byte of this block among all bytes.
    byte_low: u32,
    byte_high: u32,
    // The u32 words of this block, from which word of the output on.
    words: u32,
    words_at: u32,
    // The primes of the table that this dispatch crosses off by.
    first_prime: u32,
    primes_end: u32,
    // Where counts go.
    counts_at: u32,
    // Bits of the first and the last two words that lie inside the range.
    first_low: u32,
    first_high: u32,
    last_low: u32,
    last_high: u32,
}

@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<atomic<u32>>;
// The primes from 2 on, below 2^24.
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

// The residues of the wheel, and the bit of each odd residue in a nibble of its own: 1 at 0, 7 at 3, ….
fn residue(index: u32) -> u32 { return (select(0x0d0b0701u, 0x1d171311u, index >= 4u) >> ((index & 3u) * 8u)) & 0xffu; }
fn bit_of_residue(residue: u32) -> u32 { return (residue * 8u) / 30u; }

struct Stride {
    // The first byte of the block that it hits.
    byte: u32,
    bit: u32,
}

// The block's first byte modulo p, which is below 2^24.
fn block_modulo(p: u32) -> u32 {
    var rest = params.byte_high % p;
    for (var shift = 32u; shift > 0u; shift -= 8u) {
        rest = ((rest << 8u) | ((params.byte_low >> (shift - 8u)) & 0xffu)) % p;
    }
    return rest;
}

// The multiples of p with cofactors of residue w, from byte `ahead` of the block on (0 but in `sieve`).
fn stride_of(p: u32, w: u32, ahead: u32) -> Stride {
    let product = (p % 30u) * w;
    let start = (p / 30u) * w + product / 30u;
    let base = (block_modulo(p) + ahead) % p;
    var byte = start - base;
    if (start < base) { byte += p; }
    // The prime itself stays: cofactor 1, in whatever block it lies, which need not begin at 0.
    let may_hold_it = params.byte_high == 0u && params.byte_low <= start;
    if (w == 1u && may_hold_it && params.byte_low + ahead + byte == start) { byte += p; }
    return Stride(byte, bit_of_residue(product % 30u));
}

const LANES: u32 = 64u;
// 8 KiB: 245,760 numbers.
const SEGMENT_WORDS: u32 = 2048u;
var<workgroup> segment: array<atomic<u32>, SEGMENT_WORDS>;

@compute @workgroup_size(64)
fn sieve(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (id.x + id.y * size.x) * SEGMENT_WORDS;
    if (first >= params.words) { return; }
    let bytes = SEGMENT_WORDS * 4u;
    for (var i = params.first_prime * 8u + lane; i < params.primes_end * 8u; i += LANES) {
        let p = table[i >> 3u];
        let stride = stride_of(p, residue(i & 7u), first * 4u);
        for (var byte = stride.byte; byte < bytes; byte += p) {
            atomicOr(&segment[byte >> 2u], 1u << ((byte & 3u) * 8u + stride.bit));
        }
    }
    workgroupBarrier();
    for (var i = lane; i < SEGMENT_WORDS && first + i < params.words; i += LANES) {
        var bits = ~atomicLoad(&segment[i]);
        // 1 is no prime.
        if (first + i == 0u && params.byte_low == 0u && params.byte_high == 0u) { bits &= ~1u; }
        atomicStore(&output[params.words_at + first + i], bits);
    }
}

@compute @workgroup_size(64)
fn cross_off(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = params.first_prime * 8u + (id.x + id.y * size.x) * LANES + lane;
    if (i >= params.primes_end * 8u) { return; }
    let p = table[i >> 3u];
    let stride = stride_of(p, residue(i & 7u), 0u);
    let bytes = params.words * 4u;
    for (var byte = stride.byte; byte < bytes; byte += p) {
        atomicAnd(&output[params.words_at + (byte >> 2u)], ~(1u << ((byte & 3u) * 8u + stride.bit)));
    }
}

// The bits that one workgroup tests: 32 words.
const TESTED_WORDS: u32 = 32u;
const TESTED_BITS: u32 = 1024u;
// The sieve's primes prove what is below the square of 67. (So do numbers that wrap past 2^64; they lie in no range.)
const LEAST_TESTED: u32 = 4489u;
var<workgroup> tested: array<atomic<u32>, TESTED_WORDS>;
var<workgroup> waiting: array<u32, TESTED_BITS>;
var<workgroup> waiting_len: atomic<u32>;
var<workgroup> strong: array<u32, TESTED_BITS>;
var<workgroup> strong_len: atomic<u32>;

// The number of bit `place` of the tested words, of which `first` is the first.
fn number_at(first: u32, place: u32) -> Wide {
    let byte = wide_add(wide(params.byte_low, params.byte_high), wide(first * 4u + (place >> 3u), 0u));
    return wide_add(wide_mul(byte, wide(30u, 0u)), wide(residue(place & 7u), 0u));
}

@compute @workgroup_size(64)
fn test(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (id.x + id.y * size.x) * TESTED_WORDS;
    if (first >= params.words) { return; }
    if (lane < TESTED_WORDS && first + lane < params.words) {
        var bits = atomicLoad(&output[params.words_at + first + lane]);
        // A loop of 32 trips at most.
        while (bits != 0u) {
            let bit = countTrailingZeros(bits);
            bits &= bits - 1u;
            waiting[atomicAdd(&waiting_len, 1u)] = lane * 32u + bit;
        }
    }
    workgroupBarrier();
    let tests = atomicLoad(&waiting_len);
    for (var i = lane; i < tests; i += LANES) {
        let place = waiting[i];
        let n = number_at(first, place);
        if (wide_lt(n, wide(LEAST_TESTED, 0u))) {
            atomicOr(&tested[place >> 5u], 1u << (place & 31u));
        } else if (is_strong(n, 2u)) {
            atomicOr(&tested[place >> 5u], 1u << (place & 31u));
            strong[atomicAdd(&strong_len, 1u)] = place;
        }
    }
    workgroupBarrier();
    let proofs = atomicLoad(&strong_len) * OTHER_BASES;
    for (var i = lane; i < proofs; i += LANES) {
        let place = strong[i / OTHER_BASES];
        let n = number_at(first, place);
        let base = other_base(n, i % OTHER_BASES);
        if (base != 0u && !is_strong(n, base)) { atomicAnd(&tested[place >> 5u], ~(1u << (place & 31u))); }
    }
    workgroupBarrier();
    if (lane < TESTED_WORDS && first + lane < params.words) {
        atomicStore(&output[params.words_at + first + lane], atomicLoad(&tested[lane]));
    }
}

// The words that one workgroup counts.
const COUNTED_WORDS: u32 = 1024u;
var<workgroup> total: atomic<u32>;

@compute @workgroup_size(64)
fn count(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = id.x + id.y * size.x;
    let first = group * COUNTED_WORDS;
    if (first >= params.words) { return; }
    var primes = 0u;
    for (var i = first + lane; i < min(first + COUNTED_WORDS, params.words); i += LANES) {
        var bits = atomicLoad(&output[params.words_at + i]);
        if (i == 0u) { bits &= params.first_low; }
        if (i == 1u) { bits &= params.first_high; }
        if (i + 2u == params.words) { bits &= params.last_low; }
        if (i + 1u == params.words) { bits &= params.last_high; }
        primes += countOneBits(bits);
    }
    atomicAdd(&total, primes);
    workgroupBarrier();
    if (lane == 0u) { atomicStore(&output[params.counts_at + group], atomicLoad(&total)); }
}
