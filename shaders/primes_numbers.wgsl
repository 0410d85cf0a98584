// Which of these numbers are prime: a bit each. A dispatch sorts out the easy numbers of a piece and lists the others, a second
// tests those to base 2, and a third the few that pass to the other bases, a base an invocation: whoever runs side by side has the
// same to do, however the hard numbers lie in the list, and no invocation waits for another's early end. Which place a number has in
// a list is left to chance; its bit is where the number is. After a `wide` prelude and `primality.wgsl`.

struct Params {
    // The numbers of the chunk.
    count: u32,
    // The first number of the piece, a multiple of a tile, and the first one after it.
    first: u32,
    end: u32,
    // Where in the output are how many numbers of the piece have been listed as hard and as strong, those two lists, and the bits.
    lengths_at: u32,
    hard_at: u32,
    strong_at: u32,
    bits_at: u32,
}

@group(0) @binding(0) var<storage, read> input: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> output: array<atomic<u32>>;
// For each trial prime p, which are the odd ones from 3 to 61: its inverse modulo 2^64, and the greatest quotient by it.
@group(0) @binding(2) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

const LANES: u32 = 64u;
const TILE: u32 = 512u;
const TRIAL_PRIMES: u32 = 17u;
// The square of the first prime past the trial primes, 67.
const TRIAL_PROVES: u32 = 4489u;

fn number_at(index: u32) -> Wide {
    let halves = input[index];
    return wide(halves.x, halves.y);
}

const COMPOSITE: u32 = 0u;
const PRIME: u32 = 1u;
const UNKNOWN: u32 = 2u;

fn by_trial(n: Wide) -> u32 {
    let low = wide_low(n);
    let small = wide_high(n) == 0u;
    if ((low & 1u) == 0u) { return select(COMPOSITE, PRIME, small && low == 2u); }
    if (small && low == 1u) { return COMPOSITE; }
    for (var i = 0u; i < TRIAL_PRIMES; i++) {
        let divisor = table[i];
        let quotient = wide_mul(n, wide(divisor.x, divisor.y));
        if (!wide_lt(wide(divisor.z, divisor.w), quotient)) {
            // A multiple: of itself alone where the quotient is 1.
            return select(COMPOSITE, PRIME, wide_eq(quotient, WIDE_ONE));
        }
    }
    return select(UNKNOWN, PRIME, small && low < TRIAL_PROVES);
}

var<workgroup> words: array<atomic<u32>, 16>;
var<workgroup> waiting: array<u32, TILE>;
var<workgroup> waiting_len: atomic<u32>;
var<workgroup> place: u32;

// A workgroup a tile.
@compute @workgroup_size(64)
fn sort_out(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = params.first + (id.x + id.y * size.x) * TILE;
    if (first >= params.end) { return; }
    for (var local = lane; local < TILE; local += LANES) {
        if (first + local < params.count) {
            let verdict = by_trial(number_at(first + local));
            if (verdict == PRIME) { atomicOr(&words[local >> 5u], 1u << (local & 31u)); }
            if (verdict == UNKNOWN) { waiting[atomicAdd(&waiting_len, 1u)] = first + local; }
        }
    }
    workgroupBarrier();
    let listed = atomicLoad(&waiting_len);
    // Once a tile, as thousands wait for this word.
    if (lane == 0u) { place = atomicAdd(&output[params.lengths_at], listed); }
    workgroupBarrier();
    for (var i = lane; i < listed; i += LANES) { atomicStore(&output[params.hard_at + place + i], waiting[i]); }
    if (lane < 16u) { atomicStore(&output[params.bits_at + first / 32u + lane], atomicLoad(&words[lane])); }
}

@compute @workgroup_size(64)
fn test(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tests = atomicLoad(&output[params.lengths_at]);
    let step = size.x * size.y * LANES;
    for (var i = (id.x + id.y * size.x) * LANES + lane; i < tests; i += step) {
        let at = atomicLoad(&output[params.hard_at + i]);
        if (is_strong(number_at(at), 2u)) {
            atomicOr(&output[params.bits_at + (at >> 5u)], 1u << (at & 31u));
            atomicStore(&output[params.strong_at + atomicAdd(&output[params.lengths_at + 1u], 1u)], at);
        }
    }
}

@compute @workgroup_size(64)
fn prove(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let proofs = atomicLoad(&output[params.lengths_at + 1u]) * OTHER_BASES;
    let step = size.x * size.y * LANES;
    for (var i = (id.x + id.y * size.x) * LANES + lane; i < proofs; i += step) {
        let at = atomicLoad(&output[params.strong_at + i / OTHER_BASES]);
        let n = number_at(at);
        let base = other_base(n, i % OTHER_BASES);
        if (base != 0u && !is_strong(n, base)) { atomicAnd(&output[params.bits_at + (at >> 5u)], ~(1u << (at & 31u))); }
    }
}
