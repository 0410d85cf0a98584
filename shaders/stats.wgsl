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
    let least_missing = key_of(params.missing_least_low, params.missing_least_high);
    let greatest_missing = key_of(params.missing_greatest_low, params.missing_greatest_high);
    let missing = key_le(least_missing, key) && key_le(key, greatest_missing);
    if (!FLOAT) { return missing; }
    // From the least valid key to the greatest, as a distance.
    let valid_least = key_of(VALID_LEAST_LOW, VALID_LEAST_HIGH);
    let span = key_sub(key_of(VALID_GREATEST_LOW, VALID_GREATEST_HIGH), valid_least);
    return missing || key_lt(span, key_sub(key, valid_least));
}

// How many elements an invocation takes before it looks at those that its window does not hold.
const BATCH: u32 = 32u;
// After this many of them in a batch it moves its window.
const MISSES: u32 = 8u;

// Of one invocation.
var<private> least: Key = KEY_ONES;
var<private> greatest: Key = KEY_ZERO;
var<private> nan_count: u32;
// The least exponent of the window.
var<private> window: u32;

// The bit of the window's lowest one in a sum.
fn window_position() -> u32 { return max(window, 1u) - 1u; }

// Takes an element that is NaN, zero or in the window; 1 where it is none of these, and nothing but the least and the greatest
// key have seen it. Hardly any invocation takes another way than its neighbours here.
fn take(raw: Raw) -> u32 {
    let key = key_of_raw(raw);
    let valid = !is_nan(key);
    least = key_min(least, select(KEY_ONES, key, valid));
    greatest = key_max(greatest, select(KEY_ZERO, key, valid));
    nan_count += select(1u, 0u, valid);
    if (!FLOAT) {
        gather_raw(raw, 0u, valid);
        return 0u;
    }
    // Wraps to a large number below the window. None reaches to the exponent of infinities.
    let shift = exponent_of(raw) - window;
    let fits = shift < WINDOW;
    gather_raw(raw, shift, valid && fits);
    return select(0u, 1u, valid && !fits && !is_zero(raw));
}

const COUNT: u32 = 0u;
const NAN_COUNT: u32 = 1u;
const POSITIVE_INFINITIES: u32 = 2u;
const NEGATIVE_INFINITIES: u32 = 3u;
var<workgroup> counts: array<atomic<u32>, 4>;

// The exponents of a sample of the workgroup's elements: the greatest, the sum, how many.
var<workgroup> top_exponent: atomic<u32>;
var<workgroup> exponents: atomic<u32>;
var<workgroup> exponents_count: atomic<u32>;

// The window whose highest exponent is this one, or as near to it as there are exponents.
fn window_below(top: u32) -> u32 { return clamp(max(top + 1u, WINDOW) - WINDOW, 1u, EXPONENTS_END - WINDOW); }

// A window for the whole workgroup, from the first elements of each invocation: what lies below the greatest of them, or, where they
// lie far apart, what lies about their mean.
fn open_common_window(first: u32) {
    var top = 0u;
    var sum_of_exponents = 0u;
    var samples = 0u;
    for (var i = first; i < min(first + QUAD, params.count); i++) {
        let raw = raw_at(i);
        let exponent = exponent_of(raw);
        if (exponent != 0u && exponent != EXPONENTS_END && !is_nan(key_of_raw(raw))) {
            top = max(top, exponent);
            sum_of_exponents += exponent;
            samples += 1u;
        }
    }
    if (samples != 0u) {
        atomicMax(&top_exponent, top);
        atomicAdd(&exponents, sum_of_exponents);
        atomicAdd(&exponents_count, samples);
    }
    workgroupBarrier();
    let mean = atomicLoad(&exponents) / max(atomicLoad(&exponents_count), 1u);
    // Two more, since a sample seldom has the greatest.
    window = window_below(min(atomicLoad(&top_exponent) + 2u, mean + WINDOW / 2u));
}

// What one invocation hands over to the next stage of adding up, and what that hands over to the last.
const SLOTS: u32 = 16u;
// Parts that are added up at once, each in two words.
const PARTS_AT_ONCE: u32 = 4u;
var<workgroup> halves: array<u32, 2u * PARTS_AT_ONCE * LANES>;
var<workgroup> least_keys: array<Key, LANES>;
var<workgroup> greatest_keys: array<Key, LANES>;

// Adds up what the invocations gathered, all in one window: 16 slots, each of 16 invocations, go to the shared limbs. Signed sums
// have 2^63 added each, which is taken away again at the end.
fn share_all_gathered(lane: u32) {
    let position = window_position();
    for (var first = 0u; first < PARTS; first += PARTS_AT_ONCE) {
        for (var i = 0u; i < PARTS_AT_ONCE; i++) {
            let part = first + i;
            let value = gathered(part);
            halves[2u * i * LANES + lane] = wide_low(value);
            halves[(2u * i + 1u) * LANES + lane] = wide_high(value) ^ select(0u, 0x80000000u, part < SUMS);
        }
        workgroupBarrier();
        let row = lane / SLOTS;
        if (row < 2u * PARTS_AT_ONCE) {
            var total = WIDE_ZERO;
            for (var i = lane % SLOTS; i < LANES; i += SLOTS) { total = wide_add(total, wide(halves[row * LANES + i], 0u)); }
            let part = first + row / 2u;
            let bit = bit_of(part, position) + 32u * (row & 1u);
            if (part < SUMS) { share(of_sum(false, bit, total)); } else { share(of_squares(bit, total)); }
        }
        workgroupBarrier();
    }
    if (lane < SUMS) { share(of_sum(true, bit_of(lane, position) + 63u, wide(LANES, 0u))); }
}

