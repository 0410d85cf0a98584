// Which of these numbers are prime: a bit each. A workgroup sorts out the easy ones of its tile, then tests those left to base
// 2, then the few left to the other bases, a base an invocation: so that no invocation waits for another's early end.
// After a `wide` prelude and `primality.wgsl`.

struct Params {
    // The numbers of the chunk.
    count: u32,
    // The tiles of this dispatch.
    first_tile: u32,
    tiles_end: u32,
}

@group(0) @binding(0) var<storage, read> input: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
// For each trial prime p, which are the odd ones from 3 to 61: its inverse modulo 2^64, and the greatest quotient by it.
@group(0) @binding(2) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

const LANES: u32 = 64u;
const TILE: u32 = 512u;
const TRIAL_PRIMES: u32 = 17u;
// The square of the first prime past the trial primes, 67.
const TRIAL_PROVES: u32 = 4489u;

var<workgroup> words: array<atomic<u32>, 16>;
var<workgroup> waiting: array<u32, TILE>;
var<workgroup> waiting_len: atomic<u32>;
var<workgroup> strong: array<u32, TILE>;
var<workgroup> strong_len: atomic<u32>;

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

@compute @workgroup_size(64)
fn test(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = params.first_tile + id.x + id.y * size.x;
    if (tile >= params.tiles_end) { return; }
    let first = tile * TILE;
    for (var local = lane; local < TILE; local += LANES) {
        if (first + local < params.count) {
            let verdict = by_trial(number_at(first + local));
            if (verdict == PRIME) { atomicOr(&words[local >> 5u], 1u << (local & 31u)); }
            if (verdict == UNKNOWN) { waiting[atomicAdd(&waiting_len, 1u)] = local; }
        }
    }
    workgroupBarrier();
    let tests = atomicLoad(&waiting_len);
    for (var i = lane; i < tests; i += LANES) {
        let local = waiting[i];
        if (is_strong(number_at(first + local), 2u)) {
            atomicOr(&words[local >> 5u], 1u << (local & 31u));
            strong[atomicAdd(&strong_len, 1u)] = local;
        }
    }
    workgroupBarrier();
    let proofs = atomicLoad(&strong_len) * OTHER_BASES;
    for (var i = lane; i < proofs; i += LANES) {
        let local = strong[i / OTHER_BASES];
        let n = number_at(first + local);
        let base = other_base(n, i % OTHER_BASES);
        if (base != 0u && !is_strong(n, base)) { atomicAnd(&words[local >> 5u], ~(1u << (local & 31u))); }
    }
    workgroupBarrier();
    if (lane < 16u) { output[tile * 16u + lane] = atomicLoad(&words[lane]); }
}
