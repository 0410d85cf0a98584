//! Blocks of a stream, decoded on several threads at once: what comes of them is taken in the order of the stream.

use std::collections::BTreeMap;
use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Blocks that are being decoded or wait for their turn, for each thread.
const BLOCKS_PER_THREAD: usize = 2;

/// Threads that make a `D` of each block `B`.
pub(super) struct Decoders<B, D> {
    blocks: Sender<(u64, B)>,
    decoded: Receiver<(u64, D)>,
    /// What came before its turn.
    early: BTreeMap<u64, D>,
    sent: u64,
    taken: u64,
    most: u64,
}

impl<B, D> Decoders<B, D> {
    /// So many threads, which end when this is dropped.
    pub(super) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        threads: usize,
        decode: impl Fn(B) -> D + Clone + Send + 'scope,
    ) -> Self
    where
        B: Send + 'scope,
        D: Send + 'scope,
    {
        let most = threads * BLOCKS_PER_THREAD;
        let (blocks, of_threads) = bounded::<(u64, B)>(most);
        let (results, decoded) = bounded(most);
        for _ in 0..threads {
            let (blocks, results, decode) = (of_threads.clone(), results.clone(), decode.clone());
            scope.spawn(move || {
                for (index, block) in blocks {
                    if results.send((index, decode(block))).is_err() {
                        break;
                    }
                }
            });
        }
        Self { blocks, decoded, early: BTreeMap::new(), sent: 0, taken: 0, most: most as u64 }
    }

    /// Whether another block may be sent before one is taken.
    pub(super) fn has_room(&self) -> bool {
        self.sent - self.taken < self.most
    }

    /// Gives a block to whichever thread is free.
    pub(super) fn send(&mut self, block: B) {
        // The threads take blocks for as long as this is there.
        let _ = self.blocks.send((self.sent, block));
        self.sent += 1;
    }

    /// What came of the next block in the order of the stream; `None` where all have been taken.
    pub(super) fn take(&mut self) -> Option<D> {
        while self.taken < self.sent {
            if let Some(next) = self.early.remove(&self.taken) {
                self.taken += 1;
                return Some(next);
            }
            let (index, decoded) = self.decoded.recv().ok()?;
            self.early.insert(index, decoded);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_blocks_is_taken_in_the_order_in_which_they_were_sent() {
        for threads in [1, 3] {
            std::thread::scope(|scope| {
                let mut decoders = Decoders::start(scope, threads, |block: u64| {
                    // Every third one takes long, so that later ones overtake it.
                    (0..if block.is_multiple_of(3) { 20_000 } else { 1 })
                        .fold(block, |a, b| std::hint::black_box(a ^ b ^ b))
                });
                let (mut next, mut sent) = (0, 0);
                while next < 100 {
                    while sent < 100 && decoders.has_room() {
                        decoders.send(sent);
                        sent += 1;
                    }
                    assert_eq!(decoders.take(), Some(next), "{threads} threads");
                    next += 1;
                }
                assert_eq!(decoders.take(), None);
            });
        }
    }
}
