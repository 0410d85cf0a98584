//! The device with kernels small enough to see through. The kernels' own folders test theirs.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use super::session::POISON;
use super::testing::{INVENTORY, all_forms, assert_same_on_gpu, device_for_tests};
use super::{GpuDevice, GpuOptions};
use crate::device::{Device, DeviceError};
use crate::input::{InMemory, Scratch, Source, Values};
use crate::job::JobError;
use crate::kernels::{
    Answer, Dispatch, DynKernel, FoldContext, GpuCaps, GpuInput, GpuStep, GpuWork, Integers, Kernel, Next, Shader, Work,
};

mod pieces;

/// Fails where wgpu's validator refuses a shader, for which no adapter is needed.
fn assert_valid(shader: &Shader) {
    use wgpu::naga;
    let module = naga::front::wgsl::parse_str(&shader.source)
        .unwrap_or_else(|error| panic!("{}: {}", shader.label, error.emit_to_string(&shader.source)));
    let capabilities = match shader.source.contains("u64") || shader.source.contains("i64") {
        true => naga::valid::Capabilities::SHADER_INT64,
        false => naga::valid::Capabilities::empty(),
    };
    let validated = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities).validate(&module);
    if let Err(error) = validated {
        panic!("{}: {}", shader.label, error.emit_to_string(&shader.source));
    }
}

/// Sums words: one word a workgroup of 64 invocations.
const SUM: &str = "
struct Params { count: u32, first: u32, groups: u32 }
@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;
var<workgroup> total: atomic<u32>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) size: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = params.first + id.x + id.y * size.x;
    if (group >= params.groups) { return; }
    let i = group * 64u + lane;
    if (i < params.count) { atomicAdd(&total, input[i] * table[0]); }
    workgroupBarrier();
    if (lane == 0u) { output[group] = atomicLoad(&total); }
}
";

/// The sum of `values` times a factor, modulo 2^32; the factor travels in the table.
struct Sum {
    source: Arc<dyn Source>,
    shader: Shader,
    factor: u32,
    /// Elements that a dispatch looks at and does not say so.
    unsaid: u64,
}

#[derive(Debug, PartialEq)]
struct SumAnswer(u32);

impl Answer for SumAnswer {
    fn write_json(&self, out: &mut dyn Write) -> std::io::Result<()> {
        write!(out, "{}", self.0)
    }
    fn write_text(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{}", self.0)
    }
    fn summary(&self) -> String {
        self.0.to_string()
    }
}

impl Kernel for Sum {
    type Pass = Arc<[u32]>;
    type Partial = u32;

    fn work(&self) -> Work {
        Work {
            kernel: "sum",
            variant: "u32".into(),
            units: self.source.len(),
            granularity: 1,
            bytes_per_unit: 4.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: 1.0,
            passes: 1,
            gpu: true,
        }
    }

    fn first_pass(&self) -> Result<Arc<[u32]>, JobError> {
        Ok(Arc::new([self.factor]))
    }

    fn fold(&self, factor: &Arc<[u32]>, units: Range<u64>, context: &mut FoldContext<'_>) -> Result<u32, JobError> {
        let Values::U32(values) = self.source.read(units, context.scratch)? else { panic!("it is u32") };
        Ok(values.iter().fold(0, |sum: u32, &value| sum.wrapping_add(value.wrapping_mul(factor[0]))))
    }

    fn merge(&self, into: &mut u32, from: u32) {
        *into = into.wrapping_add(from);
    }

    fn next(&self, _: &Arc<[u32]>, merged: u32) -> Result<Next<Arc<[u32]>>, JobError> {
        Ok(Next::Done(Box::new(SumAnswer(merged))))
    }

    fn gpu_work(&self, factor: &Arc<[u32]>, units: Range<u64>, caps: &GpuCaps) -> Result<Option<GpuWork>, JobError> {
        let count = (units.end - units.start) as u32;
        let groups = count.div_ceil(64);
        let piece = (caps.piece_elements(count.into(), 4) / 64).clamp(1, u64::from(u32::MAX)) as u32;
        let dispatch = |first: u32| {
            let end = groups.min(first.saturating_add(piece));
            Dispatch {
                entry: "main".into(),
                workgroups: end - first,
                params: vec![count, first, end],
                input_end: (u64::from(end) * 64).saturating_sub(self.unsaid),
            }
        };
        let step = GpuStep {
            shader: self.shader.clone(),
            input: Some(GpuInput { source: self.source.clone(), range: units }),
            output_words: u64::from(groups),
            scratch_words: 0,
            zeroed: false,
            table: factor.clone(),
            dispatches: (0..groups).step_by(piece as usize).map(dispatch).collect(),
        };
        Ok(Some(GpuWork::new(vec![step])))
    }

