// What a pass of `corr` gathers of a chunk: `extremes` of the columns; or their own sums, `columns`, and those of the products
// of each pair of a tile, `products`. The input is rows of words of 64 bits, low half first: keys, and a word that is 1 where the
// row counts; or numbers of 52 bits, of long numbers all high halves of a row and then all low ones.

struct Params {
    // Rows of the chunk, and words of 64 bits from one to the next.
    rows: u32,
    stride: u32,
    // Columns, with those that fill the last panel up.
    lanes: u32,
    // 1: numbers of 52 bits; 2: of 104.
    width: u32,
    tiles: u32,
    // Parts of the chunk that are gathered side by side, the rows of a part in this dispatch, and the first row of the first.
    parts: u32,
    part_rows: u32,
    first_row: u32,
}

@group(0) @binding(0) var<storage, read> input: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
// The two panels of each tile.
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

const PANEL: u32 = 8u;
const LANES: u32 = 64u;
// Rows whose sums of 26 bits fit 32, three to a row.
const BLOCK: u32 = 16u;
const LIMB_BITS: u32 = 13u;
const LIMB: u32 = 0x1fffu;
const EXTREMES_WORDS: u32 = 4u;
const COLUMN_WORDS: u32 = 18u;

fn group_of(id: vec3<u32>, groups: vec3<u32>) -> u32 { return id.x + id.y * groups.x; }

fn less(a: vec2<u32>, b: vec2<u32>) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }

// The rows of a part, first and end.
fn rows_of(part: u32) -> vec2<u32> {
    let first = min(params.first_row + part * params.part_rows, params.rows);
    return vec2<u32>(first, min(first + params.part_rows, params.rows));
}

// The least and the greatest key of a column in a part; of the column past the last, how many rows count.
@compute @workgroup_size(64)
fn extremes(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column_groups = (params.lanes + 1u + LANES - 1u) / LANES;
    let group = group_of(id, groups);
    let part = group / column_groups;
    let lane = (group % column_groups) * LANES + local;
    if (part >= params.parts || lane > params.lanes) {
        return;
    }
    let rows = rows_of(part);
    let at = (part * (params.lanes + 1u) + lane) * EXTREMES_WORDS;
    // The output begins as zeros: what is kept is the complement of the least key.
    var least = ~vec2<u32>(output[at], output[at + 1u]);
    var greatest = vec2<u32>(output[at + 2u], output[at + 3u]);
    for (var row = rows.x; row < rows.y; row++) {
        let counts = input[row * params.stride + params.lanes].x;
        let key = input[row * params.stride + lane];
        if (lane == params.lanes) {
            greatest.x += counts;
        } else if (counts == 1u) {
            if (less(key, least)) { least = key; }
            if (less(greatest, key)) { greatest = key; }
        }
    }
    output[at] = ~least.x;
    output[at + 1u] = ~least.y;
    output[at + 2u] = greatest.x;
    output[at + 3u] = greatest.y;
}

// A number of 52 bits in limbs of 13.
fn limbs(word: vec2<u32>) -> vec4<u32> {
    let third = (word.x >> 26u) | (word.y << 6u);
    return vec4<u32>(word.x & LIMB, (word.x >> LIMB_BITS) & LIMB, third & LIMB, (word.y >> 7u) & LIMB);
}

// The product of two such numbers in words of 26 bits, the lowest first.
fn product(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    let e0 = a.x * b.x;
    let e1 = a.x * b.y + a.y * b.x + (e0 >> LIMB_BITS);
    let e2 = a.x * b.z + a.y * b.y + a.z * b.x + (e1 >> LIMB_BITS);
    let e3 = a.x * b.w + a.y * b.z + a.z * b.y + a.w * b.x + (e2 >> LIMB_BITS);
    let e4 = a.y * b.w + a.z * b.z + a.w * b.y + (e3 >> LIMB_BITS);
    let e5 = a.z * b.w + a.w * b.z + (e4 >> LIMB_BITS);
    let e6 = a.w * b.w + (e5 >> LIMB_BITS);
    return vec4<u32>(
        (e0 & LIMB) | ((e1 & LIMB) << LIMB_BITS),
        (e2 & LIMB) | ((e3 & LIMB) << LIMB_BITS),
        (e4 & LIMB) | ((e5 & LIMB) << LIMB_BITS),
        e6,
    );
}

// Adds sums of 32 bits to two of 64 in the output, that of the low words and that of the high ones.
fn flush(at: u32, sums: vec2<u32>) {
    let low = output[at] + sums.x;
    output[at + 1u] += select(0u, 1u, low < sums.x);
    output[at] = low;
    let high = output[at + 2u] + sums.y;
    output[at + 3u] += select(0u, 1u, high < sums.y);
    output[at + 2u] = high;
}

