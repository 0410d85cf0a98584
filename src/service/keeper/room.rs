//! Room on the disk for what clients send: the files of failed jobs make it, which are kept so that those can be tried again, and after
//! them what programs have printed.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::service::keeper::{DiskWork, Keeper};
use crate::service::uploads::DATASET;

/// So many jobs are looked for in one go.
const STEP: u32 = 64;

/// Where the disk is full, so much is tried to be given back.
const FULL_BYTES: u64 = 1 << 30;

/// Those with lower numbers than others that failed before them are looked for so often.
const ROUND: Duration = Duration::from_secs(60);

/// How far files of failed jobs were removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// Up to the job of this number.
    to: u64,
    /// When it was begun with the first.
    since: Option<Duration>,
}

impl Keeper {
    /// Has room made for so many bytes, in a moment.
    pub fn want_room(self: &Arc<Self>, bytes: u64) {
        self.space.want(bytes);
        let _ = self.room.send(DiskWork::Wanted);
    }

    /// The disk is full, whatever may be taken of it.
    pub fn disk_is_full(self: &Arc<Self>) {
        self.space.lack(FULL_BYTES);
        let _ = self.room.send(DiskWork::Wanted);
    }

    /// Counts what programs have printed, and removes what is of jobs that are kept no longer.
    pub(super) fn look_at_outputs(&self) {
        // What cannot be looked up now is later.
        self.outputs.look(|seq| self.read(|reader| reader.job(seq)).map_or(true, |job| job.is_some()));
    }

    /// Removes what was a dataset and is read by no job any more.
    pub fn tidy_datasets(&self) {
        if self.datasets.has_replaced() {
            // None of the jobs that read them is taken back meanwhile.
            let _files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            self.datasets.tidy(|| {
                let files = self.live().files();
                let with_datasets = files.iter().filter(|files| files.contains(DATASET));
                with_datasets.flat_map(|files| self.uploads.files_of(Some(files)).into_values()).collect()
            });
        }
    }

    /// Makes room where programs have printed more than there is room for: nobody has asked them before.
    pub(super) fn keep_bound(&self) {
        let beyond = self.space.used_bytes().saturating_sub(self.space.max_bytes());
        if beyond > 0 {
            self.space.lack(beyond);
            self.make_room();
        }
    }

    /// Removes the files of the failed jobs that came first, and then what the first have printed that are over, until those have what they
    /// wait for who asked.
    pub(super) fn make_room(&self) {
        let bytes = self.space.missing_bytes();
        if bytes == 0 {
            return;
        }
        // None of them is taken back meanwhile.
        let mut removed = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut freed = 0;
        while freed < bytes {
            let found = match self.read(|reader| reader.files_gone_wrong(removed.to, STEP)) {
                Ok(found) => found,
                Err(error) => return tracing::error!(%error, "files of failed jobs cannot be looked for"),
            };
            if found.is_empty() {
                // Others have failed since, with lower numbers.
                if removed.to == 0 || removed.since.is_some_and(|since| self.now() - since < ROUND) {
                    break;
                }
                *removed = Removed { to: 0, since: Some(self.now()) };
            }
            for (seq, files) in found {
                if freed >= bytes {
                    break;
                }
                removed.to = seq;
                if self.live().get(seq).is_none() {
                    freed += self.uploads.remove_now(&self.uploads.files_of(Some(&files)));
                }
            }
        }
        if freed > 0 {
            tracing::warn!(
                bytes = freed,
                "files of failed jobs were removed to make room: those can be sent anew, and not tried again"
            );
        }
        if freed >= bytes {
            return;
        }
        let freed = self.outputs.make_room(bytes - freed, |seq| self.live().get(seq).is_none());
        if freed > 0 {
            tracing::warn!(
                bytes = freed,
                "what programs had printed was removed to make room: outcomes keep the last 64 KiB"
            );
        }
    }
}
