//! Room on the disk for what clients send: the files of failed jobs, which are kept so that those can be tried again, make it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::service::keeper::Keeper;
use crate::service::uploads::files_of;

/// So many jobs are looked at in one go.
const STEP: u32 = 64;

/// Where the disk is full, so much is tried to be given back.
const FULL_BYTES: u64 = 1 << 30;

impl Keeper {
    /// Has room made for so many bytes, in a moment.
    pub fn want_room(&self, bytes: u64) {
        self.space.want(bytes);
        self.wake_housekeeper();
    }

    /// The disk is full.
    pub fn disk_is_full(&self) {
        self.space.lack(FULL_BYTES);
        self.wake_housekeeper();
    }

    /// Makes room for those that wait for it.
    pub(super) fn make_room(&self) {
        self.give_up_files(self.space.missing_bytes());
    }

    /// Removes the files of the failed jobs that came first, until so many bytes are free.
    fn give_up_files(&self, bytes: u64) {
        let (mut freed, mut is_anew) = (0, false);
        while freed < bytes {
            let after = self.dropped_to.load(Ordering::Relaxed);
            let found = match self.read(|reader| reader.files_gone_wrong(after, STEP)) {
                Ok(found) => found,
                Err(error) => return tracing::error!(%error, "files of failed jobs cannot be looked for"),
            };
            let Some((last, _)) = found.last() else {
                // Others have failed since, with lower numbers: once more from the first on.
                self.dropped_to.store(0, Ordering::Relaxed);
                if after == 0 || is_anew {
                    break;
                }
                is_anew = true;
                continue;
            };
            self.dropped_to.store(*last, Ordering::Relaxed);
            // None of them is taken back meanwhile.
            let _files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            for (seq, files) in &found {
                if self.live().get(*seq).is_none() {
                    freed += self.uploads.remove_now(&files_of(Some(files)));
                }
            }
        }
        if freed > 0 {
            tracing::warn!(
                bytes = freed,
                "files of failed jobs were removed to make room: those can be sent anew, and not tried again"
            );
        }
    }
}
