//! What others made, and what becomes of it in the end.

use std::ops::Deref;

use crate::engine::panics;

/// Something of somebody else's making: a panic of its `Drop` is kept from whoever happens to drop it, since that is often
/// the thread that decides, or one that other jobs wait for.
pub(crate) struct Foreign<T>(Option<T>);

impl<T> Foreign<T> {
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// The value itself, unguarded.
    pub fn into_inner(mut self) -> T {
        self.0.take().expect("it is taken once")
    }
}

impl<T> Deref for Foreign<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is taken only where it is consumed")
    }
}

impl<T> Drop for Foreign<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            let _ = panics::catch(|| drop(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_panic_on_dropping_stays_inside() {
        drop(Foreign::new(Bomb));
        drop(Foreign::new(vec![Bomb]));
        std::mem::forget(Foreign::new(Bomb).into_inner());
    }
}
