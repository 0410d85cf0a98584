//! Loops that the compiler turns into vector code, compiled for each instruction set.

/// Evaluates an expression with the instruction set `$isa`, which is never wider than the machine's: a call of what is
/// `#[inline(always)]`, so that the loops in it are compiled for that instruction set.
macro_rules! on_isa {
    ($isa:expr, $body:expr) => {
        match $isa {
            // SAFETY: `isa` is never wider than the machine's (`FoldContext::isa`).
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx512 => unsafe { $crate::kernels::on_isa::avx512(|| $body) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx2 => unsafe { $crate::kernels::on_isa::avx2(|| $body) },
            _ => $body,
        }
    };
}
pub(super) use on_isa;

/// Runs a body that is inlined here with AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,popcnt,bmi1,bmi2,lzcnt")]
pub(super) fn avx512<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// Runs a body that is inlined here with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,popcnt,bmi1,bmi2,lzcnt")]
pub(super) fn avx2<R>(body: impl FnOnce() -> R) -> R {
    body()
}
