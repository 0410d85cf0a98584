#!/usr/bin/env python3
"""Statistics by tandem and by its peers, on the same data, in turns: one table, for BENCHMARKS.md.

    benches/peers/stats.py [--mib 1024] [--rounds 5] [--threads 1,2] [--only corr] [--scratch target/peers]

Installs the peers of requirements.txt into a virtual environment in the scratch folder, builds tandem, makes the data there, and runs
everything `--rounds` times in turns, so that all meet the same moments of the machine. Each answer is compared with tandem's; the table
gives the largest relative difference, which is the peer's rounding: tandem's are exact, rounded once. tandem's time is that of its whole
process, from its start to its exit; the peers' processes stay, and their time is that of the call alone.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from environment import install

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What a peer may differ by and still have answered the same question.
TOLERANCE = {"f32": 1e-2, "f64": 1e-6, "i32": 1e-6}
# These add up in the type of the array, where f32 loses nearly all digits and i32 overflows: their answers are not the sum, and are shown.
LOSSY = {
    ("bottleneck", "normal-f32.npy"),
    ("numexpr", "normal-f32.npy"),
    ("bottleneck", "counts-i32.npy"),
    ("polars", "counts-i32.npy"),
}
BINS, QUANTILES = 1000, "0.01,0.25,0.5,0.75,0.99"
# Operation, and the data it is run on. A lognormal distribution of sigma 4 spans 50 binary orders of magnitude.
CASES = [
    ("moments", "normal-f32.npy"),
    ("moments", "normal-f64.npy"),
    ("moments", "lognormal-f64.npy"),
    ("moments", "counts-i32.npy"),
    ("shape", "normal-f64.npy"),
    ("histogram", "normal-f64.npy"),
    ("quantiles", "normal-f64.npy"),
    ("csv", "normal.csv"),
    ("corr", "matrix-f64.npy"),
    ("corr", "matrix-f32.npy"),
]
TITLES = {
    "moments": "count, min, max, sum, mean, variance",
    "shape": "the same with skewness and kurtosis",
    "histogram": f"histogram of {BINS} bins",
    "quantiles": "five quantiles",
    "csv": "count to variance of a column of a CSV",
    "corr": "correlation matrix of 256 columns",
}
PEERS = ["numpy", "scipy", "bottleneck", "numexpr", "polars", "duckdb", "pyarrow"]


def make_data(python, scratch, mib):
    code = f"""
import numpy as np, pathlib
scratch, size = pathlib.Path({str(scratch)!r}), {mib} << 20
def save(name, make):
    path = scratch / name
    if not path.exists():
        np.save(path, make(np.random.default_rng(20261126)))