    fn gpu_partial(&self, _: &Arc<[u32]>, _: Range<u64>, outputs: &[Vec<u32>]) -> Result<u32, JobError> {
        if outputs[0].contains(&POISON) {
            return Err(JobError::bad_input("a word was not written"));
        }
        Ok(outputs[0].iter().fold(0, |sum, &word| sum.wrapping_add(word)))
    }
}

/// A source that says which one it is, so that a device may remember it.
#[derive(Debug)]
struct Named(InMemory<u32>, u64);

impl Source for Named {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn dtype(&self) -> crate::input::DType {
        self.0.dtype()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        self.0.read(range, scratch)
    }
    fn identity(&self) -> Option<u64> {
        Some(self.1)
    }
}

fn values(len: u64) -> Vec<u32> {
    (0..len as u32).map(|i| i.wrapping_mul(2_654_435_761).rotate_left(7)).collect()
}

fn sum(len: u64) -> Sum {
    let source = Arc::new(Named(InMemory::new("values", values(len)), len + 1));
    Sum { source, shader: Shader::new("sum", SUM), factor: 3, unsaid: 0 }
}

fn expected(len: u64, range: Range<u64>) -> u32 {
    let range = range.start as usize..range.end as usize;
    values(len)[range].iter().fold(0, |sum: u32, &value| sum.wrapping_add(value.wrapping_mul(3)))
}

/// Folds a range as the engine does, through the erased kernel, and gives the answer of that range alone.
fn folded(device: &GpuDevice, kernel: Sum, range: Range<u64>) -> Result<(u32, bool), DeviceError> {
    let pass = DynKernel::first_pass(&kernel)?;
    let done = device.fold(&kernel, &pass, range, &mut Scratch::default())?;
    assert!(done.partial.covered().len() <= 1);
    Ok((*done.partial.value::<u32>(), done.resident))
}

#[test]
fn a_sum_is_right_at_every_edge() {
    let Some(device) = device_for_tests(&GpuOptions::default()) else { return };
    for len in [0u64, 1, 2, 63, 64, 65, 4095, 1 << 20, (1 << 20) + 1, 5_000_011] {
        assert_eq!(folded(&device, sum(len), 0..len).unwrap().0, expected(len, 0..len), "{len} elements");
        if len > 3 {
            assert_eq!(
                folded(&device, sum(len), 1..len - 1).unwrap().0,
                expected(len, 1..len - 1),
                "the inside of {len}"
            );
        }
    }
}

#[test]
fn an_answer_that_differs_on_the_gpu_fails_the_comparison() {
    if all_forms().is_empty() {
        return;
    }
    assert_same_on_gpu("a sum", &sum(1000), &[64, 100]);
    let wrong =
        Sum { shader: Shader::new("wrong", SUM.replace("* table[0]", "* table[0] + u32(i == 777u)")), ..sum(1000) };
    let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assert_same_on_gpu("wrong", &wrong, &[])));
    assert!(compared.is_err(), "one element of a thousand is off by one");
}

#[test]
fn a_chunk_seen_before_is_not_uploaded_again() {
    let Some(device) = device_for_tests(&GpuOptions::default()) else { return };
    let len = 300_000;
    assert_eq!(folded(&device, sum(len), 0..len).unwrap(), (expected(len, 0..len), false));
    assert_eq!(folded(&device, sum(len), 0..len).unwrap(), (expected(len, 0..len), true));
    assert_eq!(folded(&device, sum(len), 1024..5000).unwrap(), (expected(len, 1024..5000), true));
    assert_eq!(folded(&device, sum(len), 1023..5000).unwrap(), (expected(len, 1023..5000), false));
    let other = Sum { source: Arc::new(InMemory::new("values", values(len))), ..sum(len) };
    assert_eq!(folded(&device, other, 0..len).unwrap(), (expected(len, 0..len), false));
}

