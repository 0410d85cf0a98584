//! How much memory programs have held, by name: what a run of many of them is to leave free for the next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most that the runs of this window and of the one before held is what a program is expected to hold: so that a rare
/// great need is not forgotten soon, and one that was met once, by mistake, is in the end.
const WINDOW_RUNS: u32 = 256;
/// So many names are remembered; those go first that were longest not heard of.
const NAMES_MAX: usize = 1024;
/// Longer names are cut.
const NAME_BYTES_MAX: usize = 200;
/// More than any machine has.
const BYTES_MAX: u64 = 1 << 50;

/// What is known of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The most that was held in this window.
    #[serde(default)]
    peak_bytes: u64,
    /// And in the one before.
    #[serde(default)]
    before_bytes: u64,
    /// Runs in this window.
    #[serde(default)]
    window_runs: u32,
    /// All runs.
    #[serde(default)]
    runs: u64,
    /// When it was last heard of, counted in lessons of the table.
    #[serde(default)]
    seen_at: u64,
}

impl Entry {
    fn bytes(&self) -> u64 {
        self.peak_bytes.max(self.before_bytes)
    }
}

/// One name, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryRow {
    /// What the program is called: its own name, or the file names of program and script.
    pub name: String,
    /// How many bytes its processes are expected to hold at once.
    pub bytes: u64,
    /// Runs that it was learned from.
    pub runs: u64,
}

/// The memory of programs, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct MemoryTable {
    names: BTreeMap<String, Entry>,
}

impl MemoryTable {
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Learns that so many runs of this name held `peak_bytes` at most. Returns whether it could.
    pub fn learn(&mut self, name: &str, peak_bytes: u64, runs: u32) -> bool {
        if name.is_empty() || !(1..=BYTES_MAX).contains(&peak_bytes) || runs == 0 {
            return false;
        }
        let name = cut(name);
        let now = self.names.values().map(|entry| entry.seen_at).max().unwrap_or(0).saturating_add(1);
        if !self.names.contains_key(name) && self.names.len() >= NAMES_MAX {
            self.forget_oldest();
        }
        let entry = self.names.entry(name.to_owned()).or_default();
        entry.peak_bytes = entry.peak_bytes.max(peak_bytes);
        entry.window_runs = entry.window_runs.saturating_add(runs);
        entry.runs = entry.runs.saturating_add(u64::from(runs));
        entry.seen_at = now;
        if entry.window_runs >= WINDOW_RUNS {
            (entry.before_bytes, entry.peak_bytes, entry.window_runs) = (entry.peak_bytes, 0, 0);
        }
        true
    }

    fn forget_oldest(&mut self) {
        let oldest = self.names.iter().min_by_key(|(_, entry)| entry.seen_at).map(|(name, _)| name.clone());
        if let Some(oldest) = oldest {
            self.names.remove(&oldest);
        }
    }

    /// How many bytes a run of this name is expected to hold at most.
    pub fn of(&self, name: &str) -> Option<MemoryRow> {
        self.names.get_key_value(cut(name)).map(row)
    }

    pub fn rows(&self) -> Vec<MemoryRow> {
        self.names.iter().map(row).collect()
    }

    /// Drops what a file should not have held.
    pub fn restore(&mut self) {
        self.names.retain(|name, entry| {
            entry.peak_bytes = entry.peak_bytes.min(BYTES_MAX);
            entry.before_bytes = entry.before_bytes.min(BYTES_MAX);
            entry.bytes() > 0 && !name.is_empty() && name.len() <= NAME_BYTES_MAX
        });
        while self.names.len() > NAMES_MAX {
            self.forget_oldest();
        }
    }
}

fn row((name, entry): (&String, &Entry)) -> MemoryRow {
    MemoryRow { name: name.clone(), bytes: entry.bytes(), runs: entry.runs }
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(table: &MemoryTable, name: &str) -> Option<u64> {
        table.of(name).map(|row| row.bytes)
    }

    #[test]
    fn the_greatest_need_is_remembered_for_a_while_and_not_for_ever() {
        let mut table = MemoryTable::default();
        assert_eq!(bytes_of(&table, "p"), None);
        table.learn("p", 100, 1);
        table.learn("p", 9000, 1);
        for n in 0..WINDOW_RUNS {
            table.learn("p", 100 + u64::from(n % 7), 1);
        }
        assert_eq!((bytes_of(&table, "p"), bytes_of(&table, "q")), (Some(9000), None));
        for _ in 0..2 * WINDOW_RUNS {
            table.learn("p", 150, 1);
        }
        assert_eq!(bytes_of(&table, "p"), Some(150));
        assert_eq!(
            table.rows(),
            [MemoryRow { name: "p".to_owned(), bytes: 150, runs: u64::from(3 * WINDOW_RUNS) + 2 }]
        );
    }

    #[test]
    fn nonsense_is_refused_and_long_names_are_cut() {
        let mut table = MemoryTable::default();
        assert!(
            !table.learn("", 1, 1)
                && !table.learn("p", 0, 1)
                && !table.learn("p", u64::MAX, 1)
                && !table.learn("p", 1, 0)
        );
        let long = "é".repeat(500);
        assert!(table.learn(&long, 5, 1));
        assert_eq!((bytes_of(&table, &long), table.rows()[0].name.len()), (Some(5), NAME_BYTES_MAX));
    }

    #[test]
    fn the_names_longest_not_heard_of_go_first() {
        let mut table = MemoryTable::default();
        for n in 0..NAMES_MAX {
            table.learn(&n.to_string(), 1, 1);
        }
        table.learn("0", 2, 1);
        table.learn("new", 3, 1);
        assert_eq!((bytes_of(&table, "0"), bytes_of(&table, "1"), bytes_of(&table, "new")), (Some(2), None, Some(3)));
        assert_eq!(table.rows().len(), NAMES_MAX);
    }

    #[test]
    fn what_a_damaged_file_held_is_bounded() {
        let text = r#"{"p":{"peak_bytes":18446744073709551615,"runs":18446744073709551615,"seen_at":18446744073709551615},"":{"peak_bytes":1},"z":{}}"#;
        let mut table: MemoryTable = serde_json::from_str(text).unwrap();
        table.restore();
        assert_eq!((table.rows().len(), bytes_of(&table, "p")), (1, Some(BYTES_MAX)));
        assert!(table.learn("p", 1, u32::MAX) && table.learn("q", 1, 1));
    }
}
