//! What the modules of vector instruction sets are written with.

/// Defines the tests of an instruction set, of which the generic code is inlined here.
macro_rules! tests_with {
    ($features:tt; $($name:ident($($argument:ident),*) = $test:ident::<$lanes:ty>;)*) => {$(
        #[target_feature(enable = $features)]
        fn $name($($argument: &[u64]),*) -> u64 {
            // SAFETY: the instruction set is that of this function.
            unsafe { $test::<$lanes>($($argument),*) }
        }
    )*};
}
pub(super) use tests_with;

/// Defines instructions by short names. They are for code that is inlined into functions with the instruction set only, and private to the module
/// of that set and those below it.
macro_rules! instructions {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $instruction:expr;)*) => {$(
        #[inline(always)]
        fn $name($($argument: $type),*) -> $result {
            // SAFETY: nothing but what is inlined into a function with the instruction set calls this: the tests, whose callers have
            // asked for it by `Method`, and what sorts out.
            unsafe { $instruction }
        }
    )*};
}
pub(super) use instructions;

/// Those methods of `Floats` that are one instruction each, by the names that the module above gives to it.
macro_rules! one_instruction_each {
    () => {
        #[inline(always)]
        fn all(x: f64) -> Self {
            super::all_floats(x)
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            super::add_floats(self, other)
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            super::sub_floats(self, other)
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            super::multiply(self, other)
        }

        #[inline(always)]
        fn div(self, other: Self) -> Self {
            super::divide(self, other)
        }

        #[inline(always)]
        fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
            super::multiply_sub(self, factor, subtrahend)
        }

        #[inline(always)]
        fn sub_mul(self, factor: Self, minuend: Self) -> Self {
            super::sub_multiply(self, factor, minuend)
        }

        #[inline(always)]
        fn round(self) -> Self {
            super::rounded(self)
        }
    };
}
pub(super) use one_instruction_each;
