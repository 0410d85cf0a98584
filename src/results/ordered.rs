//! Puts outcomes that come in any order into the order of the jobs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::results::pipeline::{PIECE_BYTES, Queue};
use crate::results::rendered::{Afterwards, Bytes, Rendered, append_from};

/// Outcomes on their way into the order of the jobs: the next one due leaves at once, the others wait in memory, and past
/// a limit in an unlinked temporary file.
pub(super) struct Ordered {
    /// The indices of the jobs after the next one, in order.
    due: Box<dyn Iterator<Item = u64> + Send>,
    next: Option<u64>,
    held: BTreeMap<u64, Held>,
    memory_bytes: usize,
    max_memory_bytes: usize,
    spool: Option<Spool>,
    /// The spool took no more when it was last asked.
    refused: bool,
    /// Makes the file of a spool.
    new_file: fn() -> io::Result<File>,
    /// What is leaving the spool just now.
    leaving: Option<(Extent, Vec<Afterwards>)>,
    /// Nothing more will come, so that what is missing is no longer waited for.
    ended: bool,
}

/// A run that waits for its turn.
struct Held {
    count: u64,
    place: Place,
    afterwards: Vec<Afterwards>,
}

enum Place {
    Memory(Vec<u8>),
    Spooled(Extent),
}

/// Bytes of the spool.
#[derive(Clone, Copy)]
struct Extent {
    offset: u64,
    len: u64,
}

impl Ordered {
    /// `due` are the indices of the jobs of the run, ascending.
    pub fn new(mut due: Box<dyn Iterator<Item = u64> + Send>, max_memory_bytes: usize) -> Self {
        Self {
            next: due.next(),
            due,
            held: BTreeMap::new(),
            memory_bytes: 0,
            max_memory_bytes,
            spool: None,
            refused: false,
            new_file: tempfile::tempfile,
            leaving: None,
            ended: false,
        }
    }

    fn spool(&mut self) -> io::Result<&mut Spool> {
        Ok(match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool { file: (self.new_file)()?, len: 0 }),
        })
    }

    /// Moves what is in memory to the spool, from the run `first` on, in order, so that it is read back in one sweep.
    fn spool_memory(&mut self, first: u64) -> io::Result<()> {
        self.spool()?;
        let Some(spool) = &mut self.spool else { return Ok(()) };
        for (_, held) in self.held.range_mut(first..) {
            if let Place::Memory(bytes) = &held.place {
                let extent = spool.append(&mut bytes.as_slice())?;
                self.memory_bytes -= bytes.capacity();
                held.place = Place::Spooled(extent);
            }
        }
        Ok(())
    }

    /// Makes room in memory after the run `first` came; where that cannot be had, the run is left out.
    fn settle(&mut self, first: u64) -> io::Result<()> {
        // While the spool is refused only the new run tries: everything before it has tried already.
        let spooled = self.spool_memory(if self.refused { first } else { 0 });
        self.refused = spooled.is_err();
        if let Some(Held { place: Place::Memory(bytes), .. }) = self.held.get(&first)
            && self.memory_bytes > self.max_memory_bytes
        {
            self.memory_bytes -= bytes.capacity();
            self.held.remove(&first);
            return spooled;
        }
        Ok(())
    }

    /// The index of the run that leaves next, where it is here.
    fn at_hand(&self) -> Option<u64> {
        if self.ended {
            return self.held.keys().next().copied();
        }
        self.next.filter(|next| self.held.contains_key(next))
    }
}

impl Queue for Ordered {
    fn put(&mut self, run: Rendered) -> io::Result<()> {
        let place = match run.bytes {
            Bytes::Memory(bytes) => {
                self.memory_bytes += bytes.capacity();
                Place::Memory(bytes)
            }
            Bytes::Disk(mut file) => Place::Spooled(self.spool()?.append(&mut file)?),
        };
        self.held.insert(run.first, Held { count: run.count, place, afterwards: run.afterwards });
        // Where the next one is at hand the reader is slow, not a job: the workers wait then, and nothing is spooled.
        if self.memory_bytes > self.max_memory_bytes && !self.ready() {
            self.settle(run.first)?;
        }
        Ok(())
    }

    fn hold(&mut self, run: Rendered) {
        let Bytes::Memory(bytes) = run.bytes else { unreachable!("only what is in memory is held there") };
        self.memory_bytes += bytes.capacity();
        let place = Place::Memory(bytes);
        self.held.insert(run.first, Held { count: run.count, place, afterwards: run.afterwards });
    }

    fn ready(&self) -> bool {
        self.leaving.is_some() || self.at_hand().is_some()
    }

