//! wgpu's ways of failing (error scopes, callbacks, panics) made into values.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wgpu::{Device, ErrorFilter};

use crate::device::DeviceError;

/// Whether a device is lost, and why. Once lost, it stays lost until it is forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Loss(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    reason: Option<String>,
    /// How often it was forgotten: what a device says that was open before then is of no concern any more.
    forgotten: u64,
}

impl Loss {
    /// Sets the device aside; the first reason stands.
    pub fn set(&self, reason: impl Into<String>) {
        self.lock().reason.get_or_insert_with(|| reason.into());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same of a device that was opened when it had been forgotten so often.
    fn set_of(&self, forgotten: u64, reason: impl FnOnce() -> String) {
        let mut state = self.lock();
        if state.forgotten == forgotten {
            state.reason.get_or_insert_with(reason);
        }
    }

    /// The next device that is opened is another one.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.reason = None;
        state.forgotten += 1;
    }

    /// An error if the device is lost.
    pub fn check(&self) -> Result<(), DeviceError> {
        match &self.lock().reason {
            Some(reason) => Err(DeviceError::Lost(reason.clone())),
            None => Ok(()),
        }
    }

    /// Has `device` tell here when it is lost, and of errors that no scope caught.
    pub fn watch(&self, device: &Device) {
        let (loss, forgotten) = (self.clone(), self.lock().forgotten);
        device.set_device_lost_callback(move |reason, message| {
            loss.set_of(forgotten, || format!("{reason:?}: {}", one_line(&message)));
        });
        let loss = self.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            loss.set_of(forgotten, || format!("an error outside any scope: {}", one_line(&error.to_string())));
        }));
    }

    /// Runs `what`, which talks to wgpu; a panic there loses the device.
    pub fn wall<R>(&self, what: impl FnOnce() -> R) -> Result<R, DeviceError> {
        catch_unwind(AssertUnwindSafe(what)).map_err(|panic| {
            self.set(format!("the driver or wgpu panicked: {}", one_line(&panic_message(&*panic))));
            self.check().expect_err("it has just been set")
        })
    }

    /// Runs `what` behind the wall and inside error scopes.
    pub fn scoped<R>(&self, device: &Device, what: impl FnOnce() -> R) -> Result<R, DeviceError> {
        let (value, error) = self.wall(|| {
            let internal = device.push_error_scope(ErrorFilter::Internal);
            let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
            let validation = device.push_error_scope(ErrorFilter::Validation);
            let value = what();
            let validation = pollster::block_on(validation.pop());
            let memory = pollster::block_on(memory.pop());
            let internal = pollster::block_on(internal.pop());
            (value, memory.or(internal).or(validation))
        })?;
        if error.is_some() {
            // Every call fails on a lost device, with whatever error comes first: the loss, which a poll tells, is the cause.
            let _ = self.wall(|| device.poll(wgpu::PollType::Poll))?;
        }
        self.check()?;
        match error {
            None => Ok(value),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(DeviceError::OutOfMemory("an allocation failed".into())),
            Some(error) => Err(DeviceError::Unsupported(one_line(&error.to_string()))),
        }
    }
}

/// The text of a caught panic.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".into())
}

/// A message on one line and of a bounded length.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 600;
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + word.len() > MOST {
            line.push_str(" …");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_loss_and_the_first_reason_stands() {
        let loss = Loss::default();
        assert!(loss.check().is_ok());
        assert!(loss.wall(|| 3).is_ok_and(|three| three == 3));
        let error = loss.wall(|| -> u32 { panic!("slice\n  out of range") }).unwrap_err();
        assert_eq!(error.to_string(), "device lost: the driver or wgpu panicked: slice out of range");
        loss.set("something later");
        assert_eq!(loss.check().unwrap_err().to_string(), error.to_string());
    }

    #[test]
    fn a_long_message_is_cut_at_a_word() {
        let line = one_line(&"word ".repeat(1000));
        assert!(line.len() < 700 && line.ends_with("word …"), "{line}");
    }
}
