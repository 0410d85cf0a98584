"""What a service has to survive: a full disk, torn files, standstills, clients of every kind."""

import contextlib
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from load import wrk
from service import Service

TINY = {"kind": "factor", "n": 600851475143}

# Of the log: a head and a page.
FRAME_BYTES = 24 + 4096


@contextlib.contextmanager
def small_disk(size_mib):
    """A folder of a file system of its own, which only root can make; nothing where this is somebody else."""
    folder = Path(tempfile.mkdtemp(prefix="tandem-full-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", folder]).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def disk_full(program):
    """A file system of 12 MiB fills up under load, and has room again."""
    with small_disk(12) as folder:
        if not folder:
            yield ("disk full", "not measured: a small file system can only be mounted as root", "", None)
            return
        filler = folder / "filler"
        filler.write_bytes(b"x" * (6 << 20))
        with Service(program, data=folder / "data") as service:
            client, names, statuses = service.connect(), [], {}
            until = time.monotonic() + 60
            while time.monotonic() < until and statuses.get(507, 0) < 50:
                status, name = client.post({**TINY, "metadata": "x" * 20_000})
                statuses[status] = statuses.get(status, 0) + 1
                if status == 202:
                    names.append(name)
            filler.unlink()
            time.sleep(2)
            after, name = service.connect().post(TINY)
            names.append(name)
            service.wait_until_idle()
            code = service.end()
            right = sum(end is not None for end in service.ended(names).values())
    told = ", ".join(f"{count} times {status}" for status, count in sorted(statuses.items()))
    is_right = set(statuses) == {202, 507} and after == 202 and right == len(names) and code == 0
    yield ("disk full", f"{told}; then {after}; {right} of {len(names)} jobs have ended, exit code {code}", "507, then 202; all; 0", is_right)


def torn_tail(program, seed):
    """A write that was under way is torn: a piece of it lies behind what was synced, as after a loss of power. Pieces of what was written
    before, which look like what belongs there, take turns with whatever else may lie on a disk."""
    rng, right, times = random.Random(seed), 0, 20
    for turn in range(times):
        with Service(program) as service:
            client = service.connect()
            names = [client.post(TINY)[1] for _ in range(30)]
            service.kill()
            log = service.data / "jobs.sqlite-wal"
            written = log.read_bytes()
            frames = written[-FRAME_BYTES * rng.randrange(1, 4) :]
            piece = frames[: rng.randrange(1, len(frames))] if turn % 2 else rng.randbytes(rng.randrange(1, FRAME_BYTES))
            with open(log, "ab") as file:
                file.write(piece)
            service.start()
            service.wait_until_idle()
            service.end()
            right += all(end is not None for end in service.ended(names).values()) and service.integrity() == "ok"
    yield (f"a torn write behind the log, {times} times", f"{right} times nothing acknowledged was lost, and the database is whole", f"{times}", right == times)


def standstill(program, seconds):
    """The process stands still under load, as in a virtual machine that is moved."""
    with Service(program) as service:
        results = {}

        def load():
            results["figures"] = wrk(service, seconds + 4)

        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(1)
        service.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        service.process.send_signal(signal.SIGCONT)
        thread.join()
        requests, _, errors, _ = results["figures"]
        figures = service.wait_until_idle()
        succeeded = figures['tandem_jobs_ended_total{state="succeeded"}']
    yield (f"SIGSTOP for {seconds} s under load", f"{errors} errors, {succeeded:,.0f} of {figures['tandem_jobs_accepted_total']:,.0f} succeeded", "0; all",
           not errors and succeeded == figures["tandem_jobs_accepted_total"])


def slow_listeners(program, seconds):
    """Listeners that never read, beside the load."""
    with Service(program) as service, contextlib.ExitStack() as sockets:
        wrk(service, 2)
        service.wait_until_idle()
        before = service.resident_mib()
        for _ in range(200):
            sock = sockets.enter_context(socket.create_connection((service.host, service.port)))
            sock.sendall(f"GET /v1/events HTTP/1.1\r\nHost: {service.host}\r\n\r\n".encode())
        requests, duration_s, errors, latencies = wrk(service, seconds)
        service.wait_until_idle()
        grown = service.resident_mib() - before
    yield ("200 listeners that never read", f"{requests / duration_s:,.0f} jobs a second, {errors} errors, {grown:+.0f} MiB", "0; flat", not errors and grown < 100)


