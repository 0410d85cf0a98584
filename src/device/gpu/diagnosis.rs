//! Why there is no usable GPU, and what to do about it.

use std::path::Path;

/// What was looked for, and what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Findings {
    /// `linux`, `macos`, `windows`: as in [`std::env::consts::OS`].
    pub os: String,
    /// Each adapter's name, and whether it is software.
    pub adapters: Vec<(String, bool)>,
    /// Whether the Vulkan loader can be loaded; `None` where nobody looked.
    pub vulkan_loader: Option<bool>,
    /// The Vulkan driver manifests that are installed.
    pub vulkan_drivers: Vec<String>,
    /// Device nodes of GPUs.
    pub nodes: Vec<String>,
    /// Whether this process runs inside a container.
    pub container: bool,
    /// `NVIDIA_DRIVER_CAPABILITIES`, by which a container gets its drivers.
    pub nvidia_capabilities: Option<String>,
}

impl Findings {
    /// Looks around on this machine.
    pub fn look(adapters: Vec<(String, bool)>) -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            adapters,
            vulkan_loader: vulkan_loader(),
            vulkan_drivers: vulkan_drivers(),
            nodes: ["/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/dri/renderD128", "/dev/dri/card0"]
                .into_iter()
                .filter(|node| Path::new(node).exists())
                .map(str::to_owned)
                .collect(),
            container: Path::new("/.dockerenv").exists()
                || Path::new("/run/.containerenv").exists()
                || std::env::var_os("container").is_some(),
            nvidia_capabilities: std::env::var("NVIDIA_DRIVER_CAPABILITIES").ok(),
        }
    }
}

/// The reason and the remedy, over several lines, lower case.
pub(crate) fn diagnose(found: &Findings, allow_software: bool) -> String {
    let mut lines = vec![if found.adapters.iter().any(|(_, software)| !software) {
        "there is no such gpu".to_owned()
    } else {
        "no usable gpu".to_owned()
    }];
    let listed: Vec<&str> = found.adapters.iter().map(|(name, _)| name.as_str()).collect();
    let (software, real): (Vec<_>, Vec<_>) = found.adapters.iter().partition(|(_, software)| *software);
    if !real.is_empty() {
        lines.push(format!("  found: {}", listed.join("; ")));
        lines.push("  to do: see `tandem devices` for the indices".into());
        return lines.join("\n");
    }
    if !software.is_empty() && !allow_software {
        lines.push(format!("  found: only software adapters, which run on the cpu: {}", listed.join("; ")));
        lines.push("  to do: --allow-software-gpu (or TANDEM_ALLOW_SOFTWARE_GPU=1) uses them all the same".into());
    }
    match found.os.as_str() {
        "macos" | "ios" => {
            lines.push("  looked for: metal; no adapter answered".into());
            lines
                .push("  to do: run in a session that may use the gpu (not over a restricted ssh or a sandbox)".into());
        }
        "windows" => {
            lines.push("  looked for: vulkan and direct3d 12; no hardware adapter answered".into());
            lines.push("  to do: install the driver of your gpu's maker".into());
        }
        _ => unix_without_gpu(found, &mut lines),
    }
    lines.join("\n")
}

fn unix_without_gpu(found: &Findings, lines: &mut Vec<String>) {
    let nvidia = found.nodes.iter().any(|node| node.contains("nvidia"));
    match found.vulkan_loader {
        Some(false) => lines.push("  looked for: the vulkan loader, libvulkan.so.1; it is not installed".into()),
        _ if found.vulkan_drivers.is_empty() => {
            lines.push("  looked for: vulkan drivers; the loader is there, but no driver's manifest (icd.d)".into());
        }
        _ => lines.push(format!("  looked for: vulkan drivers; found {}", found.vulkan_drivers.join(", "))),
    }
    if found.nodes.is_empty() {
        lines.push("  looked for: device nodes (/dev/nvidia*, /dev/dri); there are none".into());
    } else {
        lines.push(format!(
            "  looked for: device nodes; found {}, so there is a gpu, but no vulkan driver for it answers",
            found.nodes.join(", ")
        ));
    }
    let graphics = found
        .nvidia_capabilities
        .as_ref()
        .is_none_or(|list| list.split(',').any(|one| matches!(one.trim(), "graphics" | "all")));
    if nvidia && (found.container || found.nvidia_capabilities.is_some()) && !graphics {
        lines.push(format!(
            "  to do: this container has NVIDIA_DRIVER_CAPABILITIES={}: vulkan needs `graphics` among them (docker run -e \
             NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics)",
            found.nvidia_capabilities.as_deref().unwrap_or_default()
        ));
    } else if nvidia && found.container {
        lines.push(
            "  to do: pass the driver into the container (docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=all) and \
             install libvulkan1 in it"
                .into(),
        );
    } else if nvidia {
        lines.push("  to do: install NVIDIA's vulkan driver (debian: nvidia-vulkan-icd libvulkan1)".into());
    } else if found.container && found.nodes.is_empty() {
        lines.push("  to do: pass the gpu into the container (docker run --gpus all, or --device /dev/dri)".into());
    } else if !found.nodes.is_empty() {
        lines.push(
            "  to do: install its vulkan driver (debian: mesa-vulkan-drivers), and be a member of the group `render`"
                .into(),
        );
    } else {
        lines.push(
            "  to do: nothing, if this machine has no gpu: jobs run on the cpu without one (--device auto or cpu)"
                .into(),
        );
    }
}

