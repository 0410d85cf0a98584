#!/usr/bin/env python3
"""Primes by tandem and by its peers, in turns: one table, for BENCHMARKS.md.

    benches/peers/primes.py [--rounds 5] [--threads 1,2] [--only ranges] [--scratch target/peers]

Peers are Debian's primesieve, primecount, pari-gp, factor, FLINT and GMP (libflint-dev, libgmp-dev, by `libraries.c`), where they are installed (what
is not is said); sympy and gmpy2, which are installed into a virtual environment in the scratch folder; and the crates machine-prime, num-prime and
primal, which are built there (`crates.rs`). All of them, and tandem, are timed as whole processes, but for lists of numbers, where the peers'
time is that of their loop alone, after the numbers were read. The answers are compared with each other. Peers are measured only: nothing of them is
linked into tandem, whatever their licences are (FLINT and GMP: LGPL; PARI, GNU factor: GPL).
"""

import argparse
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from environment import install

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = {"primesieve": "primesieve", "primecount": "primecount", "gp": "pari-gp", "factor": "coreutils"}
C_LIBRARIES = {"flint": ("FLINT", "-lflint", "libflint-dev"), "gmp": ("GMP", "-lgmp", "libgmp-dev")}
CRATES = ["machine-prime", "num-prime", "primal"]
LIST_LEN, PRIMES, SEMIPRIMES = 1_000_000, 20_000, 10_000
# One process for each library: it reads the numbers, tells primes apart, and prints how many, and the seconds of the loop.
LIBRARIES = {"sympy": "from sympy import isprime as test", "gmpy2": "from gmpy2 import is_prime as test"}


def is_prime(n):
    """Strong tests to the first twelve primes: enough below 3.3e24 (Sorenson and Webster, 2015)."""
    small = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37]
    if n < 2 or any(n % p == 0 for p in small):
        return n in small
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    for base in small:
        x = pow(base, (n - 1) >> twos, n)
        if x not in (1, n - 1) and not any((x := x * x % n) == n - 1 for _ in range(twos - 1)):
            return False
    return True


def make_data(scratch):
    source = random.Random(20261126)
    numbers = {
        "odd 64-bit": [source.getrandbits(64) | 1 for _ in range(LIST_LEN)],
        "1e14 to 1e16": [source.randrange(10**14, 10**16) | 1 for _ in range(LIST_LEN)],
    }

    def prime(bits):
        while not is_prime(n := source.getrandbits(bits) | 1 | 1 << (bits - 1)):
            pass
        return n

    numbers["64-bit primes"] = [prime(64) for _ in range(PRIMES)]
    numbers["semiprimes"] = [prime(32) * prime(32) for _ in range(SEMIPRIMES)]
    paths = {name: scratch / (re.sub(r"\W", "-", name) + ".txt") for name in numbers}
    for name, path in paths.items():
        path.write_text("".join(f"{n}\n" for n in numbers[name]))
    return paths


def process(*command, stdin=None, env=None):
    """Runs it; its output, and its milliseconds."""
    begin = time.perf_counter()
    done = subprocess.run([str(part) for part in command], stdin=stdin, capture_output=True, text=True, env=env)
    ms = (time.perf_counter() - begin) * 1e3
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout, ms


def number_at_end(text):
    return int(re.findall(r"\d+", text)[-1])


def factors(text):
    """What `factor` prints, in one form: a line for each number, its factors ascending."""
    lines = [line.replace(":", "").split() for line in text.splitlines() if line.strip()]
    return [(int(line[0]), sorted(map(int, line[1:]))) for line in lines]


def build_libraries(scratch, left_out):
    """A program for each C library that is installed."""
    programs = {}
    for name, (macro, link, package) in C_LIBRARIES.items():
        program = scratch / name
        done = subprocess.run(["cc", "-O2", f"-D{macro}", HERE / "libraries.c", "-o", program, link], capture_output=True, text=True)
        if done.returncode == 0:
            programs[name] = program
        else:
            left_out.add(f"{name}: not installed, or no C compiler (Debian: apt-get install gcc {package})")
    return programs


def build_crates(scratch):
    folder = scratch / "crates"
    folder.mkdir(exist_ok=True)
    shutil.copy(HERE / "crates.toml", folder / "Cargo.toml")
    shutil.copy(HERE / "crates.rs", folder / "main.rs")
    subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", folder / "target"], cwd=folder, check=True)
    return folder / "target/release/peers"


