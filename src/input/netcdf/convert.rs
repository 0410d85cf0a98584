//! From elements as they are stored to values: byte order, missing values, packing.

use bytemuck::Zeroable;
use num_traits::AsPrimitive;

use crate::input::netcdf::in_file::{Half, InFile, Kind};
use crate::input::netcdf::unpacking::Unpacking;
use crate::input::{DType, Element};

impl Unpacking {
    /// The values of the elements in `raw`, as many as there is room for.
    pub(super) fn convert<T: Element>(&self, raw: &[u8], room: &mut [T]) {
        let room: &mut [u8] = bytemuck::cast_slice_mut(room);
        match self.dtype {
            DType::F32 => self.to_float::<f32>(raw, bytemuck::cast_slice_mut(room)),
            DType::F64 => self.to_float::<f64>(raw, bytemuck::cast_slice_mut(room)),
            DType::I32 => match self.encoding.kind {
                Kind::Number(DType::I8) => self.widen::<i8, i32>(raw, room),
                Kind::Number(DType::I16) => self.widen::<i16, i32>(raw, room),
                _ => self.widen::<i32, i32>(raw, room),
            },
            DType::U32 => match self.encoding.kind {
                Kind::Number(DType::U8) => self.widen::<u8, u32>(raw, room),
                Kind::Number(DType::U16) => self.widen::<u16, u32>(raw, room),
                _ => self.widen::<u32, u32>(raw, room),
            },
            DType::I64 => self.widen::<i64, i64>(raw, room),
            DType::U64 => self.widen::<u64, u64>(raw, room),
            DType::I8 | DType::I16 | DType::U8 | DType::U16 => unreachable!("no variable is read as these"),
        }
    }

    fn widen<S: InFile<Value: AsPrimitive<T>>, T: Element>(&self, raw: &[u8], room: &mut [u8]) {
        let room: &mut [T] = bytemuck::cast_slice_mut(room);
        for (value, bytes) in room.iter_mut().zip(raw.chunks_exact(S::SIZE)) {
            *value = S::load(bytes, self.encoding.swapped).as_();
        }
    }

    fn to_float<T: Packed>(&self, raw: &[u8], room: &mut [T]) {
        match self.encoding.kind {
            Kind::Half => self.unpack::<Half, T>(raw, room),
            Kind::Number(DType::F32) => self.unpack::<f32, T>(raw, room),
            Kind::Number(DType::F64) => self.unpack::<f64, T>(raw, room),
            Kind::Number(DType::I8) => self.unpack::<i8, T>(raw, room),
            Kind::Number(DType::I16) => self.unpack::<i16, T>(raw, room),
            Kind::Number(DType::I32) => self.unpack::<i32, T>(raw, room),
            Kind::Number(DType::I64) => self.unpack::<i64, T>(raw, room),
            Kind::Number(DType::U8) => self.unpack::<u8, T>(raw, room),
            Kind::Number(DType::U16) => self.unpack::<u16, T>(raw, room),
            Kind::Number(DType::U32) => self.unpack::<u32, T>(raw, room),
            Kind::Number(DType::U64) => self.unpack::<u64, T>(raw, room),
        }
    }

    /// Block by block, so that what is compared with is still in the cache; each step a loop that compilers vectorize.
    fn unpack<S: InFile, T: Packed>(&self, raw: &[u8], room: &mut [T]) {
        const BLOCK: usize = 2048;
        let missing: Vec<S::Value> = self.missing.iter().filter_map(|number| S::of(*number)).collect();
        let below = self.valid.0.map(S::floor);
        let above = self.valid.1.map(S::ceiling);
        let mut block = [S::Value::zeroed(); BLOCK];
        for (room, raw) in room.chunks_mut(BLOCK).zip(raw.chunks(BLOCK * S::SIZE)) {
            let block = &mut block[..room.len()];
            for (stored, bytes) in block.iter_mut().zip(raw.chunks_exact(S::SIZE)) {
                *stored = S::load(bytes, self.encoding.swapped);
            }
            for (value, stored) in room.iter_mut().zip(&*block) {
                *value = T::from_stored(*stored);
            }
            if let Some(scale) = self.scale {
                room.iter_mut().for_each(|value| *value = value.times(scale));
            }
            if let Some(offset) = self.offset {
                room.iter_mut().for_each(|value| *value = value.plus(offset));
            }
            if let (Some(low), _) = self.valid_unpacked {
                mark(room, |value| value.to_f64() < low);
            }
            if let (_, Some(high)) = self.valid_unpacked {
                mark(room, |value| value.to_f64() > high);
            }
            for missing in &missing {
                mark_by(room, block, |stored| stored == *missing);
            }
            if let Some(low) = below {
                mark_by(room, block, |stored| low.is_none_or(|low| stored < low));
            }
            if let Some(high) = above {
                mark_by(room, block, |stored| high.is_none_or(|high| stored > high));
            }
        }
    }
}

fn mark<T: Packed>(room: &mut [T], is_missing: impl Fn(T) -> bool) {
    room.iter_mut().for_each(|value| *value = if is_missing(*value) { T::NAN } else { *value });
}

fn mark_by<T: Packed, S: Copy>(room: &mut [T], block: &[S], is_missing: impl Fn(S) -> bool) {
    let pairs = room.iter_mut().zip(block);
    pairs.for_each(|(value, stored)| *value = if is_missing(*stored) { T::NAN } else { *value });
}

/// A type of values that can be packed.
trait Packed: Element + 'static {
    const NAN: Self;
    /// The nearest value.
    fn from_stored<S: AsPrimitive<f32> + AsPrimitive<f64>>(stored: S) -> Self;
    fn times(self, factor: f64) -> Self;
    fn plus(self, offset: f64) -> Self;
    fn to_f64(self) -> f64;
}

macro_rules! packed {
    ($($float:ty),*) => {$(
        impl Packed for $float {
            const NAN: Self = Self::NAN;
            #[inline(always)]
            fn from_stored<S: AsPrimitive<f32> + AsPrimitive<f64>>(stored: S) -> Self { stored.as_() }
            // The attributes are of this type where the values are: the conversion changes nothing.
            #[inline(always)]
            fn times(self, factor: f64) -> Self { self * factor as Self }
            #[inline(always)]
            fn plus(self, offset: f64) -> Self { self + offset as Self }
            #[inline(always)]
            fn to_f64(self) -> f64 { self.into() }
        }
    )*};
}
packed!(f32, f64);