fn vulkan_loader() -> Option<bool> {
    #[cfg(all(unix, not(target_vendor = "apple")))]
    {
        // SAFETY: the name is a terminated string; the loader's initialisers have run in this process before (wgpu has looked
        // for it), and the handle is closed once.
        unsafe {
            let handle = libc::dlopen(c"libvulkan.so.1".as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL);
            if handle.is_null() {
                return Some(false);
            }
            libc::dlclose(handle);
        }
        Some(true)
    }
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    None
}

fn vulkan_drivers() -> Vec<String> {
    let mut drivers = Vec::new();
    for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        if let Some(list) = std::env::var_os(name) {
            drivers.extend(std::env::split_paths(&list).map(|path| path.display().to_string()));
            return drivers;
        }
    }
    for dir in ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"] {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "json") {
                drivers.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    drivers.sort();
    drivers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux() -> Findings {
        Findings { os: "linux".into(), vulkan_loader: Some(true), ..Findings::default() }
    }

    fn nodes(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_machine_without_a_gpu_is_told_so() {
        let text = diagnose(&Findings { vulkan_loader: Some(false), ..linux() }, false);
        assert!(text.contains("libvulkan.so.1; it is not installed"), "{text}");
        assert!(text.contains("jobs run on the cpu without one"), "{text}");
    }

    #[test]
    fn a_loader_without_drivers_and_a_node_without_a_driver_name_the_package() {
        let text = diagnose(&linux(), false);
        assert!(text.contains("no driver's manifest"), "{text}");
        let text = diagnose(&Findings { nodes: nodes(&["/dev/dri/renderD128"]), ..linux() }, false);
        assert!(text.contains("/dev/dri/renderD128") && text.contains("mesa-vulkan-drivers"), "{text}");
        let text = diagnose(&Findings { nodes: nodes(&["/dev/nvidia0"]), ..linux() }, false);
        assert!(text.contains("nvidia-vulkan-icd"), "{text}");
    }

    #[test]
    fn a_container_without_the_graphics_capability_is_recognised() {
        let found = Findings {
            nodes: nodes(&["/dev/nvidia0"]),
            container: true,
            nvidia_capabilities: Some("compute,utility".into()),
            ..linux()
        };
        let text = diagnose(&found, false);
        assert!(text.contains("needs `graphics`"), "{text}");
        let text = diagnose(&Findings { nvidia_capabilities: Some("all".into()), ..found }, false);
        assert!(!text.contains("needs `graphics`") && text.contains("install libvulkan1"), "{text}");
        let text = diagnose(&Findings { container: true, ..linux() }, false);
        assert!(text.contains("--device /dev/dri"), "{text}");
    }

    #[test]
    fn software_adapters_alone_say_how_to_allow_them() {
        let found = Findings { adapters: vec![("llvmpipe (LLVM 15)".into(), true)], ..linux() };
        let text = diagnose(&found, false);
        assert!(text.contains("llvmpipe") && text.contains("--allow-software-gpu"), "{text}");
        assert!(text.contains("TANDEM_ALLOW_SOFTWARE_GPU=1"), "{text}");
        assert!(!diagnose(&found, true).contains("--allow-software-gpu"));
    }

    #[test]
    fn a_wrong_index_is_told_from_no_gpu() {
        let text = diagnose(&Findings { adapters: vec![("GeForce".into(), false)], ..linux() }, false);
        assert!(text.starts_with("there is no such gpu\n") && text.contains("tandem devices"), "{text}");
    }

    #[test]
    fn other_systems_have_their_own_words() {
        assert!(diagnose(&Findings { os: "macos".into(), ..Findings::default() }, false).contains("metal"));
        assert!(diagnose(&Findings { os: "windows".into(), ..Findings::default() }, false).contains("direct3d 12"));
    }

    #[test]
    fn looking_around_does_not_fail() {
        let found = Findings::look(Vec::new());
        assert_eq!(found.os, std::env::consts::OS);
        assert!(diagnose(&found, false).lines().count() >= 2);
    }
}
