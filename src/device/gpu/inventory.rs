//! Which GPUs there are: listed without opening one.

use std::panic::catch_unwind;
use std::sync::LazyLock;
use std::time::Duration;

use wgpu::{
    Adapter, AdapterInfo, Backend, Backends, DeviceType, Features, Instance, InstanceDescriptor, InstanceFlags,
};

use crate::device::gpu::GpuDevice;
use crate::device::gpu::diagnosis::{Findings, diagnose};
use crate::device::gpu::staging::SLOT_BYTES;
use crate::device::{DeviceId, DeviceInfo, DeviceKind};
use crate::kernels::{GpuCaps, Integers, KERNELS};

/// How to use a GPU. The default is right for everything but tests and comparisons.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuOptions {
    /// The integers that shaders compute with; `None` takes 64-bit ones where the device has them.
    pub integers: Option<Integers>,
    /// Whether invocations read contiguous runs; `None` decides by the kind of device.
    pub contiguous: Option<bool>,
    /// How long a submission may take before the device counts as lost.
    pub patience: Duration,
    /// Whether outputs are filled with a poison first, so that a word that no shader writes shows.
    pub poison: bool,
    /// The least of an input, in bytes, that is worth a dispatch of its own; `None` for the size of a staging buffer. Small
    /// ones show on small inputs whether work that begins before its input is there is right.
    pub piece_bytes: Option<u64>,
    /// How many threads copy a large input to the device, at most; `None` decides by the kind of device and the number of CPUs.
    pub upload_threads: Option<usize>,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self {
            integers: None,
            contiguous: None,
            patience: Duration::from_secs(60),
            poison: cfg!(debug_assertions),
            piece_bytes: None,
            upload_threads: None,
        }
    }
}

/// The adapters of this machine, best first: discrete, integrated, virtual, others, and software last. The place in this
/// list is the N of `gpu:N`.
///
/// Looking takes 5 to 120 ms (drivers are loaded), so ask only when a job may want a GPU. Mesa's device-select layer can write
/// a warning to stderr on machines without a display; `NODEVICE_SELECT=1` in the environment silences it.
#[derive(Debug)]
pub struct Inventory {
    adapters: Vec<Listed>,
    infos: Vec<DeviceInfo>,
}

#[derive(Debug)]
struct Listed {
    adapter: Adapter,
    int64: bool,
    memory_bytes: Option<u64>,
}

impl Inventory {
    /// Lists the adapters. Never fails: a driver that does not load is a machine without that GPU.
    pub fn look() -> Self {
        let mut listed = catch_unwind(list).unwrap_or_default();
        listed.sort_by_cached_key(|(_, info)| {
            (rank(kind(info.device_type)), info.device_pci_bus_id.clone(), info.name.clone())
        });
        let infos = listed.iter().enumerate().map(|(i, (listed, info))| describe(i as u32, listed, info)).collect();
        Self { adapters: listed.into_iter().map(|(listed, _)| listed).collect(), infos }
    }

    /// What is known of each, software adapters included; the index of each is its place here.
    pub fn infos(&self) -> &[DeviceInfo] {
        &self.infos
    }

    /// The indices that may be used: software adapters only where allowed.
    pub fn usable(&self, allow_software: bool) -> Vec<u32> {
        (0..).zip(&self.infos).filter(|(_, info)| allow_software || !info.is_software()).map(|(i, _)| i).collect()
    }

    /// The device of this index, not opened yet; `None` where there is none.
    pub fn device(&self, index: u32, options: &GpuOptions) -> Option<GpuDevice> {
        let listed = self.adapters.get(index as usize)?;
        let mut info = self.infos.get(index as usize)?.clone();
        let integers = match options.integers {
            Some(Integers::Limbs32) => Integers::Limbs32,
            _ if listed.int64 => Integers::Native64,
            _ => Integers::Limbs32,
        };
        info.fingerprint = fingerprint(&listed.adapter.get_info(), integers);
        let limits = listed.adapter.limits();
        let software = info.is_software();
        let caps = GpuCaps {
            integers,
            contiguous: options.contiguous.unwrap_or(software),
            max_binding_bytes: max_binding_bytes(&limits),
            max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
            max_workgroup_invocations: limits
                .max_compute_invocations_per_workgroup
                .min(limits.max_compute_workgroup_size_x),
            preferred_workgroups: match info.kind {
                DeviceKind::SoftwareGpu => 16,
                DeviceKind::DiscreteGpu | DeviceKind::VirtualGpu => 1024,
                _ => 256,
            },
            piece_bytes: options.piece_bytes.unwrap_or(SLOT_BYTES),
        };
        let residency = residency_bytes(info.kind, listed.memory_bytes);
        Some(GpuDevice::new(info, caps, listed.adapter.clone(), options.clone(), residency))
    }

