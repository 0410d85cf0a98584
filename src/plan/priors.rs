//! What is believed of a machine before anything has been measured.

use crate::device::DeviceKind;

/// What a thread more is worth, beside one that works alone.
pub(crate) const THREAD_EFFICIENCY: f64 = 0.9;
/// What a run on the CPU may take that says nothing of what its units cost: being dispatched, caches and tables that are cold, being
/// interrupted.
pub(crate) const CPU_OVERHEAD_MS: f64 = 0.5;
/// Bytes a millisecond over the bus: 6 GB/s.
pub(crate) const BUS_BYTES_PER_MS: f64 = 6e6;
/// What opening a GPU costs.
pub(crate) const SETUP_MS: f64 = 200.0;
/// The latency of a GPU's dispatch and read-back.
pub(crate) const GPU_LATENCY_MS: f64 = 0.2;
/// How much slower a software adapter is than the threads that it runs on.
pub(crate) const SOFTWARE_SLOWDOWN: f64 = 4.0;

/// As many threads of the CPU as such a GPU is worth: modest multiples of one, and of a software adapter, less than all of the
/// CPU's together, which are worth `cpu_threads` of one.
pub(crate) fn gpu_threads(kind: DeviceKind, cpu_threads: f64) -> f64 {
    match kind {
        DeviceKind::DiscreteGpu => 24.0,
        DeviceKind::VirtualGpu => 12.0,
        DeviceKind::IntegratedGpu | DeviceKind::OtherGpu => 4.0,
        DeviceKind::SoftwareGpu | DeviceKind::Cpu => cpu_threads / SOFTWARE_SLOWDOWN,
    }
}