class Cases:
    """What is compared: (what, who, threads, a function that gives the answer and the milliseconds)."""

    def __init__(self, python, tandem, scratch, threads):
        self.python, self.tandem, self.threads = python, tandem, threads
        self.left_out = set()
        self.libraries, self.crates = build_libraries(scratch, self.left_out), build_crates(scratch)
        self.data = make_data(scratch)

    def has(self, program):
        if shutil.which(program) is None:
            self.left_out.add(f"{program}: not installed (Debian: apt-get install {PACKAGES[program]})")
            return False
        return True

    def own(self, threads, *args):
        # What this machine has taught before is left out.
        return process(self.tandem, *args, "--device", "cpu", "--threads", threads, "--model", "none")

    def ranges(self):
        for begin, end in [(0, 10**10), (10**12, 10**12 + 10**10), (10**15, 10**15 + 10**10)]:
            what = f"primes of {begin:.0e} to +1e10, sieved" if begin else "primes below 1e10, sieved"
            for threads in self.threads:
                args = ["primes", "--range", f"{begin}..={end}", "--method", "sieve"]
                yield what, "tandem", threads, lambda t=threads, a=args: number(self.own(t, *a))
                if self.has("primesieve"):
                    yield what, "primesieve", threads, lambda t=threads, b=begin, e=end: number(process("primesieve", b, e, f"-t{t}", "-q"))
            if begin == 0:
                yield what, "primal", 1, lambda e=end: number(process(self.crates, "below", e))

    def counts(self):
        for n in [10**12, 10**14, 10**15]:
            what = f"pi({n:.0e})"
            for threads in self.threads:
                args = ["primes", "--range", f"0..={n}", "--method", "combinatorial"]
                yield what, "tandem", threads, lambda t=threads, a=args: number(self.own(t, *a))
                if self.has("primecount"):
                    yield what, "primecount", threads, lambda t=threads, n=n: number(process("primecount", n, f"-t{t}"))

    def numbers(self):
        for name in ["odd 64-bit", "1e14 to 1e16", "64-bit primes"]:
            path, what = self.data[name], f"how many of a list are prime, {name}"
            for threads in self.threads:
                yield what, "tandem", threads, lambda t=threads, p=path: number(self.own(t, "primes", "--file", p, "--count"))
            for library, load in LIBRARIES.items():
                code = f"""import sys, time
{load}
numbers = [int(line) for line in open(sys.argv[1])]
begin = time.perf_counter()
count = sum(map(bool, map(test, numbers)))
print(count, time.perf_counter() - begin)"""
                yield what, library, 1, lambda c=code, p=path: of_loop(process(self.python, "-c", c, p))
            for name, program in self.libraries.items():
                yield what, name, 1, lambda l=program, p=path: of_loop(process(l, "numbers", p))
            for name in CRATES:
                yield what, name, 1, lambda n=name, p=path: of_loop(process(self.crates, "numbers", n, p))
            if self.has("gp"):
                code = f'v=readvec("{path}"); t=getwalltime(); n=sum(i=1,#v,isprime(v[i])); print(n," ",getwalltime()-t)'
                yield what, "pari", 1, lambda c=code: of_loop(process("gp", "-q", "-f", "--default", "parisizemax=1G", stdin=piped(c)), 1e-3)

    def factors(self):
        path, what = self.data["semiprimes"], f"factors of {SEMIPRIMES:,} products of two primes of 32 bits"
        for threads in self.threads:
            yield what, "tandem", threads, lambda t=threads: sorted_factors(self.own(t, "factor", "--file", path))
        if "flint" in self.libraries:
            yield what, "flint", 1, lambda: sorted_factors(process(self.libraries["flint"], "factors", path))
        if self.has("factor"):
            yield what, "factor", 1, lambda: sorted_factors(process("factor", stdin=path.open()))
        if self.has("gp"):
            code = (
                f'v=readvec("{path}"); for(i=1,#v, f=factor(v[i]); s=Str(v[i]); '
                'for(j=1,#f~, for(k=1,f[j,2], s=Str(s," ",f[j,1]))); print(s))'
            )
            yield what, "pari", 1, lambda: sorted_factors(process("gp", "-q", "-f", stdin=piped(code)))


def piped(text):
    reader, writer = os.pipe()
    os.write(writer, (text + "\n").encode())
    os.close(writer)
    return reader


def number(ended):
    return number_at_end(ended[0]), ended[1]


def of_loop(ended, seconds=1.0):
    count, time_taken = ended[0].split()[-2:]
    return int(count), float(time_taken) * seconds * 1e3


def sorted_factors(ended):
    return factors(ended[0]), ended[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2", help="counts of threads, separated by commas")
    parser.add_argument("--only", choices=["ranges", "counts", "numbers", "factors"], action="append", help="a part; may be repeated [default: all]")
    parser.add_argument("--scratch", type=Path, default=ROOT / "target/peers")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    python = install(options.scratch / "venv-primes", HERE / "requirements-primes.txt")
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    cases = Cases(python, target / "release/tandem", options.scratch, [int(count) for count in options.threads.split(",")])
    print(f"Python {platform.python_version()}, {platform.system()} {platform.release()}, {os.cpu_count()} CPUs; medians of {options.rounds} in turns.\n")
    print("| what | who | threads | ms | to tandem |\n|---|---|--:|--:|--:|")
    for part in options.only or ["ranges", "counts", "numbers", "factors"]:
        rows = list(getattr(cases, part)())
        for what in dict.fromkeys(row[0] for row in rows):
            compare(what, [row[1:] for row in rows if row[0] == what], options.rounds)
    for line in sorted(cases.left_out):
        print(f"\nLeft out: {line}")


def compare(what, competitors, rounds):
    taken = {(who, threads): [] for who, threads, _ in competitors}
    answers = {}
    for _ in range(rounds):
        for who, threads, run in competitors:
            answers[who, threads], ms = run()
            taken[who, threads].append(ms)
    if any(answer != answers["tandem", competitors[0][1]] for answer in answers.values()):
        sys.exit(f"{what}: the answers differ: {str(answers)[:500]}")
    medians = {key: statistics.median(ms) for key, ms in taken.items()}
    first = medians["tandem", competitors[0][1]]
    for (who, threads), ms in medians.items():
        print(f"| {what} | {who} | {threads} | {ms:,.1f} | {ms / medians.get(('tandem', threads), first):.2f}x |", flush=True)


if __name__ == "__main__":
    main()
