// How fast a device reads its memory: the exclusive or of all numbers of 64 bits.

struct Params {
    // Vectors of two numbers.
    vectors: u32,
    // Vectors an invocation.
    each: u32,
    // Whether an invocation reads a contiguous run, and not every n-th vector.
    contiguous: u32,
}

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> output: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn read_all(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) size: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let invocation = (id.x + id.y * size.x) * 64u + lane;
    let invocations = size.x * size.y * 64u;
    let step = select(invocations, 1u, params.contiguous == 1u);
    var at = select(invocation, invocation * params.each, params.contiguous == 1u);
    var all = vec4<u32>(0u);
    for (var i = 0u; i < params.each; i++) {
        if (at < params.vectors) { all ^= input[at]; }
        at += step;
    }
    atomicXor(&output[0], all.x ^ all.z);
    atomicXor(&output[1], all.y ^ all.w);
}
