// How fast a device computes: chains of multiply-adds of 64 bits, one an invocation.

struct Params {
    // The number of the first chain.
    first: u32,
    // Chains of this dispatch.
    chains: u32,
}

@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

// Squares, since a compiler makes one multiplication of many by a constant.
const INCREMENT: u64 = 1442695040888963407lu;

@compute @workgroup_size(64)
fn chains(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let invocation = (id.x + id.y * size.x) * 64u + lane;
    if (invocation >= params.chains) { return; }
    var x = u64(params.first + invocation);
    // 512 times eight links.
    for (var i = 0u; i < 512u; i++) {
        x = x * x + INCREMENT;
        x = x * x + INCREMENT;
        x = x * x + INCREMENT;
        x = x * x + INCREMENT;
        x = x * x + INCREMENT;
        x = x * x + INCREMENT;
        x = x * x + INCREMENT;
        x = x * x + INCREMENT;
    }
    atomicXor(&output[0], u32(x & 0xfffffffflu));
    atomicXor(&output[1], u32(x >> 32u));
}