#[test]
fn setup_is_paid_once_and_phases_are_measured() {
    let Some(device) = device_for_tests(&GpuOptions::default()) else { return };
    let kernel = sum(3_000_000);
    let pass = DynKernel::first_pass(&kernel).unwrap();
    let first = device.fold(&kernel, &pass, 0..3_000_000, &mut Scratch::default()).unwrap().phases;
    let second = device.fold(&kernel, &pass, 0..3_000_000, &mut Scratch::default()).unwrap().phases;
    assert!(
        !first.opening.is_zero() && first.opening < first.setup && second.opening.is_zero(),
        "{first:?} {second:?}"
    );
    assert!(first.setup > second.setup * 2, "{first:?} {second:?}");
    assert!(first.upload > second.upload && !first.compute.is_zero() && !first.readback.is_zero(), "{first:?}");
}

#[test]
fn a_word_that_no_shader_writes_shows() {
    let Some(device) = device_for_tests(&GpuOptions { poison: true, ..GpuOptions::default() }) else { return };
    let forgetful = SUM.replace("if (lane == 0u)", "if (lane == 0u && group != 2u)");
    let kernel = Sum { shader: Shader::new("forgetful", forgetful), ..sum(1000) };
    let error = folded(&device, kernel, 0..1000).unwrap_err();
    assert!(matches!(&error, DeviceError::Lost(reason) if reason.contains("not written")), "{error}");
}

#[test]
fn a_shader_that_does_not_compile_is_an_error_and_the_device_lives_on() {
    let Some(device) = device_for_tests(&GpuOptions::default()) else { return };
    for (label, text) in [
        ("syntax", SUM.replace("fn main(", "fn main((")),
        ("types", SUM.replace("atomicLoad(&total)", "1.5")),
        ("entry", SUM.replace("fn main(", "fn mane(")),
        ("bindings", SUM.replace("@binding(2)", "@binding(7)")),
    ] {
        let error = folded(&device, Sum { shader: Shader::new(label, text), ..sum(100) }, 0..100).unwrap_err();
        assert!(matches!(&error, DeviceError::Unsupported(text) if text.contains(label)), "{label}: {error}");
    }
    assert_eq!(folded(&device, sum(100), 0..100).unwrap().0, expected(100, 0..100));
}

#[test]
fn a_chunk_larger_than_a_binding_is_out_of_memory() {
    let Some(device) = device_for_tests(&GpuOptions::default()) else { return };
    /// As many words as anybody asks for, none of which is ever read.
    #[derive(Debug)]
    struct Endless;
    impl Source for Endless {
        fn name(&self) -> &str {
            "endless"
        }
        fn dtype(&self) -> crate::input::DType {
            crate::input::DType::U32
        }
        fn len(&self) -> u64 {
            u64::MAX
        }
        fn read<'a>(&'a self, _: Range<u64>, _: &'a mut Scratch) -> Result<Values<'a>, JobError> {
            panic!("nothing may be read")
        }
    }
    for count in [device.caps().max_binding_bytes / 4 + 1, u64::MAX] {
        let endless = Sum { source: Arc::new(Endless), ..sum(1) };
        let error = folded(&device, endless, 0..count).unwrap_err();
        assert!(matches!(error, DeviceError::OutOfMemory(_)), "{error}");
    }
    assert_eq!(folded(&device, sum(100), 0..100).unwrap().0, expected(100, 0..100));
}

#[test]
fn an_input_that_cannot_be_read_fails_the_job_and_not_the_device() {
    let Some(device) = device_for_tests(&GpuOptions::default()) else { return };
    #[derive(Debug)]
    struct Truncated;
    impl Source for Truncated {
        fn name(&self) -> &str {
            "truncated"
        }
        fn dtype(&self) -> crate::input::DType {
            crate::input::DType::U32
        }
        fn len(&self) -> u64 {
            4
        }
        fn read<'a>(&'a self, _: Range<u64>, _: &'a mut Scratch) -> Result<Values<'a>, JobError> {
            Ok(Values::U32(&[0; 4]))
        }
        fn check(&self) -> Result<(), JobError> {
            Err(JobError::new(crate::job::Cause::Io, "truncated: shorter than it was"))
        }
    }
    let error = folded(&device, Sum { source: Arc::new(Truncated), ..sum(1) }, 0..4).unwrap_err();
    assert!(matches!(error, DeviceError::Job(_)), "{error}");
    assert_eq!(folded(&device, sum(100), 0..100).unwrap().0, expected(100, 0..100));
}

