//! A connection that is read in short waits, so that a wish to cancel is seen while a server is silent.

use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use crate::engine::CancelFlag;

/// A wish to cancel is seen within this time.
const WAIT: Duration = Duration::from_millis(50);

/// Somebody asked for the fetch to end.
#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
pub(super) struct Cancelled;

/// Makes connections watched ones; stands between what connects and what encrypts.
#[derive(Debug)]
pub(super) struct Watch(pub CancelFlag);

impl<In: Transport> Connector<In> for Watch {
    type Out = Watched<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Watched { inner, cancel: self.0.clone() }))
    }
}

/// A watched connection.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    cancel: CancelFlag,
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // A request is shorter than the buffers of a connection: sending it does not wait.
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let begun = Instant::now();
        loop {
            if self.cancel.is_cancelled() {
                return Err(Error::Other(Box::new(Cancelled)));
            }
            let left = timeout.after.saturating_sub(begun.elapsed());
            let wait = NextTimeout { after: left.min(WAIT).into(), ..timeout };
            match self.inner.await_input(wait) {
                Err(Error::Timeout(_)) if left > WAIT => {}
                result => return result,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
