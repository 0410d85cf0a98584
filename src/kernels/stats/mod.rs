//! The kernel `stats`.

use crate::kernels::KernelKind;

/// The kind, for the registry.
pub static KIND: KernelKind = KernelKind {
    name: "stats",
    summary: "",
    variants: &[],
    parse: |_| Err(serde::de::Error::custom("not built yet")),
    sample: |_| unreachable!("it has no variants"),
    shaders: Vec::new,
    #[cfg(feature = "cli")]
    command: || clap::Command::new("stats"),
    #[cfg(feature = "cli")]
    from_args: |_| Err("not built yet".into()),
};
