//! Peers of `tandem primes` that are crates, for `primes.py`.
//!
//! `peers numbers CRATE FILE` prints how many numbers of a file, one a line, are prime, and the seconds that telling took; `peers below N` prints how
//! many primes lie below N, by the sieve of primal.

use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["numbers", peer, path] => numbers(peer, path),
        ["below", end] => println!("{}", primal::StreamingSieve::prime_pi(end.parse().expect("a number"))),
        _ => panic!("peers numbers CRATE FILE, or peers below N"),
    }
}

fn numbers(peer: &str, path: &str) {
    let test: fn(u64) -> bool = match peer {
        "machine-prime" => |number| machine_prime::is_prime(number),
        "num-prime" => num_prime::nt_funcs::is_prime64,
        "primal" => primal::is_prime,
        _ => panic!("no crate {peer}"),
    };
    let text = std::fs::read_to_string(path).expect("a file");
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    let begun = Instant::now();
    let count = numbers.iter().filter(|&&number| test(number)).count();
    println!("{count} {}", begun.elapsed().as_secs_f64());
}
