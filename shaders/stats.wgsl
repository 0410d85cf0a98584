// What a pass of `stats` gathers of a chunk: `moments`, a record a workgroup; `digits` of keys; `bins` of a histogram. After
// the constants of the element type, a `wide` prelude, `exact_sum.wgsl`, and the element's own two preludes.

struct Params {
    // Elements of the chunk, and at most how many an invocation takes.
    count: u32,
    per_invocation: u32,
    // The workgroups of this dispatch.
    first_group: u32,
    groups_end: u32,
    // 1: an invocation reads a run of elements; 0: neighbours read neighbouring elements.
    contiguous: u32,
    // Where the dispatch writes.
    output_at: u32,
    // The least and the greatest key of elements that count as NaN; none where the least is greater.
    missing_least_low: u32,
    missing_least_high: u32,
    missing_greatest_low: u32,
    missing_greatest_high: u32,
    // Where the dispatch finds its keys or ranges in the table, and how many.
    keys_at: u32,
    keys_len: u32,
    // Whether what lies between ranges is counted (1) or left out (0), and where those counts stand.
    between: u32,
    between_at: u32,
    // The counts, the last of them that of what no other counts, and whether a workgroup counts in its own memory first.
    cells: u32,
    tally_first: u32,
}

@group(0) @binding(1) var<storage, read_write> output: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const LANES: u32 = 256u;

// The elements of one invocation: how many, the first, and the way to the next.
struct Share {
    first: u32,
    step: u32,
    end: u32,
}

fn share_of(group: u32, lane: u32) -> Share {
    let start = group * LANES * params.per_invocation;
    if (params.contiguous == 1u) {
        let first = start + lane * params.per_invocation;
        return Share(first, 1u, min(first + params.per_invocation, params.count));
    }
    return Share(start + lane, LANES, min(start + LANES * params.per_invocation, params.count));
}

fn key_le(a: Key, b: Key) -> bool { return !key_lt(b, a); }

// Whether the element with this key counts as NaN.
fn is_nan(key: Key) -> bool {
    let least = key_of(params.missing_least_low, params.missing_least_high);
    let greatest = key_of(params.missing_greatest_low, params.missing_greatest_high);
    let missing = key_le(least, key) && key_le(key, greatest);
    return missing
        || key_lt(key, key_of(VALID_LEAST_LOW, VALID_LEAST_HIGH))
        || key_lt(key_of(VALID_GREATEST_LOW, VALID_GREATEST_HIGH), key);
}

const COUNT: u32 = 0u;
const NAN_COUNT: u32 = 1u;
const POSITIVE_INFINITIES: u32 = 2u;
const NEGATIVE_INFINITIES: u32 = 3u;
var<workgroup> counts: array<atomic<u32>, 4>;
var<workgroup> least_keys: array<Key, LANES>;
var<workgroup> greatest_keys: array<Key, LANES>;

// A record: four counts, the least and the greatest key, the limbs.
const RECORD_WORDS: u32 = 8u + LIMBS;
// After this many elements outside it, an invocation moves its window.
const MISSES: u32 = 8u;

@compute @workgroup_size(256)
fn moments(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = params.first_group + id.x + id.y * size.x;
    if (group >= params.groups_end) { return; }
    let elements = share_of(group, lane);
    var count = 0u;
    var nan_count = 0u;
    var positive_infinities = 0u;
    var negative_infinities = 0u;
    var least = KEY_ONES;
    var greatest = KEY_ZERO;
    var opened = false;
    var misses = 0u;
    for (var i = elements.first; i < elements.end; i += elements.step) {
        let raw = input[i];
        let key = key_of_raw(raw);
        if (is_nan(key)) {
            nan_count += 1u;
            continue;
        }
        count += 1u;
        if (key_lt(key, least)) { least = key; }
        if (key_lt(greatest, key)) { greatest = key; }
        if (FLOAT) {
            if (key_le(key_of(VALID_GREATEST_LOW, VALID_GREATEST_HIGH), key)) {
                positive_infinities += 1u;
                continue;
            }
            if (key_le(key, key_of(VALID_LEAST_LOW, VALID_LEAST_HIGH))) {
                negative_infinities += 1u;
                continue;
            }
        }
        let magnitude = magnitude_of(raw);
        if (is_zero(magnitude)) { continue; }
        if (!opened) {
            opened = true;
            window = magnitude.position - min(magnitude.position, WINDOW / 2u);
        }
        // Wraps to a large number below the window.
        let shift = magnitude.position - window;
        if (shift < WINDOW) {
            gather(magnitude, shift);
            continue;
        }
        share(magnitude);
        misses += 1u;
        if (misses == MISSES) {
            share_gathered();
            opened = false;
            misses = 0u;
        }
    }
    share_gathered();
    atomicAdd(&counts[COUNT], count);
    atomicAdd(&counts[NAN_COUNT], nan_count);
    if (FLOAT) {
        atomicAdd(&counts[POSITIVE_INFINITIES], positive_infinities);
        atomicAdd(&counts[NEGATIVE_INFINITIES], negative_infinities);
    }
    least_keys[lane] = least;
    greatest_keys[lane] = greatest;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half = half / 2u) {
        if (lane < half) {
            let other_least = least_keys[lane + half];
            if (key_lt(other_least, least_keys[lane])) { least_keys[lane] = other_least; }
            let other_greatest = greatest_keys[lane + half];
            if (key_lt(greatest_keys[lane], other_greatest)) { greatest_keys[lane] = other_greatest; }
        }
        workgroupBarrier();
    }
    let record = params.output_at + group * RECORD_WORDS;
    if (lane < 4u) { atomicStore(&output[record + lane], atomicLoad(&counts[lane])); }
    if (lane == 0u) {
        atomicStore(&output[record + 4u], key_low(least_keys[0]));
        atomicStore(&output[record + 5u], key_high(least_keys[0]));
        atomicStore(&output[record + 6u], key_low(greatest_keys[0]));
        atomicStore(&output[record + 7u], key_high(greatest_keys[0]));
    }
    for (var limb = lane; limb < LIMBS; limb += LANES) {
        atomicStore(&output[record + 8u + limb], atomicLoad(&limbs[limb]));
    }
}

