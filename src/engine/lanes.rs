//! Where chunks really run: CPU lanes are spawned into a rayon pool, which never waits inside; every GPU has one
//! blocking thread of its own, outside the pool.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Sender, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::device::DeviceId;
use crate::engine::load::{Load, Tally};
use crate::engine::outside::{Errand, Outside};
use crate::input::Scratch;

/// Something to run on a lane, with the lane's scratch room.
pub(crate) type Piece = Box<dyn FnOnce(&mut Scratch) + Send>;

/// Threads that end passes and deliver outcomes: two, so that a long answer does not hold back a short one.
const FINISHERS: usize = 2;

thread_local! {
    /// The engine that this thread belongs to; 0 for none.
    static OWNER: Cell<u64> = const { Cell::new(0) };
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Marks this thread as one of the engine's own.
pub(crate) fn own_thread(engine: u64) {
    OWNER.set(engine);
}

/// Whether this thread is one of the engine's own, which must not wait for the engine.
pub(crate) fn is_own_thread(engine: u64) -> bool {
    OWNER.get() == engine
}

/// The threads of a run.
pub(crate) struct Lanes {
    pool: ThreadPool,
    gpus: HashMap<u32, Sender<Piece>>,
    /// Ends passes and delivers outcomes; started with the first large job. Apart from the pool, so that neither waits
    /// behind the chunks of other jobs.
    finishers: OnceLock<Option<ThreadPool>>,
    outside: Outside,
    engine: u64,
    load: Arc<Load>,
}

impl Lanes {
    /// A pool of so many CPU threads for the engine of this number, counted in `load`; other threads are started when first used.
    ///
    /// # Errors
    /// Where the system refuses threads.
    pub fn new(threads: u32, engine: u64, load: Arc<Load>) -> io::Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .thread_name(|index| format!("tandem-cpu-{index}"))
            .start_handler(move |_| own_thread(engine))
            // Code that is not ours runs behind `panics::catch`. Should a panic slip through all the same (a value that
            // panics when dropped), it must not take the process along, which is what rayon does without a handler.
            .panic_handler(|_| {})
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { pool, gpus: HashMap::new(), finishers: OnceLock::new(), outside: Outside::new(engine), engine, load })
    }

    /// Runs `piece` on a lane of `device`.
    ///
    /// # Errors
    /// Where the device's thread cannot be started; the piece has not run then.
    pub fn spawn(&mut self, device: DeviceId, piece: Piece) -> io::Result<()> {
        let tally = self.load.tally(device);
        let piece: Piece = Box::new(move |scratch| {
            let _busy = tally.begin();
            piece(scratch);
        });
        match device {
            DeviceId::Cpu => {
                self.pool.spawn(move || {
                    // Taken out, not borrowed: where a piece uses rayon itself, its thread may run another piece
                    // while it waits.
                    let mut scratch = SCRATCH.take();
                    piece(&mut scratch);
                    SCRATCH.set(scratch);
                });
                Ok(())
            }
            DeviceId::Gpu(index) => {
                let sender = match self.gpus.get(&index) {
                    Some(sender) => sender,
                    None => {
                        let sender = gpu_thread(index, self.engine)?;
                        self.gpus.entry(index).or_insert(sender)
                    }
                };
                sender.send(piece).map_err(|_| io::Error::other("the device's thread is gone"))
            }
        }
    }

    /// The work on a device, for what holds a lane of it elsewhere.
    pub fn tally(&self, device: DeviceId) -> Arc<Tally> {
        self.load.tally(device)
    }

    /// Does what waits, on a thread outside the pool.
    ///
    /// # Errors
    /// Where the system refuses a thread; the errand was not begun.
    pub fn spawn_outside(&self, errand: Errand) -> io::Result<()> {
        self.outside.spawn(errand)
    }

    /// Runs `body` without taking a lane: for what is short or belongs to a job that has ended.
    pub fn spawn_free(&self, body: impl FnOnce() + Send + 'static) {
        let engine = self.engine;
        let finishers = self.finishers.get_or_init(|| {
            let builder = ThreadPoolBuilder::new()
                .num_threads(FINISHERS)
                .start_handler(move |_| own_thread(engine))
                .panic_handler(|_| {});
            builder.thread_name(|index| format!("tandem-finish-{index}")).build().ok()
        });
        finishers.as_ref().unwrap_or(&self.pool).spawn(body);
    }
}

fn gpu_thread(index: u32, engine: u64) -> io::Result<Sender<Piece>> {
    let (sender, receiver) = unbounded::<Piece>();
    std::thread::Builder::new().name(format!("tandem-gpu-{index}")).spawn(move || {
        own_thread(engine);
        let mut scratch = Scratch::default();
        for piece in receiver {
            piece(&mut scratch);
        }
    })?;
    Ok(sender)
}
