//! The GPUs of this machine, each in every form that its shaders can take.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use tandem::device::Device;
use tandem::device::gpu::{GpuOptions, Inventory};

/// A GPU held to one form.
#[derive(Clone, Debug)]
pub struct GpuForm {
    /// `gpu:0 limbs32 contiguous`.
    pub name: String,
    pub device: Arc<dyn Device>,
}

/// Every adapter, software ones too, in every form; none in a build without GPUs.
///
/// With `TANDEM_TEST_GPU=require` a machine without an adapter fails the test; else what needs one is skipped, which is said
/// once on stderr, past the capture of the test harness.
pub fn gpu_forms() -> &'static [GpuForm] {
    static FORMS: LazyLock<Vec<GpuForm>> = LazyLock::new(|| {
        let inventory = Inventory::look();
        let forms = forms(&inventory);
        if forms.is_empty() {
            let diagnosis = inventory.diagnosis(true);
            assert!(!required(), "TANDEM_TEST_GPU=require, but there is {diagnosis}");
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED the GPU side of conformance, TANDEM_TEST_GPU=require fails here: {diagnosis}"
            );
        }
        forms
    });
    &FORMS
}

fn required() -> bool {
    std::env::var("TANDEM_TEST_GPU").is_ok_and(|value| value == "require")
}

#[cfg(feature = "gpu")]
fn forms(inventory: &Inventory) -> Vec<GpuForm> {
    use tandem::kernels::Integers;
    let mut forms = Vec::new();
    for index in inventory.usable(true) {
        for (integers, integers_name) in [(Integers::Native64, "native64"), (Integers::Limbs32, "limbs32")] {
            for (contiguous, layout_name) in [(true, "contiguous"), (false, "interleaved")] {
                let options = GpuOptions {
                    integers: Some(integers),
                    contiguous: Some(contiguous),
                    poison: true,
                    ..GpuOptions::default()
                };
                let Some(device) = inventory.device(index, &options) else { continue };
                // A device without 64-bit integers gives limbs whatever was asked for.
                if device.caps().integers == integers {
                    let name = format!("gpu:{index} {integers_name} {layout_name}");
                    forms.push(GpuForm { name, device: Arc::new(device) });
                }
            }
        }
    }
    forms
}

#[cfg(not(feature = "gpu"))]
fn forms(inventory: &Inventory) -> Vec<GpuForm> {
    let usable = inventory.usable(true).into_iter();
    usable.filter_map(|index| inventory.device(index, &GpuOptions::default())).map(|device| match device {}).collect()
}