// Room to count in before the output's memory is asked: 8 KiB.
const TALLY_CELLS: u32 = 2048u;
var<workgroup> tally: array<atomic<u32>, TALLY_CELLS>;

fn add_to_cell(cell: u32, count: u32) {
    if (params.tally_first == 1u) {
        atomicAdd(&tally[cell], count);
    } else {
        atomicAdd(&output[params.output_at + cell], count);
    }
}

// Ends the counting of an invocation. What it left out is counted too: cells that do not add up to the elements of the chunk
// show that some were never seen.
fn end_counting(lane: u32, left_out: u32) {
    if (left_out != 0u) { add_to_cell(params.cells - 1u, left_out); }
    workgroupBarrier();
    if (params.tally_first != 1u) { return; }
    for (var cell = lane; cell < params.cells; cell += LANES) {
        let counted = atomicLoad(&tally[cell]);
        if (counted != 0u) { atomicAdd(&output[params.output_at + cell], counted); }
    }
}

// A range of keys: the least and the greatest, the shift that makes a key's distance from the least a cell's number, and
// where the count of the first cell stands.
const RANGE_WORDS: u32 = 6u;
// A start of a bin.
const START_WORDS: u32 = 2u;

fn key_at(at: u32) -> Key { return key_of(table[at], table[at + 1u]); }

// How many keys of the table, one every so many words, are at most this one.
fn rank_of(key: Key, words: u32) -> u32 {
    var low = 0u;
    var high = params.keys_len;
    while (low < high) {
        let middle = low + (high - low) / 2u;
        if (key_le(key_at(params.keys_at + words * middle), key)) { low = middle + 1u; } else { high = middle; }
    }
    return low;
}

@compute @workgroup_size(256)
fn digits(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = params.first_group + id.x + id.y * size.x;
    if (group >= params.groups_end) { return; }
    let elements = share_of(group, lane);
    var left_out = 0u;
    for (var i = elements.first; i < elements.end; i += elements.step) {
        let key = key_of_raw(input[i]);
        if (is_nan(key)) {
            left_out += 1u;
            continue;
        }
        let begun = rank_of(key, RANGE_WORDS);
        if (begun > 0u) {
            let range = params.keys_at + RANGE_WORDS * (begun - 1u);
            if (key_le(key, key_at(range + 2u))) {
                let digit = key_low(key_shr(key_sub(key, key_at(range)), table[range + 4u]));
                add_to_cell(table[range + 5u] + digit, 1u);
                continue;
            }
        }
        if (params.between == 1u) { add_to_cell(params.between_at + begun, 1u); } else { left_out += 1u; }
    }
    end_counting(lane, left_out);
}

@compute @workgroup_size(256)
fn bins(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = params.first_group + id.x + id.y * size.x;
    if (group >= params.groups_end) { return; }
    let elements = share_of(group, lane);
    var left_out = 0u;
    for (var i = elements.first; i < elements.end; i += elements.step) {
        let key = key_of_raw(input[i]);
        if (is_nan(key)) { left_out += 1u; } else { add_to_cell(rank_of(key, START_WORDS), 1u); }
    }
    end_counting(lane, left_out);
}