// A record: four counts, the least and the greatest key, the limbs.
const RECORD_WORDS: u32 = 8u + LIMBS;

@compute @workgroup_size(256)
fn moments(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = params.first_group + id.x + id.y * size.x;
    if (group >= params.groups_end) { return; }
    // Four words at a time; of a chunk's last four, what there is goes the way of what the window does not hold.
    let start = group * LANES * (params.per_invocation / QUAD);
    let first = start + lane * select(1u, params.per_invocation / QUAD, params.contiguous == 1u);
    let step_bits = select(8u, 0u, params.contiguous == 1u);
    let whole = params.count / QUAD;
    if (FLOAT) { open_common_window(first * QUAD); }
    let common_window = window;
    var seen = 0u;
    var positive_infinities = 0u;
    var negative_infinities = 0u;
    for (var taken = 0u; taken < params.per_invocation; taken += BATCH) {
        let at = first + ((taken / QUAD) << step_bits);
        let there = (max(whole, at) - at + (1u << step_bits) - 1u) >> step_bits;
        let len = min(there, BATCH / QUAD);
        var missed = 0u;
        var i = 0u;
        for (; i < len; i++) { missed |= take_quad(quads[at + (i << step_bits)]) << (QUAD * i); }
        end_batch();
        let misses = countOneBits(missed);
        seen += QUAD * i - misses;
        if (len < BATCH / QUAD && at + (len << step_bits) == whole) {
            missed |= ((1u << (params.count % QUAD)) - 1u) << (QUAD * len);
        }
        // One loop for all that is rare, so that it costs a batch little where nothing is: first what the window does not hold,
        // element by element, then what it holds, if it moves.
        let last = taken + BATCH >= params.per_invocation;
        var next_window = common_window;
        var decided = false;
        var moving = false;
        var part = 0u;
        var lowest = 0xffffffffu;
        var highest = 0u;
        loop {
            if (missed == 0u && !decided) {
                decided = true;
                // Only where another window holds what this one does not.
                let moves = misses >= MISSES && lowest <= highest && highest - lowest < WINDOW;
                moving = FLOAT && ((last && window != common_window) || (!last && moves));
                if (moves && !last) { next_window = window_below((highest + lowest + WINDOW) / 2u); }
            }
            if (missed == 0u && !moving) { break; }
            var addend: Addend;
            if (missed != 0u) {
                let element = firstTrailingBit(missed);
                let raw = raw_at((at + ((element / QUAD) << step_bits)) * QUAD + element % QUAD);
                let key = key_of_raw(raw);
                let valid = !is_nan(key);
                var magnitude = magnitude_of(raw);
                let infinite = FLOAT && exponent_of(raw) == EXPONENTS_END;
                if (!valid || infinite) { magnitude.value = MAGNITUDE_ZERO; }
                addend = element_addend(magnitude, part);
                if (part == 0u) {
                    seen += 1u;
                    nan_count += select(1u, 0u, valid);
                    least = key_min(least, select(KEY_ONES, key, valid));
                    greatest = key_max(greatest, select(KEY_ZERO, key, valid));
                    positive_infinities += select(0u, 1u, valid && infinite && !magnitude.negative);
                    negative_infinities += select(0u, 1u, valid && infinite && magnitude.negative);
                    // No window holds subnormals.
                    if (valid && !infinite && exponent_of(raw) != 0u) {
                        lowest = min(lowest, exponent_of(raw));
                        highest = max(highest, exponent_of(raw));
                    }
                }
                part += 1u;
                if (part == ELEMENT_PARTS) {
                    part = 0u;
                    missed &= missed - 1u;
                }
            } else {
                let value = gathered(part);
                let negative = part < SUMS && (wide_high(value) >> 31u) == 1u;
                let bit = bit_of(part, window_position());
                addend = of_squares(bit, value);
                if (part < SUMS) { addend = of_sum(negative, bit, select(value, wide_sub(WIDE_ZERO, value), negative)); }
                part += 1u;
                if (part == PARTS) {
                    empty_gathered();
                    window = next_window;
                    moving = false;
                }
            }
            share(addend);
        }
    }
    atomicAdd(&counts[COUNT], seen - nan_count);
    atomicAdd(&counts[NAN_COUNT], nan_count);
    if (FLOAT) {
        atomicAdd(&counts[POSITIVE_INFINITIES], positive_infinities);
        atomicAdd(&counts[NEGATIVE_INFINITIES], negative_infinities);
    }
    least_keys[lane] = least;
    greatest_keys[lane] = greatest;
    share_all_gathered(lane);
    // The first slots of keys, after the barriers above.
    if (lane < SLOTS) {
        for (var i = lane; i < LANES; i += SLOTS) {
            least = key_min(least, least_keys[i]);
            greatest = key_max(greatest, greatest_keys[i]);
        }
        least_keys[lane] = least;
        greatest_keys[lane] = greatest;
    }
    workgroupBarrier();
    let record = params.output_at + group * RECORD_WORDS;
    if (lane < 4u) { atomicStore(&output[record + lane], atomicLoad(&counts[lane])); }
    if (lane == 0u) {
        for (var i = 1u; i < SLOTS; i++) {
            least = key_min(least, least_keys[i]);
            greatest = key_max(greatest, greatest_keys[i]);
        }
        atomicStore(&output[record + 4u], key_low(least));
        atomicStore(&output[record + 5u], key_high(least));
        atomicStore(&output[record + 6u], key_low(greatest));
        atomicStore(&output[record + 7u], key_high(greatest));
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
        let key = key_of_raw(raw_at(i));
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
        let key = key_of_raw(raw_at(i));
        if (is_nan(key)) { left_out += 1u; } else { add_to_cell(rank_of(key, START_WORDS), 1u); }
    }
    end_counting(lane, left_out);
}
