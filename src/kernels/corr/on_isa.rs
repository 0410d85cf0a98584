//! Loops that the compiler turns into vector code, compiled for each instruction set.

/// Calls a function of this form with the instruction set `$isa`: an `#[inline(always)]` body whose arguments are expressions.
macro_rules! on_isa {
    ($isa:expr, $body:ident($($argument:expr),* $(,)?)) => {
        match $isa {
            // SAFETY: `isa` is never wider than the machine's (`FoldContext::isa`).
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx512 => unsafe { $crate::kernels::corr::on_isa::avx512(|| $body($($argument),*)) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx2 => unsafe { $crate::kernels::corr::on_isa::avx2(|| $body($($argument),*)) },
            _ => $body($($argument),*),
        }
    };
}
pub(super) use on_isa;

/// Runs a body that is inlined here with AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
pub(super) fn avx512<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// Runs a body that is inlined here with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(super) fn avx2<R>(body: impl FnOnce() -> R) -> R {
    body()
}