// What a product of two numbers adds to both sums: the high one, and the low one.
struct Added {
    top: vec2<u32>,
    rest: vec2<u32>,
}

fn added(a: vec4<u32>, a_low: vec4<u32>, b: vec4<u32>, b_low: vec4<u32>) -> Added {
    let high = product(a, b);
    var result = Added(high.zw, high.xy);
    if (params.width == 2u) {
        result.rest += product(a, b_low).zw + product(a_low, b).zw;
    }
    return result;
}

// Where the sums of the columns of a part begin, and those of its tiles.
fn columns_at(part: u32) -> u32 {
    return part * (params.lanes * COLUMN_WORDS + params.tiles * LANES * 4u * params.width);
}

@compute @workgroup_size(64)
fn columns(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column_groups = (params.lanes + LANES - 1u) / LANES;
    let group = group_of(id, groups);
    let part = group / column_groups;
    let lane = (group % column_groups) * LANES + local;
    if (part >= params.parts || lane >= params.lanes) {
        return;
    }
    let rows = rows_of(part);
    let at = columns_at(part) + lane * COLUMN_WORDS;
    var bits = vec2<u32>(0u);
    for (var block = rows.x; block < rows.y; block += BLOCK) {
        var sum = vec2<u32>(0u);
        var sum_low = vec2<u32>(0u);
        var top = vec2<u32>(0u);
        var rest = vec2<u32>(0u);
        for (var row = block; row < min(block + BLOCK, rows.y); row++) {
            let word = input[row * params.stride + lane];
            var low = vec2<u32>(0u);
            if (params.width == 2u) {
                low = input[row * params.stride + params.lanes + lane];
            }
            let x = limbs(word);
            let x_low = limbs(low);
            let squares = added(x, x_low, x, x_low);
            bits |= word;
            sum += vec2<u32>(x.x | (x.y << LIMB_BITS), x.z | (x.w << LIMB_BITS));
            sum_low += vec2<u32>(x_low.x | (x_low.y << LIMB_BITS), x_low.z | (x_low.w << LIMB_BITS));
            top += squares.top;
            rest += squares.rest;
        }
        flush(at, sum);
        flush(at + 4u, sum_low);
        flush(at + 8u, top);
        flush(at + 12u, rest);
    }
    output[at + 16u] |= bits.x;
    output[at + 17u] |= bits.y;
}

// A block of the rows of both panels of a tile: their high limbs, and their low ones.
var<workgroup> high_limbs: array<vec4<u32>, 256>;
var<workgroup> low_limbs: array<vec4<u32>, 256>;

@compute @workgroup_size(64)
fn products(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = group_of(id, groups);
    let part = group / params.tiles;
    let tile = group % params.tiles;
    if (part >= params.parts) {
        return;
    }
    let rows = rows_of(part);
    let first = table[2u * tile] * PANEL;
    let second = table[2u * tile + 1u] * PANEL;
    // This invocation's pair: column i of the first panel, and j of the second.
    let i = local % PANEL;
    let j = local / PANEL;
    let tiles_at = columns_at(part) + params.lanes * COLUMN_WORDS;
    let at = tiles_at + (tile * LANES + local) * 4u;
    let rest_at = at + params.tiles * LANES * 4u;
    for (var block = rows.x; block < rows.y; block += BLOCK) {
        for (var k = 0u; k < 2u * PANEL * BLOCK / LANES; k++) {
            let number = k * LANES + local;
            let row = block + number / (2u * PANEL);
            let of_both = number % (2u * PANEL);
            let lane = select(second + of_both - PANEL, first + of_both, of_both < PANEL);
            var word = vec2<u32>(0u);
            var low = vec2<u32>(0u);
            if (row < rows.y) {
                word = input[row * params.stride + lane];
                if (params.width == 2u) {
                    low = input[row * params.stride + params.lanes + lane];
                }
            }
            high_limbs[number] = limbs(word);
            low_limbs[number] = limbs(low);
        }
        workgroupBarrier();
        var top = vec2<u32>(0u);
        var rest = vec2<u32>(0u);
        for (var row = 0u; row < BLOCK; row++) {
            let a = row * 2u * PANEL + i;
            let b = row * 2u * PANEL + PANEL + j;
            let sums = added(high_limbs[a], low_limbs[a], high_limbs[b], low_limbs[b]);
            top += sums.top;
            rest += sums.rest;
        }
        flush(at, top);
        if (params.width == 2u) {
            flush(rest_at, rest);
        }
        workgroupBarrier();
    }
}