#[test]
fn a_lost_device_is_a_value_and_stays_lost() {
    let Some(device) = device_for_tests(&GpuOptions::default()) else { return };
    let other = device_for_tests(&GpuOptions::default()).unwrap();
    assert!(!device.is_open());
    // Large enough to be remembered.
    let (len, identity) = (200_000, sum(200_000).source.identity().unwrap());
    assert_eq!(device.resident_bytes(&[identity]), 0);
    assert!(folded(&device, sum(len), 0..len).is_ok());
    assert_eq!(device.resident_bytes(&[identity]), len * 4);
    assert_eq!(device.resident_bytes(&[identity + 1]), 0);
    device.release_memory();
    assert_eq!(device.resident_bytes(&[identity]), 0, "what was kept was given up");
    assert_eq!(folded(&device, sum(len), 0..len).unwrap().0, expected(len, 0..len), "and is uploaded again");
    assert_eq!(device.resident_bytes(&[identity]), len * 4);
    assert!(folded(&other, sum(1000), 0..1000).is_ok());
    assert!(device.is_open());
    device.destroy();
    for _ in 0..2 {
        let error = folded(&device, sum(1000), 0..1000).unwrap_err();
        assert!(matches!(error, DeviceError::Lost(_)), "{error}");
    }
    assert!(!device.is_open() && other.is_open());
    assert_eq!(device.resident_bytes(&[identity]), 0);
    assert_eq!(folded(&other, sum(1000), 0..1000).unwrap().0, expected(1000, 0..1000), "the other one lives");
}

#[test]
fn small_chunks_are_not_remembered() {
    let Some(device) = device_for_tests(&GpuOptions::default()) else { return };
    for _ in 0..2 {
        assert_eq!(folded(&device, sum(1000), 0..1000).unwrap(), (expected(1000, 0..1000), false));
    }
}

#[test]
fn two_devices_and_many_threads_work_at_once() {
    let options = [GpuOptions::default(), GpuOptions { integers: Some(Integers::Limbs32), ..GpuOptions::default() }];
    let devices: Vec<GpuDevice> = options.iter().filter_map(device_for_tests).collect();
    std::thread::scope(|scope| {
        for device in &devices {
            for thread in 0..3u64 {
                scope.spawn(move || {
                    for len in [1, 1000 + thread, 70_000 + thread] {
                        assert_eq!(folded(device, sum(len), 0..len).unwrap().0, expected(len, 0..len));
                    }
                });
            }
        }
    });
}

#[test]
fn the_inventory_names_what_it_lists_and_forcing_limbs_changes_the_fingerprint() {
    let Some(native) = device_for_tests(&GpuOptions::default()) else { return };
    let limbs = device_for_tests(&GpuOptions { integers: Some(Integers::Limbs32), ..GpuOptions::default() }).unwrap();
    assert_eq!(limbs.caps().integers, Integers::Limbs32);
    if native.caps().integers == Integers::Native64 {
        assert_ne!(native.info().fingerprint, limbs.info().fingerprint);
    }
    for (index, info) in INVENTORY.infos().iter().enumerate() {
        assert_eq!(info.id.to_string(), format!("gpu:{index}"));
        assert!(!info.name.is_empty() && info.max_chunk_bytes > 0 && info.limits.len() >= 3, "{info:?}");
        assert_eq!(INVENTORY.usable(false).contains(&(index as u32)), !info.is_software());
    }
    assert!(INVENTORY.device(INVENTORY.infos().len() as u32, &GpuOptions::default()).is_none());
}

#[test]
fn every_shader_in_the_registry_is_valid() {
    for kind in crate::kernels::KERNELS {
        for shader in (kind.shaders)() {
            assert_valid(&shader);
        }
    }
    assert_valid(&Shader::new("sum", SUM));
}
