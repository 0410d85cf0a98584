//! Gathering [`Moments`] on the CPU.

mod exponent_bins;
mod float;
mod integer;
mod window;

use crate::kernels::Isa;
use crate::kernels::stats::Moments;
use crate::kernels::stats::number::Number;

use exponent_bins::ExponentBins;
use float::{FloatRoom, Floats};

/// Moments of one chunk as they are gathered, block by block.
pub(super) struct Gathering<'a, T: Gather> {
    isa: Isa,
    missing: Option<(u64, u64)>,
    moments: &'a mut Moments,
    room: T::Room,
}

impl<'a, T: Gather> Gathering<'a, T> {
    pub(super) fn new(isa: Isa, missing: Option<(u64, u64)>, moments: &'a mut Moments) -> Self {
        Self { isa, missing, moments, room: T::Room::default() }
    }

    pub(super) fn add(&mut self, block: &[T]) {
        T::gather(self, block);
    }

    pub(super) fn finish(self) {
        T::finish(self);
    }
}

/// An element type whose moments can be gathered.
pub(super) trait Gather: Number {
    /// What is kept between blocks.
    type Room: Default;
    fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]);
    fn finish(gathering: Gathering<'_, Self>);
}

macro_rules! float {
    ($float:ty) => {
        impl Gather for $float {
            type Room = FloatRoom;
            fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]) {
                floats(gathering).add(block);
            }
            fn finish(mut gathering: Gathering<'_, Self>) {
                floats(&mut gathering).finish();
            }
        }
    };
}
float!(f32);
float!(f64);

fn floats<'a, T: Gather<Room = FloatRoom> + window::Windowed>(gathering: &'a mut Gathering<'_, T>) -> Floats<'a, T> {
    Floats {
        isa: gathering.isa,
        // Both zeros equal each other, so one float stands for all that count as missing.
        missing: gathering.missing.map(|(key, _)| T::from_key(key)),
        moments: gathering.moments,
        room: &mut gathering.room,
    }
}

macro_rules! integer {
    ($($integer:ty => $gather:ident),*) => {$(
        impl Gather for $integer {
            type Room = ();
            fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]) {
                // The key that counts as missing is that of one integer.
                let missing = gathering.missing.map(|(key, _)| Self::from_key(key));
                integer::$gather(gathering.isa, gathering.moments, missing, block);
            }
            fn finish(_: Gathering<'_, Self>) {}
        }
    )*};
}
integer!(i32 => gather_32, u32 => gather_32, i64 => gather_64, u64 => gather_64);
