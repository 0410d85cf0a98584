//! What a job of factors ends with.

use std::io::{self, Write};

use crate::kernels::Answer;

/// A prime and how often it divides the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrimePower {
    /// The prime.
    pub prime: u128,
    /// How often it divides; at least 1.
    pub exponent: u32,
}

/// The prime factors of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorAnswer {
    /// The number.
    pub n: u128,
    /// Its prime factors, ascending; none of 1. Each is proven.
    pub factors: Vec<PrimePower>,
}

impl Answer for FactorAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"{\"factors\":[")?;
        let mut separator = "";
        for PrimePower { prime, exponent } in &self.factors {
            write!(out, "{separator}{{\"prime\":\"{prime}\",\"exponent\":{exponent}}}")?;
            separator = ",";
        }
        out.write_all(b"]}")
    }

    /// As coreutils' `factor` writes it: `12: 2 2 3`.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}:", self.n)?;
        for PrimePower { prime, exponent } in &self.factors {
            for _ in 0..*exponent {
                write!(out, " {prime}")?;
            }
        }
        writeln!(out)
    }

    fn names_its_input(&self) -> bool {
        true
    }

    fn summary(&self) -> String {
        if self.factors.is_empty() {
            return "1 has none".to_owned();
        }
        let powers = self.factors.iter().map(|PrimePower { prime, exponent }| match exponent {
            1 => prime.to_string(),
            _ => format!("{prime}^{exponent}"),
        });
        powers.collect::<Vec<_>>().join(" · ")
    }
}
