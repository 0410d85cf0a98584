//! A job file in parts, each for a process of its own.

use std::ops::Range;

use crate::job::Groups;

/// More parts than any cluster runs.
const SHARDS_MAX: u32 = 1_000_000;

/// One of the parts that a job file is cut into: `I/N`, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no shard: write I/N, as in 0/4 to 3/4", crate::job::shorten(text));
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let (index, count) = (number(index).ok_or_else(wrong)?, number(count).ok_or_else(wrong)?);
        if count == 0 || count > SHARDS_MAX {
            return Err(format!("a job file can be cut into 1 to {SHARDS_MAX} shards, not into {count}"));
        }
        if index >= count {
            return Err(format!("there is no shard {index} of {count}: they are counted from 0 to {}", count - 1));
        }
        Ok(Self { index, count })
    }
}

/// A job that waits for jobs of two shards: both of them, each with its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn(pub [(u64, u32); 2]);

/// Which jobs of a job file are in a shard.
///
/// Jobs that wait for none are dealt to the shards in turn; one that waits for others is where they are. So chains stay
/// together, and which job is where depends on nothing but the job file and the number of shards.
#[derive(Debug)]
pub struct Sharding {
    shard: Shard,
    dealt: u64,
    /// The shards of all jobs so far.
    shards: Vec<u32>,
    /// Groups of jobs that are in one shard.
    whole: Groups<()>,
}

impl Sharding {
    /// No job yet.
    pub fn new(shard: Shard) -> Self {
        Self { shard, dealt: 0, shards: Vec::new(), whole: Groups::default() }
    }

    /// Whether the next job of the file, which waits for these, is in the shard.
    ///
    /// # Errors
    /// Where they are not all in one shard; it counts as where the first of them is.
    pub fn place(&mut self, after: &[Range<u64>]) -> Result<bool, Torn> {
        // Of a group that is known to be in one shard, one says where.
        let is_whole = |group: &Range<u64>| self.whole.get(group).is_some();
        let groups =
            after.iter().map(|group| if is_whole(group) { group.start..group.start + 1 } else { group.clone() });
        let mut parents = groups.flatten().map(|parent| {
            let shard = usize::try_from(parent).ok().and_then(|at| self.shards.get(at)).copied();
            (parent, shard.unwrap_or_default())
        });
        let first = parents.next();
        let torn = first.and_then(|first| parents.find(|other| other.1 != first.1).map(|other| Torn([first, other])));
        let shard = match first {
            Some((_, shard)) => shard,
            None => {
                self.dealt += 1;
                ((self.dealt - 1) % u64::from(self.shard.count)) as u32
            }
        };
        self.shards.push(shard);
        if torn.is_none() {
            after.iter().for_each(|group| self.whole.set(group, ()));
        }
        match torn {
            Some(torn) => Err(torn),
            None => Ok(shard == self.shard.index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str) -> Shard {
        text.parse().unwrap()
    }

    #[test]
    fn a_shard_is_written_as_its_number_from_0_and_how_many_there_are() {
        assert_eq!(shard("2/3"), Shard { index: 2, count: 3 });
        for (text, expected) in [
            ("3/3", "there is no shard 3 of 3: they are counted from 0 to 2"),
            ("0/0", "1 to 1000000 shards, not into 0"),
            ("1", "is no shard: write I/N"),
            ("-1/3", "is no shard"),
            ("+1/3", "is no shard"),
            ("a/b", "is no shard"),
            ("0/99999999999", "is no shard"),
        ] {
            let message = text.parse::<Shard>().unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn jobs_are_dealt_in_turn_and_those_that_wait_follow_the_ones_they_wait_for() {
        // Chains of three, one after the other: e t l e t l …
        let mut shardings = ["0/3", "1/3", "2/3"].map(|text| Sharding::new(shard(text)));
        for job in 0..18_u64 {
            let after: &[Range<u64>] = if job % 3 == 0 { &[] } else { &[job - 1..job] };
            let places = shardings.each_mut().map(|sharding| sharding.place(after).unwrap());
            let expected = (job / 3 % 3) as usize;
            assert_eq!(places, [0, 1, 2].map(|shard| shard == expected), "job {job}");
        }
    }

    #[test]
    fn jobs_that_wait_for_large_groups_are_where_those_are_and_such_a_group_in_two_shards_is_told_each_time() {
        let mut sharding = Sharding::new(shard("1/2"));
        assert_eq!((sharding.place(&[]), sharding.place(&[])), (Ok(false), Ok(true)));
        (2..100).for_each(|_| assert_eq!(sharding.place(&[1..2]), Ok(true)));
        for _ in 0..3 {
            assert_eq!(sharding.place(&[2..50, 50..100]), Ok(true));
            assert_eq!(sharding.place(&[50..100, 0..90]), Err(Torn([(50, 1), (0, 0)])));
            assert_eq!(sharding.place(&[2..50, 0..1]), Err(Torn([(2, 1), (0, 0)])));
        }
    }

    #[test]
    fn a_job_that_waits_for_two_shards_is_told_with_both() {
        let mut sharding = Sharding::new(shard("0/2"));
        assert_eq!((sharding.place(&[]), sharding.place(&[]), sharding.place(&[])), (Ok(true), Ok(false), Ok(true)));
        assert_eq!(sharding.place(&[0..1, 2..3]), Ok(true));
        assert_eq!(sharding.place(&[0..3]), Err(Torn([(0, 0), (1, 1)])));
        assert_eq!(sharding.place(&[4..5]), Ok(true), "it counts as where the first is");
    }
}
