//! Where a job is timed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::device::DeviceId;
use crate::job::DeviceChoice;

/// Where a job is timed. As text: `thread`, `cpu`, `gpu:0`, `split`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Place {
    /// One thread of the CPU: whether parallel is worth it at all.
    Thread,
    /// All threads that the run may use.
    Cpu,
    /// A GPU.
    Gpu(u32),
    /// The CPU and every usable GPU together.
    Split,
}

impl Place {
    /// Whether it is the CPU alone.
    pub fn is_cpu(self) -> bool {
        matches!(self, Self::Thread | Self::Cpu)
    }

    /// Whether it is one GPU alone.
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Gpu(_))
    }

    /// The device that a job has to ask for.
    pub fn choice(self) -> DeviceChoice {
        match self {
            Self::Thread | Self::Cpu => DeviceChoice::Cpu,
            Self::Gpu(index) => DeviceChoice::GpuIndex(index),
            Self::Split => DeviceChoice::Split,
        }
    }

    /// The device whose description holds for it; that of the CPU for a split.
    pub fn device(self) -> DeviceId {
        match self {
            Self::Gpu(index) => DeviceId::Gpu(index),
            Self::Thread | Self::Cpu | Self::Split => DeviceId::Cpu,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread => f.write_str("thread"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(index) => write!(f, "gpu:{index}"),
            Self::Split => f.write_str("split"),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "thread" => Ok(Self::Thread),
            "cpu" => Ok(Self::Cpu),
            "split" => Ok(Self::Split),
            _ => text
                .strip_prefix("gpu:")
                .and_then(|index| index.parse().ok())
                .map(Self::Gpu)
                .ok_or_else(|| format!("`{text}` is no place: use thread, cpu, gpu:N or split")),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for place in [Place::Thread, Place::Cpu, Place::Gpu(12), Place::Split] {
            assert_eq!(place.to_string().parse(), Ok(place));
            let json = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<Place>(&json).unwrap(), place);
        }
        assert!("tpu".parse::<Place>().unwrap_err().contains("thread, cpu, gpu:N or split"));
    }
}
