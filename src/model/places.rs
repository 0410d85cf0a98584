//! Where in the table a key stands. A planner asks a dozen times a job, and keys are long texts that differ at their ends.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::model::ModelKey;

/// The place of each key, by its hash. Keys whose hashes are the same share one entry: who finds another key there has to search.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(HashMap<u64, usize, FixedState>);

impl Places {
    /// Those of keys in this order.
    pub fn of<'a>(keys: impl Iterator<Item = ModelKey<'a>>) -> Self {
        Self(keys.enumerate().map(|(at, key)| (hash(key), at)).collect())
    }

    /// How many there are: fewer than keys where two share one.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the key stands, or another one of the same hash; `None` where neither is in the table.
    pub fn find(&self, key: ModelKey<'_>) -> Option<usize> {
        self.0.get(&hash(key)).copied()
    }

    /// A key was put in at this place, and those behind it have moved.
    pub fn insert(&mut self, key: ModelKey<'_>, at: usize) {
        self.0.values_mut().filter(|place| **place >= at).for_each(|place| *place += 1);
        self.0.insert(hash(key), at);
    }
}

fn hash(key: ModelKey<'_>) -> u64 {
    FixedState::default().hash_one(key)
}
