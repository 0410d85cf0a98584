//! What a unit of a made-up job is.

/// What one unit of this kind and variant is, in words; `None` for irregular kinds, whose units are jobs.
pub fn unit_words(kind: &str, variant: &str) -> Option<&'static str> {
    match (kind, variant) {
        ("primes", "range") => Some("a word of the sieve: 240 numbers"),
        ("primes", "combinatorial") => {
            Some("1/4096 of a segment of the sieve, or of as much work on leaves that need none")
        }
        ("primes", _) => Some("a number that is tested"),
        ("stats", _) => Some("a number"),
        ("corr", _) => Some("a row of 16 columns"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::KERNELS;
    use crate::kernels::primes::NUMBERS_PER_WORD;

    #[test]
    fn every_variant_of_a_kernel_says_what_its_unit_is() {
        for kernel in KERNELS {
            for variant in kernel.variants {
                assert!(unit_words(kernel.name, variant).is_some(), "{} {variant}", kernel.name);
            }
        }
        assert_eq!(unit_words("factor", "u64"), None);
        assert!(unit_words("primes", "range").unwrap().contains(&format!("{NUMBERS_PER_WORD} numbers")));
    }
}
