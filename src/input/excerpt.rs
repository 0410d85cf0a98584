//! How a piece of an input is shown in a message.

/// Characters shown at most.
const SHOWN_MAX: usize = 40;

/// The start of `text`, fit for a message: on one line, control characters escaped, what is no UTF-8 replaced.
pub(crate) fn excerpt(text: &[u8]) -> String {
    // Four bytes a character at most, and one more to see that there is more.
    let start = &text[..text.len().min(4 * (SHOWN_MAX + 1))];
    let start = String::from_utf8_lossy(start);
    let mut shown: String = start.chars().take(SHOWN_MAX).flat_map(shown_char).collect();
    if start.chars().count() > SHOWN_MAX {
        shown.push('…');
    }
    shown
}

fn shown_char(char: char) -> impl Iterator<Item = char> {
    let escaped = char.is_control().then(|| char.escape_debug());
    let plain = (!char.is_control()).then_some(char);
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_or_unprintable_is_shown_short_and_printable() {
        assert_eq!(excerpt(b"12,5"), "12,5");
        assert_eq!(excerpt(b"a\nb\x1b[0m"), "a\\nb\\u{1b}[0m");
        assert_eq!(excerpt(b"\xff7"), "\u{fffd}7");
        assert_eq!(excerpt("ü".repeat(40).as_bytes()), "ü".repeat(40));
        assert_eq!(excerpt("ü".repeat(1000).as_bytes()), "ü".repeat(40) + "…");
    }
}
