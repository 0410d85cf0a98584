//! Room on the disk for what is on its way to it.

use std::time::Duration;

use super::App;
use super::error::ApiError;

/// It is waited for so often, for so long each time.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Takes so many bytes of the space for files, once they are there: those of failed jobs make room.
pub(super) async fn take_room(app: &App, bytes: usize) -> Result<u64, ApiError> {
    let bytes = bytes as u64;
    for _ in 0..TRIES {
        if app.space.take(bytes) {
            return Ok(bytes);
        }
        app.want_room(bytes);
        tokio::time::sleep(PAUSE).await;
    }
    Err(ApiError::no_space(app.space.max_bytes()))
}