    fn take(&mut self, buffer: &mut Vec<u8>, taken: &mut Vec<Afterwards>) -> io::Result<()> {
        while buffer.len() < PIECE_BYTES {
            if let (Some((extent, afterwards)), Some(spool)) = (&mut self.leaving, &mut self.spool) {
                let piece = extent.len.min(PIECE_BYTES as u64);
                spool.read(Extent { len: piece, ..*extent }, buffer)?;
                *extent = Extent { offset: extent.offset + piece, len: extent.len - piece };
                if extent.len == 0 {
                    taken.append(afterwards);
                    self.leaving = None;
                }
                continue;
            }
            let Some((first, mut held)) = self.at_hand().and_then(|first| self.held.remove_entry(&first)) else {
                break;
            };
            match held.place {
                Place::Memory(bytes) => {
                    self.memory_bytes -= bytes.capacity();
                    taken.append(&mut held.afterwards);
                    if buffer.is_empty() {
                        *buffer = bytes;
                    } else {
                        buffer.extend_from_slice(&bytes);
                    }
                }
                Place::Spooled(extent) => self.leaving = Some((extent, held.afterwards)),
            }
            while self.next.is_some_and(|next| next < first + held.count) {
                self.next = self.due.next();
            }
        }
        if self.held.is_empty() && self.leaving.is_none() {
            // What was spooled has left: its room on disk is given back.
            self.spool = None;
            self.refused = false;
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn end(&mut self) {
        self.ended = true;
    }
}

/// An unlinked temporary file that is appended to and read by extent.
struct Spool {
    file: File,
    len: u64,
}

impl Spool {
    /// Where this fails, the spool stays as it was: what was written lies past its end.
    fn append(&mut self, bytes: &mut impl Read) -> io::Result<Extent> {
        self.file.seek(SeekFrom::Start(self.len))?;
        let len = io::copy(bytes, &mut self.file)?;
        let offset = self.len;
        self.len += len;
        Ok(Extent { offset, len })
    }

    fn read(&mut self, extent: Extent, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(extent.offset))?;
        append_from(&mut self.file, extent.len, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn run(first: u64, count: u64) -> Rendered {
        let text: String = (first..first + count).map(|index| format!("{index} ")).collect();
        Rendered { first, count, bytes: Bytes::Memory(text.into_bytes()), afterwards: Vec::new() }
    }

    fn drain(queue: &mut Ordered) -> String {
        let mut text = String::new();
        while queue.ready() {
            let mut buffer = Vec::new();
            queue.take(&mut buffer, &mut Vec::new()).unwrap();
            text.push_str(std::str::from_utf8(&buffer).unwrap());
        }
        text
    }

    #[test]
    fn nothing_leaves_before_its_turn() {
        let mut queue = Ordered::new(Box::new(0..), 1000);
        queue.put(run(2, 3)).unwrap();
        queue.put(run(1, 1)).unwrap();
        assert_eq!(drain(&mut queue), "");
        queue.put(run(0, 1)).unwrap();
        assert_eq!(drain(&mut queue), "0 1 2 3 4 ");
        queue.put(run(5, 1)).unwrap();
        assert_eq!(drain(&mut queue), "5 ");
    }

    #[test]
    fn what_passes_the_limit_waits_on_disk_and_comes_back_in_order() {
        let mut queue = Ordered::new(Box::new(0..), 2000);
        for first in (1..1001).rev() {
            queue.put(run(first, 1)).unwrap();
            assert!(queue.memory_bytes() <= 2000);
        }
        assert!(queue.spool.as_ref().is_some_and(|spool| spool.len > 2000));
        queue.put(run(0, 1)).unwrap();
        assert_eq!(drain(&mut queue), (0..1001).map(|index| format!("{index} ")).collect::<String>());
        assert!(queue.spool.is_none());
    }

    #[test]
    fn where_the_disk_is_full_only_what_finds_no_room_in_memory_is_left_out() {
        let mut queue = Ordered::new(Box::new(0..), 2000);
        queue.new_file = || Err(io::Error::other("full"));
        let refused: Vec<u64> = (1..1001).rev().filter(|&first| queue.put(run(first, 1)).is_err()).collect();
        assert!(refused.len() > 300 && refused.len() < 1000, "{} refused", refused.len());
        assert!(queue.memory_bytes() <= 2000);
        // There is room again: whatever comes now is kept, and what was there already too.
        queue.new_file = tempfile::tempfile;
        for &first in &refused[1..] {
            queue.put(run(first, 1)).unwrap();
        }
        // A short text may stand in for what is lost, room or not.
        queue.hold(Rendered {
            first: refused[0],
            count: 1,
            bytes: Bytes::Memory(b"lost ".to_vec()),
            afterwards: Vec::new(),
        });
        queue.put(run(0, 1)).unwrap();
        let expected =
            (0..1001).map(|index| if index == refused[0] { "lost ".to_owned() } else { format!("{index} ") });
        assert_eq!(drain(&mut queue), expected.collect::<String>());
        assert_eq!(queue.memory_bytes(), 0);
    }

    #[test]
    fn a_text_on_disk_leaves_in_pieces_of_bounded_size() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; 1_000_000]).unwrap();
        file.rewind().unwrap();
        let mut queue = Ordered::new(Box::new(0..), 1000);
        queue.put(Rendered { first: 0, count: 1, bytes: Bytes::Disk(file), afterwards: Vec::new() }).unwrap();
        let mut total = 0;
        while queue.ready() {
            let mut buffer = Vec::new();
            queue.take(&mut buffer, &mut Vec::new()).unwrap();
            assert!(buffer.len() <= 2 * PIECE_BYTES);
            total += buffer.len();
        }
        assert_eq!(total, 1_000_000);
    }

    #[test]
    fn at_the_end_gaps_are_no_longer_waited_for() {
        let mut queue = Ordered::new(Box::new(0..), 1000);
        queue.put(run(3, 1)).unwrap();
        queue.put(run(1, 1)).unwrap();
        assert_eq!(drain(&mut queue), "");
        queue.end();
        assert_eq!(drain(&mut queue), "1 3 ");
    }

    proptest! {
        #[test]
        fn any_order_of_arrival_gives_the_order_of_the_jobs(
            order in Just((0..60u64).collect::<Vec<_>>()).prop_shuffle(), limit in 0..400usize, step in 1..4u64,
        ) {
            let mut queue = Ordered::new(Box::new((0..60).map(move |i| i * step)), limit);
            let mut text = String::new();
            for index in order {
                queue.put(run(index * step, 1)).unwrap();
                text += &drain(&mut queue);
            }
            prop_assert_eq!(text, (0..60).map(|index| format!("{} ", index * step)).collect::<String>());
        }
    }
}