def clients_gone(program):
    """Uploads that end half-way, and clients that go before they are answered."""
    with Service(program) as service:
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: {service.host}\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000000\r\n\r\n"
        part = '--B\r\nContent-Disposition: form-data; name="scan"; filename="a.npy"\r\n\r\n'
        for _ in range(300):
            with socket.create_connection((service.host, service.port)) as sock:
                sock.sendall((head + part + "x" * 10_000).encode())
        body = json.dumps(TINY)
        for _ in range(300):
            with socket.create_connection((service.host, service.port)) as sock:
                sock.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: {service.host}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        time.sleep(1)
        service.wait_until_idle()
        left = len(list((service.data / "uploads").iterdir()))
        status, _ = service.connect().post(TINY)
    yield ("300 uploads that end half-way, 300 clients gone", f"{left} folders left, then {status}", "0; 202", (left, status) == (0, 202))


def idle_connections(program, count):
    """Connections that ask nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Service(program) as service, contextlib.ExitStack() as sockets:
        service.connect().post(TINY)
        before = service.resident_mib()
        for _ in range(count):
            sock = sockets.enter_context(socket.create_connection((service.host, service.port)))
            sock.sendall(b"GET /v1/jobs")
        time.sleep(0.5)
        grown = service.resident_mib() - before
        requests, duration_s, errors, (_, p99, _) = wrk(service, 3)
    yield (f"{count:,} idle connections", f"{grown:.0f} MiB; beside them {requests / duration_s:,.0f} jobs a second, {errors} errors, 99 % in {p99:.1f} ms", "0", not errors)


def clock_jump(program):
    """The clock on the wall jumps an hour on and back while jobs wait for their deadlines and tries."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if not library:
        yield ("clock jump", "not measured: install Debian's faketime", "", None)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".time") as offset:
        offset.write("+0")
        offset.flush()
        settings = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": offset.name, "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
        with Service(program, "--threads", "1", environment=settings) as service:
            client = service.connect()
            long = {"kind": "primes", "range": "1000000000000000..1000300000000000", "method": "sieve", "device": "cpu"}
            states = []
            for jump in ["+3600", "-3600"]:
                _, with_deadline = client.post({**long, "deadline": "4s"})
                _, without = client.post(TINY)
                Path(offset.name).write_text(jump)
                time.sleep(1)
                early = client.job(with_deadline)["state"]
                states.append(early in ("queued", "running"))
                states.append(client.job(with_deadline, "?wait=20s")["state"] == "expired")
                states.append(client.job(without, "?wait=20s")["state"] == "succeeded")
    yield ("the clock jumps an hour on, and two back", f"{sum(states)} of {len(states)} as they should be: deadlines hold by the time that passes", f"{len(states)}", all(states))


def lost_gpu(repository):
    """A GPU that is lost while jobs wait: its double, which no program can have, is in the tests."""
    command = ["cargo", "test", "--quiet", "--test", "service", "a_gpu_that_is_lost"]
    result = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    passed = sum(map(int, re.findall(r"test result: ok\. (\d+) passed", result.stdout)))
    figure = f"{passed} test: jobs end on the CPU, the GPU is set aside and tried again" if passed else "FOUND: " + result.stdout[-2000:]
    yield ("a GPU that is lost under load (its double)", figure, "passes", result.returncode == 0 and passed > 0)


def hostile_bodies(program, python):
    """Requests made up from the API's description."""
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    with Service(program) as service:
        command = [python, "-m", "schemathesis.cli", "run", service.url + "/openapi.json", "--checks", checks,
                   "--max-examples", "200", "--exclude-path", "/v1/events", "--request-timeout", "20"]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks"}
        result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parent)
        alive, _ = service.connect().post(TINY)
        panics = service.log_path.read_text().count("panicked")
        code = service.end()
    last = [line.strip() for line in result.stdout.splitlines() if "generated," in line]
    figure = f"{'no 5xx, all as described' if result.returncode == 0 else 'FOUND: ' + result.stdout[-2000:]}; {panics} panics; then {alive}, exit code {code}"
    yield ("hostile bodies, made by schemathesis", f"{'; '.join(last[-2:])}; {figure}", "no 5xx, no panic, answers as described",
           result.returncode == 0 and not panics and (alive, code) == (202, 0))