    /// Why no GPU can be used, and what to do, over several lines; for where [`Inventory::usable`] gives none, or lacks the
    /// one that was asked for.
    pub fn diagnosis(&self, allow_software: bool) -> String {
        let adapters = self.infos.iter().map(|info| (info.name.clone(), info.is_software())).collect();
        diagnose(&Findings::look(adapters), allow_software)
    }
}

fn list() -> Vec<(Listed, AdapterInfo)> {
    let backends = Backends::VULKAN | Backends::METAL | Backends::DX12;
    let instance = Instance::new(InstanceDescriptor {
        backends,
        flags: InstanceFlags::empty(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let adapters = pollster::block_on(instance.enumerate_adapters(backends));
    let infos: Vec<AdapterInfo> = adapters.iter().map(Adapter::get_info).collect();
    let keep = distinct(&infos.iter().map(Mark::of).collect::<Vec<_>>());
    adapters
        .into_iter()
        .zip(infos)
        .zip(keep)
        .filter(|&(_, keep)| keep)
        .map(|((adapter, info), _)| {
            let int64 = adapter.features().contains(Features::SHADER_INT64);
            let memory_bytes = memory_bytes(&adapter);
            (Listed { adapter, int64, memory_bytes }, info)
        })
        .collect()
}

/// What tells adapters of one machine apart.
#[derive(Clone, Debug, PartialEq)]
struct Mark {
    backend: Backend,
    bus: String,
    model: (u32, u32),
}

impl Mark {
    fn of(info: &AdapterInfo) -> Self {
        Self { backend: info.backend, bus: info.device_pci_bus_id.clone(), model: (info.vendor, info.device) }
    }
}

/// Which adapters to keep, so that each GPU is listed once: several backends, and several drivers of one, show the same
/// GPU. Bus ids tell for sure; without them, the n-th GPU of a model in one backend is the n-th of it in another.
fn distinct(marks: &[Mark]) -> Vec<bool> {
    let preference = |backend: Backend| match backend {
        Backend::Metal => 0,
        Backend::Vulkan => 1,
        _ => 2,
    };
    let nth = |i: usize| {
        marks[..i].iter().filter(|other| other.backend == marks[i].backend && other.model == marks[i].model).count()
    };
    let same = |i: usize, j: usize| {
        let (a, b) = (&marks[i], &marks[j]);
        if !a.bus.is_empty() && !b.bus.is_empty() {
            return a.bus == b.bus && a.model == b.model;
        }
        a.backend != b.backend && a.model == b.model && nth(i) == nth(j)
    };
    (0..marks.len())
        .map(|i| {
            !(0..marks.len())
                .any(|j| j != i && same(i, j) && (preference(marks[j].backend), j) < (preference(marks[i].backend), i))
        })
        .collect()
}

fn describe(index: u32, listed: &Listed, info: &AdapterInfo) -> DeviceInfo {
    let limits = listed.adapter.limits();
    let integers = if listed.int64 { Integers::Native64 } else { Integers::Limbs32 };
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let mut shown = vec![
        ("largest binding".to_owned(), mib(max_binding_bytes(&limits))),
        ("workgroup memory".to_owned(), format!("{} KiB", limits.max_compute_workgroup_storage_size >> 10)),
        ("64-bit integers".to_owned(), if listed.int64 { "yes" } else { "no, in pairs of 32" }.to_owned()),
    ];
    if !info.device_pci_bus_id.is_empty() {
        shown.push(("pci bus".to_owned(), info.device_pci_bus_id.clone()));
    }
    let driver = [info.driver.as_str(), info.driver_info.as_str()].into_iter().filter(|part| !part.is_empty());
    DeviceInfo {
        id: DeviceId::Gpu(index),
        name: info.name.clone(),
        kind: kind(info.device_type),
        driver: format!("{}, {}", backend_name(info.backend), driver.collect::<Vec<_>>().join(" ")),
        fingerprint: fingerprint(info, integers),
        lanes: 1,
        memory_bytes: listed.memory_bytes,
        max_chunk_bytes: max_chunk_bytes(max_binding_bytes(&limits), listed.memory_bytes),
        limits: shown,
    }
}

const fn backend_name(backend: Backend) -> &'static str {
    match backend {
        Backend::Vulkan => "Vulkan",
        Backend::Metal => "Metal",
        Backend::Dx12 => "Direct3D 12",
        _ => "other",
    }
}

const fn kind(device_type: DeviceType) -> DeviceKind {
    match device_type {
        DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu,
        DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
        DeviceType::VirtualGpu => DeviceKind::VirtualGpu,
        DeviceType::Cpu => DeviceKind::SoftwareGpu,
        DeviceType::Other => DeviceKind::OtherGpu,
    }
}

const fn rank(kind: DeviceKind) -> u32 {
    match kind {
        DeviceKind::DiscreteGpu => 0,
        DeviceKind::IntegratedGpu => 1,
        DeviceKind::VirtualGpu => 2,
        DeviceKind::OtherGpu => 3,
        DeviceKind::SoftwareGpu | DeviceKind::Cpu => 4,
    }
}

fn max_binding_bytes(limits: &wgpu::Limits) -> u64 {
    limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
}

/// A chunk takes one binding, and with its outputs a small part of the memory; past 256 MiB nothing is gained.
fn max_chunk_bytes(binding_bytes: u64, memory_bytes: Option<u64>) -> u64 {
    binding_bytes.min(256 << 20).min(memory_bytes.unwrap_or(u64::MAX) / 8) & !0xffff
}

/// How much of a device's memory remembered chunks may take.
fn residency_bytes(kind: DeviceKind, memory_bytes: Option<u64>) -> u64 {
    match (kind, memory_bytes) {
        (DeviceKind::DiscreteGpu, Some(bytes)) => bytes / 2,
        (DeviceKind::DiscreteGpu, None) => 1 << 30,
        // The others take it from the machine itself.
        (_, Some(bytes)) => (bytes / 8).min(1 << 30),
        (_, None) => 256 << 20,
    }
}

/// Under which measurements of this adapter are kept.
fn fingerprint(info: &AdapterInfo, integers: Integers) -> String {
    static SHADERS: LazyLock<u64> = LazyLock::new(|| {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for shader in KERNELS.iter().flat_map(|kind| (kind.shaders)()) {
            // FNV-1a: stable from build to build, which the standard hasher does not promise.
            for byte in shader.source.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
        hash
    });
    let integers = match integers {
        Integers::Native64 => "native64",
        Integers::Limbs32 => "limbs32",
    };
    format!(
        "gpu {} {:04x}:{:04x} {} {} {} {integers} v{} shaders {:016x}",
        info.name,
        info.vendor,
        info.device,
        backend_name(info.backend),
        info.driver,
        info.driver_info,
        env!("CARGO_PKG_VERSION"),
        *SHADERS
    )
}

/// The memory of the device's own heaps, where the backend tells.
fn memory_bytes(adapter: &Adapter) -> Option<u64> {
    #[cfg(not(target_vendor = "apple"))]
    {
        const DEVICE_LOCAL: u32 = 1;
        // SAFETY: the handle is used for one query while `adapter` lives, and nothing of it is kept or destroyed.
        let vulkan = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
        let physical = vulkan.raw_physical_device();
        // SAFETY: the physical device belongs to this very instance, and both live as long as `vulkan`.
        let memory = unsafe { vulkan.shared_instance().raw_instance().get_physical_device_memory_properties(physical) };
        let heaps = memory.memory_heaps.iter().take(memory.memory_heap_count as usize);
        heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0).map(|heap| heap.size).max()
    }
    #[cfg(target_vendor = "apple")]
    {
        let _ = adapter;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(backend: Backend, bus: &str, device: u32) -> Mark {
        Mark { backend, bus: bus.to_owned(), model: (0x10de, device) }
    }

    #[test]
    fn each_gpu_is_listed_once() {
        use Backend::{Dx12, Vulkan};
        // Two drivers of one GPU, told by its bus.
        assert_eq!(distinct(&[mark(Vulkan, "0000:01:00.0", 7), mark(Vulkan, "0000:01:00.0", 7)]), [true, false]);
        // Two equal GPUs on one backend, with and without bus ids.
        assert_eq!(distinct(&[mark(Vulkan, "0000:01:00.0", 7), mark(Vulkan, "0000:02:00.0", 7)]), [true, true]);
        assert_eq!(distinct(&[mark(Vulkan, "", 7), mark(Vulkan, "", 7)]), [true, true]);
        // Two equal GPUs on two backends, one of which has no bus ids: Vulkan's are kept.
        let both =
            [mark(Dx12, "", 7), mark(Dx12, "", 7), mark(Vulkan, "0000:01:00.0", 7), mark(Vulkan, "0000:02:00.0", 7)];
        assert_eq!(distinct(&both), [false, false, true, true]);
        // Different GPUs on different backends.
        assert_eq!(distinct(&[mark(Dx12, "", 8), mark(Vulkan, "", 7)]), [true, true]);
        assert_eq!(distinct(&[]), [false; 0]);
    }

    #[test]
    fn software_comes_last() {
        use DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other, VirtualGpu};
        let ranks = [DiscreteGpu, IntegratedGpu, VirtualGpu, Other, Cpu].map(|device_type| rank(kind(device_type)));
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }

    #[test]
    fn chunks_and_what_is_kept_fit_the_device() {
        assert_eq!(max_chunk_bytes(128 << 20, None), 128 << 20);
        assert_eq!(max_chunk_bytes(u64::MAX, None), 256 << 20);
        assert_eq!(max_chunk_bytes(u64::from(u32::MAX), Some(1 << 30)), 128 << 20);
        assert_eq!(residency_bytes(DeviceKind::DiscreteGpu, Some(8 << 30)), 4 << 30);
        assert_eq!(residency_bytes(DeviceKind::SoftwareGpu, Some(64 << 30)), 1 << 30);
    }
}
