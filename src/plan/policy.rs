//! Policies as data: where jobs are told to run that do not say themselves. `auto` leaves it to the planner; the others are
//! what people do by hand, for comparison.

use crate::device::DeviceId;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::plan::request::{DeviceState, smallest_chunk_misfit};

/// Under `static`, jobs go to a GPU that would take one thread so many milliseconds, by their kernel's own account.
const STATIC_MS: f64 = 50.0;

/// Where jobs are told to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Wherever each is predicted to end first, by what is known when its turn comes.
    Auto,
    /// All on the CPU.
    Cpu,
    /// On a GPU whatever one can take, the rest on the CPU.
    Gpu,
    /// Each on the next device, of those that can take it.
    RoundRobin,
    /// On a GPU from a fixed size on, else on the CPU.
    Static,
}

impl Policy {
    /// All of them, `auto` first.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Cpu, Self::Gpu, Self::RoundRobin, Self::Static];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::RoundRobin => "round-robin",
            Self::Static => "static",
        }
    }

    /// What the job is told whose turn it is: the `turn`-th from 0. A device that cannot take it is never named.
    pub fn tells(self, work: &Work, turn: u64, devices: &[DeviceState]) -> DeviceChoice {
        let mut gpus = devices.iter().filter(|state| takes(work, state)).map(|state| state.id);
        match self {
            Self::Auto => DeviceChoice::Auto,
            Self::Cpu => DeviceChoice::Cpu,
            Self::Gpu if gpus.next().is_some() => DeviceChoice::Gpu,
            Self::Static if work.prior_ms() >= STATIC_MS && gpus.next().is_some() => DeviceChoice::Gpu,
            Self::Gpu | Self::Static => DeviceChoice::Cpu,
            Self::RoundRobin => {
                let all: Vec<DeviceId> = std::iter::once(DeviceId::Cpu).chain(gpus).collect();
                match all[(turn % all.len() as u64) as usize] {
                    DeviceId::Cpu => DeviceChoice::Cpu,
                    DeviceId::Gpu(index) => DeviceChoice::GpuIndex(index),
                }
            }
        }
    }
}

/// Whether this is a GPU that can take the job.
fn takes(work: &Work, state: &DeviceState) -> bool {
    work.gpu && state.id != DeviceId::Cpu && state.unusable.is_none() && smallest_chunk_misfit(work, state).is_none()
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or_else(|| format!("unknown policy `{text}`: use auto, cpu, gpu, round-robin or static"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceKind;

    fn state(id: DeviceId, max_chunk_bytes: u64) -> DeviceState {
        DeviceState {
            id,
            fingerprint: "x".into(),
            kind: DeviceKind::DiscreteGpu,
            unusable: None,
            lanes: 1,
            opened: true,
            busy_for_ms: Vec::new(),
            memory_bytes: None,
            max_chunk_bytes,
            resident: 0.0,
        }
    }

    fn work(gpu: bool, prior_ms: f64) -> Work {
        Work {
            kernel: "k",
            variant: String::new(),
            units: 1000,
            granularity: 10,
            bytes_per_unit: 4.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: prior_ms * 1e3,
            passes: 1,
            gpu,
        }
    }

    #[test]
    fn every_policy_has_a_name_that_is_read_back() {
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert!("best".parse::<Policy>().unwrap_err().contains("round-robin"));
    }

    #[test]
    fn no_policy_names_a_device_that_cannot_take_the_job() {
        let all = [
            state(DeviceId::Cpu, u64::MAX),
            state(DeviceId::Gpu(0), 1 << 20),
            state(DeviceId::Gpu(1), 8),
            state(DeviceId::Gpu(2), 1 << 20),
        ];
        let told = |policy: Policy, gpu, ms| {
            (0..4).map(|turn| policy.tells(&work(gpu, ms), turn, &all).to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(Policy::Auto, true, 1.0), "auto auto auto auto");
        assert_eq!(told(Policy::Cpu, true, 1e6), "cpu cpu cpu cpu");
        assert_eq!(told(Policy::Gpu, true, 0.1), "gpu gpu gpu gpu");
        assert_eq!(told(Policy::Gpu, false, 0.1), "cpu cpu cpu cpu");
        // The second GPU takes no chunk of forty bytes.
        assert_eq!(told(Policy::RoundRobin, true, 1.0), "cpu gpu:0 gpu:2 cpu");
        assert_eq!(told(Policy::RoundRobin, false, 1.0), "cpu cpu cpu cpu");
        assert_eq!(told(Policy::Static, true, STATIC_MS), "gpu gpu gpu gpu");
        assert_eq!(told(Policy::Static, true, STATIC_MS * 0.99), "cpu cpu cpu cpu");
        assert_eq!(Policy::Gpu.tells(&work(true, 1.0), 0, &all[..1]), DeviceChoice::Cpu, "no gpu is there");
    }
}
