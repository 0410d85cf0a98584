//! Panics of kernels, of users' closures and of drivers, caught and turned into text with their place.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// `Some` while this thread runs code whose panics are caught: the hook leaves the place of a panic here.
    static CAUGHT_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `body`; where it panics, gives the panic's message and place instead of printing them.
///
/// # Errors
/// With the message and `file:line` of the panic.
pub fn catch<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    // The hook is the process's: it hands every panic that is not caught here to the hook that was there before.
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = CAUGHT_AT.with_borrow_mut(|place| match place {
                Some(place) => {
                    *place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
                    true
                }
                None => false,
            });
            if !ours {
                previous(info);
            }
        }));
    });
    let outer = CAUGHT_AT.replace(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    let place = CAUGHT_AT.replace(outer).unwrap_or_default();
    result.map_err(|payload| {
        let text = message(&*payload).to_owned();
        // A payload may itself panic when dropped; it is not worth a second failure.
        std::mem::forget(payload);
        format!("{text}{place}")
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let error = catch(|| panic!("the value was {}", 3)).unwrap_err();
        assert!(error.starts_with("the value was 3 at "), "{error}");
        assert!(error.contains("panics.rs:"), "{error}");
    }

    #[test]
    fn what_does_not_panic_passes_through() {
        assert_eq!(catch(|| 7), Ok(7));
    }

    #[test]
    fn nested_catches_each_have_their_own_place() {
        let outer = catch(|| {
            let inner = catch(|| panic!("inner")).unwrap_err();
            assert!(inner.starts_with("inner at "));
            panic!("outer")
        });
        assert!(outer.unwrap_err().starts_with("outer at "));
    }
}
