//! `tandem devices`.

use std::io::Write;
use std::process::ExitCode;

use clap::ArgMatches;

use crate::cli::Stopped;
use crate::cli::options::Options;
use crate::cli::single::warn;
use crate::cli::terminal::{print, stdout_style};
use crate::device::Device;
use crate::report::{DeviceReport, devices_json, devices_text};

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let runner = options.runner().build()?;
    let found = runner.engine().devices().gpus();
    let samples = runner.engine().with_store(|store| {
        let rows = store.model().rows();
        move |fingerprint: &str| {
            let rows =
                rows.iter().filter(|row| row.device == fingerprint && !row.kernel.is_empty() && row.phase == "compute");
            rows.map(|row| u64::from(row.samples)).sum()
        }
    });
    let report = |device: &dyn Device, unusable: Option<String>| {
        let info = device.info().clone();
        DeviceReport { samples: samples(&info.fingerprint), unusable, info }
    };
    let mut devices = vec![report(&**runner.engine().devices().cpu(), None)];
    devices.extend(found.gpus.iter().map(|gpu| report(&*gpu.device, gpu.unusable.map(|why| why.note().to_owned()))));
    print(|out| {
        let diagnosis = found.diagnosis.as_deref();
        let text = if options.json {
            devices_json(&devices, diagnosis)?
        } else {
            devices_text(&devices, diagnosis, stdout_style())
        };
        out.write_all(text.as_bytes())
    })?;
    warn(&runner);
    Ok(ExitCode::SUCCESS)
}
