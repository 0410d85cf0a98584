//! Amounts of memory as people write them.

/// An amount of memory as people write it: `2GiB`, `500MB`, `1.5G`, or bytes without a unit. `K`, `M`, `G` and `T` alone and with
/// `iB` count by 1024; with `B` by 1000.
///
/// # Errors
/// What to write instead.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is no amount of memory: write it as in 500MB, 2GiB", crate::job::shorten(text));
    let number_len = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(number_len);
    let unit = unit.trim().to_ascii_lowercase();
    let (prefix, base) = match unit.strip_suffix("ib") {
        Some(prefix) if !prefix.is_empty() => (prefix, 1024_u64),
        Some(_) => return Err(wrong()),
        None => unit.strip_suffix('b').map_or((&*unit, 1024), |prefix| (prefix, 1000)),
    };
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == prefix).ok_or_else(wrong)?;
    let unit_bytes = base.pow(power as u32);
    let bytes = match number.parse::<u64>() {
        Ok(number) => number.checked_mul(unit_bytes),
        Err(_) => {
            let bytes = number.parse::<f64>().map_err(|_| wrong())? * unit_bytes as f64;
            (bytes < u64::MAX as f64).then_some(bytes as u64)
        }
    };
    bytes.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_with_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1b", 1),
            ("500MB", 500_000_000),
            ("2GiB", 2 << 30),
            ("2 gib", 2 << 30),
            ("1.5G", 3 << 29),
            ("64k", 64 << 10),
            ("1tb", 1_000_000_000_000),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "ib", "2 parsecs", "-1G", "1..2G", "99999999999T", "1e3"] {
            assert!(parse_bytes(text).unwrap_err().contains("is no amount of memory"), "{text}");
        }
    }
}