save("normal-f32.npy", lambda r: r.standard_normal(size // 4, dtype=np.float32) + np.float32(20))
save("normal-f64.npy", lambda r: r.standard_normal(size // 8) + 20)
save("lognormal-f64.npy", lambda r: r.lognormal(0, 4, size // 8))
save("counts-i32.npy", lambda r: r.integers(0, 1_000_000, size // 4, dtype=np.int32))
save("matrix-f64.npy", lambda r: r.standard_normal((size // 8 // 256, 256)) + 20)
save("matrix-f32.npy", lambda r: r.standard_normal((size // 8 // 256, 256), dtype=np.float32) + np.float32(20))
path = scratch / "normal.csv"
if not path.exists():
    rows = max(size // 4 // 26, 1)
    r = np.random.default_rng(7)
    with open(path, "w") as file:
        file.write("i,x,y\\n")
        for begin in range(0, rows, 100_000):
            n = min(100_000, rows - begin)
            x, y = r.standard_normal(n) + 20, r.integers(0, 100_000, n)
            file.writelines(f"{{begin + i}},{{x[i]:.9f}},{{y[i]}}\\n" for i in range(n))
"""
    subprocess.run([python, "-c", code], check=True)


class Tandem:
    """The program of this repository."""

    def __init__(self, threads):
        self.threads = threads

    def run(self, operation, path):
        program = [ROOT / "target/release/tandem"]
        common = ["--json", "--threads", str(self.threads), "--device", "cpu", "--model", "none"]
        output = path.with_suffix(".corr.npy")
        args = {
            "moments": ["stats", path],
            "shape": ["stats", path, "--moments", "4"],
            "histogram": ["stats", path, "--histogram", str(BINS)],
            "quantiles": ["stats", path, "--quantiles", QUANTILES],
            "csv": ["stats", path, "--column", "x"],
            "corr": ["corr", path, "--output", output],
        }[operation]
        begin = time.perf_counter()
        done = subprocess.run(program + args + common, check=True, capture_output=True, text=True)
        ms = (time.perf_counter() - begin) * 1e3
        result = json.loads(done.stdout)["result"]
        if operation == "corr":
            return {"ms": ms, "answer": {"corr": output}}
        answer = dict(result["columns"][0] if "columns" in result else result)
        if "histogram" in answer:
            answer["histogram"] = answer["histogram"]["counts"]
        if "quantiles" in answer:
            answer["quantiles"] = [quantile["value"] for quantile in answer["quantiles"]]
        return {"ms": ms, "answer": answer}


class Peer:
    """A process with a peer's library in it."""

    def __init__(self, python, name, threads):
        count = str(threads)
        names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMEXPR_MAX_THREADS"]
        command = [python, HERE / "worker.py", name, count]
        env = os.environ | {variable: count for variable in names}
        # OpenBLAS takes some newer CPUs for older ones; its kernels for AVX-512 are the fastest where there is that.
        if "OPENBLAS_CORETYPE" not in env and "avx512f" in cpu_flags():
            env["OPENBLAS_CORETYPE"] = "SkylakeX"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def run(self, operation, path):
        print(json.dumps({"operation": operation, "file": str(path)}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"a peer ended early: {self.process.args}")
        return json.loads(line)


def difference(name, ours, theirs, python):
    """How far a peer's answer lies from tandem's, relative to tandem's; counts by the share of all that lies elsewhere."""
    if name == "corr":
        code = "import numpy,sys,json; print(numpy.abs(numpy.load(sys.argv[1]) - numpy.array(json.load(sys.stdin))).max())"
        done = subprocess.run([python, "-c", code, ours], input=json.dumps(theirs), check=True, capture_output=True, text=True)
        return float(done.stdout)
    if name == "histogram":
        return sum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / sum(ours)
    if isinstance(ours, list):
        return max(difference("", a, b, python) for a, b in zip(ours, theirs, strict=True))
    ours, theirs = float(ours), float(theirs)
    if ours == theirs:
        return 0.0
    # Near 0, as skewness is, what counts is how far it lies off.
    return abs(theirs - ours) / max(abs(ours), 1.0 if name in ("skewness", "kurtosis") else 0.0, sys.float_info.min)


def compare(case, competitors, rounds, scratch, python, failed):
    """The rows of one case: competitor, threads, milliseconds, ratio, largest difference."""
    operation, file = case
    path = scratch / file
    times, answers = {}, {}
    for turn in range(rounds + 1):
        for key, competitor in competitors.items():
            if turn > 0 and key not in times:
                continue
            done = competitor.run(operation, path)
            if done is None:
                continue
            if "cannot" in done:
                failed.append(f"{key[0]} on {file}: {re.sub(' at 0x[0-9a-f]+', '', done['cannot'])}")
                continue
            answers[key] = done["answer"]
            # The first turn brings files into the page cache and libraries into memory.
            times.setdefault(key, []).extend([done["ms"]] if turn > 0 else [])
    rows = []
    for (name, threads), ms in times.items():
        exact, found = answers["tandem", threads], answers[name, threads]
        shared = [what for what in found if what in exact and name != "tandem"]
        differences = {what: difference(what, exact[what], found[what], python) for what in shared}
        worst = max(differences.values(), default=0.0)
        allowed = TOLERANCE[next((kind for kind in TOLERANCE if kind in file), "f64")]
        if name != "tandem" and (name, file) not in LOSSY and not worst <= allowed:
            sys.exit(f"{name} and tandem disagree on {operation} of {file}: {differences}")
        ours = statistics.median(times["tandem", threads])
        rows.append((name, threads, statistics.median(ms), statistics.median(ms) / ours, worst))
    return rows


def versions(python):
    names = ", ".join(f"'{name}'" for name in PEERS)
    code = f"from importlib.metadata import version; print(', '.join(f'{{n}} {{version(n)}}' for n in [{names}]))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def cpu_flags():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split() for line in lines if line.startswith("flags")), [])


def machine():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{model}, {os.cpu_count()} threads, {platform.system()} {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of an array in MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2", help="counts of threads, separated by commas")
    parser.add_argument("--only", choices=TITLES, action="append", help="an operation; may be repeated [default: all]")
    parser.add_argument("--scratch", type=Path, default=ROOT / "target/peers")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    python = install(options.scratch / "venv", HERE / "requirements.txt")
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    make_data(python, options.scratch, options.mib)
    competitors = {}
    for threads in [int(count) for count in options.threads.split(",")]:
        competitors["tandem", threads] = Tandem(threads)
        competitors |= {(name, threads): Peer(python, name, threads) for name in PEERS}
    print(f"{machine()}; Python {platform.python_version()}, {versions(python)}; {options.mib} MiB, medians of {options.rounds} in turns.\n")
    print("| what | data | who | threads | ms | GB/s | to tandem | differs by |\n|---|---|---|--:|--:|--:|--:|--:|")
    failed = []
    for case in [case for case in CASES if not options.only or case[0] in options.only]:
        size = (options.scratch / case[1]).stat().st_size
        rows = compare(case, competitors, options.rounds, options.scratch, python, failed)
        for name, threads, ms, ratio, worst in sorted(rows, key=lambda row: (row[1], row[2])):
            differs = "" if name == "tandem" else f"{worst:.0e}" if worst else "0"
            print(f"| {TITLES[case[0]]} | {Path(case[1]).stem} | {name} | {threads} | {ms:,.1f} | {size / ms / 1e6:.2f} | {ratio:.2f}x | {differs} |", flush=True)
    for line in sorted(set(failed)):
        print(f"\nLeft out: {line}")


if __name__ == "__main__":
    main()
