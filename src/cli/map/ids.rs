//! Names for the jobs of `tandem map`.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Calls each job what its input is, and those of an input that comes again `a (2)`, `a (3)`: in a file of results each job has a
/// name of its own, and the same one in every run of the same inputs.
#[derive(Default)]
pub(super) struct Ids {
    /// Of each name, as a hash, the number that its next namesake is to try. Two names of one hash give a number too many.
    next: HashMap<u64, u64>,
}

impl Ids {
    /// A name that none before has.
    pub fn of(&mut self, input: &str) -> Arc<str> {
        let Some(mut number) = self.next.get(&hash(input)).copied() else {
            self.next.insert(hash(input), 2);
            return input.into();
        };
        loop {
            let id = format!("{input} ({number})");
            number += 1;
            if !self.next.contains_key(&hash(&id)) {
                self.next.insert(hash(input), number);
                self.next.insert(hash(&id), 2);
                return id.into();
            }
        }
    }
}

/// The same in every run.
fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_comes_again_has_a_name_that_no_other_has() {
        let mut ids = Ids::default();
        let named: Vec<Arc<str>> =
            ["a", "a", "b", "a (2)", "a", "a (3)", "b"].iter().map(|input| ids.of(input)).collect();
        let named: Vec<&str> = named.iter().map(|id| &**id).collect();
        assert_eq!(named, ["a", "a (2)", "b", "a (2) (2)", "a (3)", "a (3) (2)", "b (2)"]);
    }
}
