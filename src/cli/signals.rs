//! Interruption: what a first, a second and a third signal end.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::cli::terminal::tell;
use crate::engine::CancelFlag;

/// How long a program that was asked to end may take over it, where [`Signals::watch_and_end`] sees to it.
#[cfg(unix)]
const GRACE: std::time::Duration = std::time::Duration::from_millis(300);

/// Which signal came, if one came.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals(Arc<AtomicU8>);

impl Signals {
    /// Watches for SIGINT and SIGTERM from now on. The first lets what has begun end and begins nothing more, the second ends
    /// that too, the third ends the process. `wake` is called whenever `cancel` has changed.
    #[cfg(unix)]
    pub fn watch(cancel: CancelFlag, wake: impl Fn() + Send + 'static) -> Self {
        Self::watch_for(cancel, wake, true, |_| {
            tell("ending: what runs is let end, and nothing more begins; once more ends that too")
        })
    }

    /// As [`watch`](Self::watch); but a program that has not ended by itself a moment after the first signal is ended,
    /// since a read of a pipe that gives nothing cannot be cancelled.
    #[cfg(unix)]
    pub fn watch_and_end(cancel: CancelFlag, wake: impl Fn() + Send + 'static) -> Self {
        Self::watch_for(cancel, wake, false, |code| {
            let end = move || {
                std::thread::sleep(GRACE);
                std::process::exit(i32::from(code));
            };
            // Without a thread, it takes a second signal.
            let _ = std::thread::Builder::new().name("end".to_owned()).spawn(end);
        })
    }

    #[cfg(unix)]
    fn watch_for(
        cancel: CancelFlag,
        wake: impl Fn() + Send + 'static,
        gently: bool,
        then: impl Fn(u8) + Send + 'static,
    ) -> Self {
        use signal_hook::consts::{SIGINT, SIGTERM};

        let signals = Self::default();
        let Ok(mut coming) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) else { return signals };
        let seen = signals.clone();
        let watcher = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in coming.forever() {
                let code = 128 + signal as u8;
                let is_first = seen.0.swap(code, Ordering::AcqRel) == 0;
                match (is_first, gently && !cancel.is_cancelled()) {
                    (true, true) => cancel.drain(),
                    (true, false) | (false, true) => cancel.cancel(),
                    (false, false) => std::process::exit(i32::from(code)),
                }
                wake();
                if is_first {
                    then(code);
                }
            }
        });
        // Without a thread to watch, a signal ends the process as it does by default.
        if watcher.is_err() {
            for signal in [SIGINT, SIGTERM] {
                let _ = signal_hook::flag::register_conditional_default(signal, Arc::new(true.into()));
            }
        }
        signals
    }

    /// Does nothing here: an interruption ends the process as the system has it.
    #[cfg(not(unix))]
    pub fn watch(_cancel: CancelFlag, _wake: impl Fn() + Send + 'static) -> Self {
        Self::default()
    }

    /// Does nothing here: an interruption ends the process as the system has it.
    #[cfg(not(unix))]
    pub fn watch_and_end(_cancel: CancelFlag, _wake: impl Fn() + Send + 'static) -> Self {
        Self::default()
    }

    /// The exit code of the signal that came: 130 for SIGINT, 143 for SIGTERM.
    pub fn exit_code(&self) -> Option<ExitCode> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            code => Some(ExitCode::from(code)),
        }
    }
}
