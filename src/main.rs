//! The `tandem` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    quiet_drivers();
    match tandem::cli::run(std::env::args_os()) {
        Ok(code) => code,
        Err(stopped) => stopped.report(),
    }
}

/// On a machine without a display, Mesa's device-select layer writes errors about it to stderr whenever GPUs are looked
/// for. The variable that silences it is read in the same process, so that it has to be set here.
fn quiet_drivers() {
    const LAYER: &str = "NODEVICE_SELECT";
    if cfg!(target_os = "linux") && std::env::var_os(LAYER).is_none() && std::env::var_os("DISPLAY").is_none() {
        // SAFETY: this is the first thing that `main` does; no other thread runs that could read the environment.
        unsafe { std::env::set_var(LAYER, "1") };
    }
}
