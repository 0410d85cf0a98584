//! The plain vectorised sum that benches compare with.

use tandem::kernels::Isa;

/// An element that a plain sum adds up in its own type, 64 bits for integers.
pub trait Summed: Copy {
    fn plain(slice: &[Self]) -> f64;
}
macro_rules! summed {
    ($($element:ty => $total:ty),*) => {$(
        impl Summed for $element {
            #[inline(always)]
            fn plain(slice: &[Self]) -> f64 {
                let mut lanes = [0 as $total; 128];
                let steps = slice.chunks_exact(128);
                let rest = steps.remainder();
                for step in steps {
                    for (lane, value) in lanes.iter_mut().zip(step) {
                        *lane = add(*lane, *value as $total);
                    }
                }
                let rest = rest.iter().fold(0 as $total, |total, value| add(total, *value as $total));
                lanes.into_iter().fold(rest, add) as f64
            }
        }
    )*};
}
summed!(f32 => f32, f64 => f64, i32 => i64, i64 => i64, u64 => u64);

/// Addition that never panics: integers wrap.
#[inline(always)]
fn add<T: Add>(a: T, b: T) -> T {
    a.plus(b)
}
trait Add {
    fn plus(self, other: Self) -> Self;
}
macro_rules! plus {
    ($($float:ty),*; $($integer:ty),*) => {
        $(impl Add for $float { #[inline(always)] fn plus(self, other: Self) -> Self { self + other } })*
        $(impl Add for $integer { #[inline(always)] fn plus(self, other: Self) -> Self { self.wrapping_add(other) } })*
    };
}
plus!(f32, f64; i64, u64);

/// The plain sum, with the widest instruction set of the machine.
pub fn plain_sum<T: Summed>(slice: &[T]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    match Isa::detect() {
        // SAFETY: it was detected.
        Isa::Avx512 => return unsafe { plain_avx512(slice) },
        // SAFETY: as above.
        Isa::Avx2 => return unsafe { plain_avx2(slice) },
        Isa::Portable => {}
    }
    T::plain(slice)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn plain_avx512<T: Summed>(slice: &[T]) -> f64 {
    T::plain(slice)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn plain_avx2<T: Summed>(slice: &[T]) -> f64 {
    T::plain(slice)
}
