//! For tests of the GPU side, of the device and of kernels: adapters or a loud skip, and the comparison with the CPU.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{LazyLock, Mutex};

use super::{GpuDevice, GpuOptions, Inventory};
use crate::device::{CpuDevice, Device, DeviceError};
use crate::input::Scratch;
use crate::kernels::{DynKernel, Integers, Next};

/// Looked for once: an instance takes a while.
pub(super) static INVENTORY: LazyLock<Inventory> = LazyLock::new(Inventory::look);

/// The best adapter, a software one if need be. With `TANDEM_TEST_GPU=require` its absence fails the test; else the test is
/// skipped, and says so past the test harness's capture.
pub(super) fn device_for_tests(options: &GpuOptions) -> Option<GpuDevice> {
    let device = INVENTORY.device(0, options);
    if device.is_none() {
        let required = std::env::var("TANDEM_TEST_GPU").is_ok_and(|value| value == "require");
        assert!(!required, "TANDEM_TEST_GPU=require, but {}", INVENTORY.diagnosis(true));
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        if TOLD.lock().is_ok_and(|mut told| told.insert(name.clone())) {
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED {name}: no gpu, not even a software one; TANDEM_TEST_GPU=require fails here"
            );
        }
    }
    device
}

/// Every form in which kernels run on a GPU: 64-bit integers and limbs, contiguous and interleaved; none where there is no
/// adapter (see [`device_for_tests`]). Shared, so that each shader is compiled once a form.
pub(super) fn all_forms() -> &'static [GpuDevice] {
    static FORMS: LazyLock<Vec<GpuDevice>> = LazyLock::new(|| {
        let mut forms = Vec::new();
        for integers in [None, Some(Integers::Limbs32)] {
            for contiguous in [true, false] {
                let options = GpuOptions { integers, contiguous: Some(contiguous), ..GpuOptions::default() };
                forms.extend(INVENTORY.device(0, &options));
            }
        }
        forms
    });
    if FORMS.is_empty() {
        assert!(device_for_tests(&GpuOptions::default()).is_none());
    }
    &FORMS
}

/// The answer of a whole job as JSON, every chunk of every pass folded on `device`, cut at `cuts`.
fn answer_on(device: &dyn Device, kernel: &dyn DynKernel, cuts: &[u64]) -> Result<String, DeviceError> {
    let units = kernel.work().units;
    let mut edges: Vec<u64> = cuts.iter().copied().filter(|&cut| cut < units).chain([0, units]).collect();
    edges.sort_unstable();
    let mut scratch = Scratch::default();
    let mut pass = kernel.first_pass()?;
    loop {
        let mut merged = None;
        for chunk in edges.windows(2) {
            let partial = device.fold(kernel, &pass, chunk[0]..chunk[1], &mut scratch)?.partial;
            match &mut merged {
                None => merged = Some(partial),
                Some(merged) => kernel.merge(merged, partial)?,
            }
        }
        match kernel.next(&pass, merged.expect("there is a chunk, be it empty"))? {
            Next::Pass(next) => pass = next,
            Next::Done(answer) => {
                let mut json = Vec::new();
                answer.write_json(&mut json).expect("a vector takes everything");
                return Ok(String::from_utf8(json).expect("JSON is text"));
            }
        }
    }
}

/// Asserts that a job's answer is the same bytes on the CPU and in every form of the GPU.
#[track_caller]
pub(crate) fn assert_same_on_gpu(what: &str, kernel: &dyn DynKernel, cuts: &[u64]) {
    let expected = answer_on(&CpuDevice::new(1), kernel, &[]).expect("the CPU answers");
    for device in all_forms() {
        let found = answer_on(device, kernel, cuts);
        let found = found.unwrap_or_else(|error| panic!("{what} on {:?}: {error}", device.caps()));
        assert!(
            found == expected,
            "{what} on {:?}\n   gpu {}\n   cpu {}",
            device.caps(),
            head(&found),
            head(&expected)
        );
    }
}

fn head(text: &str) -> String {
    text.chars().take(2000).collect()
}
