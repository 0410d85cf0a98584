//! Waiting for the device: in finite steps, and not for ever.

use std::time::{Duration, Instant};

use wgpu::{PollError, PollType, SubmissionIndex};

use crate::device::DeviceError;
use crate::device::gpu::faults::Loss;
use crate::device::gpu::staging::Target;

/// Waits for a submission, in finite steps, and for so long at most.
pub(super) fn wait(at: &Target, submission: SubmissionIndex) -> Result<(), DeviceError> {
    wait_for(&at.loss, at.patience, |timeout| {
        let poll = PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(timeout) };
        at.device.poll(poll).map(|_| ())
    })
}

/// Polls until it succeeds, the device is lost, or patience ends; that too loses the device.
fn wait_for(
    loss: &Loss,
    patience: Duration,
    mut poll: impl FnMut(Duration) -> Result<(), PollError>,
) -> Result<(), DeviceError> {
    const STEP: Duration = Duration::from_millis(250);
    let start = Instant::now();
    loop {
        let polled = loss.wall(|| poll(STEP.min(patience)))?;
        loss.check()?;
        match polled {
            Ok(()) => return Ok(()),
            Err(PollError::Timeout) if start.elapsed() < patience => {}
            Err(PollError::Timeout) => loss.set(format!("no answer within {patience:?}")),
            Err(error) => loss.set(format!("waiting failed: {error}")),
        }
        loss.check()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_an_answer_a_loss_or_the_end_of_patience() {
        let patience = Duration::from_millis(20);
        let mut polls = 0;
        let answered = wait_for(&Loss::default(), Duration::from_secs(60), |_| {
            polls += 1;
            if polls < 4 { Err(PollError::Timeout) } else { Ok(()) }
        });
        assert!(answered.is_ok() && polls == 4);

        let loss = Loss::default();
        let error = wait_for(&loss, patience, |timeout| {
            assert!(timeout <= patience);
            std::thread::sleep(timeout);
            Err(PollError::Timeout)
        });
        assert_eq!(error.unwrap_err().to_string(), "device lost: no answer within 20ms");
        assert!(loss.check().is_err(), "it stays lost");

        let loss = Loss::default();
        let told = wait_for(&loss, patience, |_| {
            loss.set("gone");
            Ok(())
        });
        assert_eq!(told.unwrap_err().to_string(), "device lost: gone");

        let fault = wait_for(&Loss::default(), patience, |_| Err(PollError::WrongSubmissionIndex(2, 1)));
        assert!(fault.unwrap_err().to_string().contains("waiting failed"));
        let panicked = wait_for(&Loss::default(), patience, |_| panic!("in the driver"));
        assert!(panicked.unwrap_err().to_string().contains("in the driver"));
    }
}
