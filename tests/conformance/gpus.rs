//! The GPUs of this machine, each in every form that its shaders can take, and with its input in small pieces and as usual.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use tandem::device::Device;
use tandem::device::gpu::{GpuOptions, Inventory};

/// A GPU held to one form.
#[derive(Clone, Debug)]
pub struct GpuForm {
    /// `gpu:0 limbs32 contiguous, in pieces`.
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

/// Inputs of tens of kilobytes go up in several pieces, and are computed on before they are whole.
#[cfg(feature = "gpu")]
const PIECE_BYTES: u64 = 4 << 10;

#[cfg(feature = "gpu")]
fn forms(inventory: &Inventory) -> Vec<GpuForm> {
    use tandem::kernels::Integers::{Limbs32, Native64};
    // Both forms of integers and both layouts, in pieces; and the usual pieces once, which hold all of a small input.
    let ways = [
        (Native64, true, Some(PIECE_BYTES)),
        (Native64, false, Some(PIECE_BYTES)),
        (Limbs32, true, Some(PIECE_BYTES)),
        (Limbs32, false, Some(PIECE_BYTES)),
        (Native64, false, None),
    ];
    let mut forms = Vec::new();
    for index in inventory.usable(true) {
        for (integers, contiguous, piece_bytes) in ways {
            let options = GpuOptions {
                integers: Some(integers),
                contiguous: Some(contiguous),
                poison: true,
                piece_bytes,
                // Small pieces are copied by several threads, too.
                upload_threads: Some(3),
                ..GpuOptions::default()
            };
            let Some(device) = inventory.device(index, &options) else { continue };
            // A device without 64-bit integers gives limbs whatever was asked for.
            if device.caps().integers == integers {
                let integers = if integers == Native64 { "native64" } else { "limbs32" };
                let layout = if contiguous { "contiguous" } else { "interleaved" };
                let pieces = if piece_bytes.is_some() { ", in pieces" } else { "" };
                let name = format!("gpu:{index} {integers} {layout}{pieces}");
                forms.push(GpuForm { name, device: Arc::new(device) });
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
