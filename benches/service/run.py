#!/usr/bin/env python3
"""Puts a load and faults on `tandem serve`, and prints what came of it as a table; the exit code is 1 where a goal is missed, and 2 where something could
not be measured.

    cargo build --release && benches/service/run.py [--only kills] [--seconds 30] [--jobs 1000000]

Wants wrk, for one figure faketime, and for a full disk to be root (Debian: `apt-get install wrk faketime`); schemathesis is
installed from PyPI into a folder of its own."""

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]

import faults  # noqa: E402
import kills  # noqa: E402
import load  # noqa: E402
from environment import install  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=HERE.parents[1] / "target" / "release" / "tandem", type=Path)
    parser.add_argument("--seconds", default=30, type=int, help="of each load")
    parser.add_argument("--jobs", default=1_000_000, type=int, help="while memory is watched")
    parser.add_argument("--kills", default=50, type=int)
    parser.add_argument("--stop-seconds", default=30, type=int)
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--home", default=Path(tempfile.gettempdir()) / "tandem-peers-service", type=Path)
    parser.add_argument("--only", action="append", help="one of the steps; may be repeated")
    options = parser.parse_args()
    program = options.program.resolve()
    steps = {
        "acceptance": lambda: load.acceptance(program, options.seconds),
        "pick-up": lambda: load.pick_up(program),
        "memory": lambda: load.memory(program, options.jobs),
        "long": lambda: load.long_jobs(program),
        "kills": lambda: kills.kills(program, options.kills, options.seed),
        "disk": lambda: faults.disk_full(program),
        "torn": lambda: faults.torn_tail(program, options.seed),
        "stop": lambda: faults.standstill(program, options.stop_seconds),
        "listeners": lambda: faults.slow_listeners(program, 5),
        "gone": lambda: faults.clients_gone(program),
        "idle": lambda: faults.idle_connections(program, 10_000),
        "clock": lambda: faults.clock_jump(program),
        "gpu": lambda: faults.lost_gpu(HERE.parents[1]),
        "hostile": lambda: faults.hostile_bodies(program, install(options.home, HERE / "requirements.txt")),
    }
    if unknown := set(options.only or []) - set(steps):
        parser.error(f"--only {unknown.pop()}: one of {', '.join(steps)}")
    print("| what | figure | goal |\n|---|---|---|", flush=True)
    missed, unmeasured = [], []
    for name, step in steps.items():
        if not options.only or name in options.only:
            for *row, is_met in step():
                print("|", " | ".join(row), "|", flush=True)
                if is_met is None:
                    unmeasured.append(row[0])
                elif not is_met:
                    missed.append(row[0])
    if missed or unmeasured:
        print(f"missed: {'; '.join(missed) or 'nothing'}; not measured: {'; '.join(unmeasured) or 'nothing'}", file=sys.stderr)
        sys.exit(1 if missed else 2)


if __name__ == "__main__":
    main()
