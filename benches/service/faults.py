"""What a service has to survive: kills, a full disk, torn files, standstills, clients of every kind."""

import contextlib
import http.client
import json
import os
import random
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from load import wrk
from service import TERMINAL, Client, Service

TINY = {"kind": "factor", "n": 600851475143}


def ends_of(service, names):
    """How many of these jobs have exactly one end and one outcome, the states of all, and whether the database is whole."""
    with contextlib.closing(service.journal()) as journal:
        return ends_in(journal, names)


def ends_in(journal, names):
    tag = journal.execute("SELECT value FROM about WHERE name = 'tag'").fetchone()[0]
    rows = journal.execute(
        "SELECT j.seq, j.state, (SELECT count(*) FROM outcomes o WHERE o.seq = j.seq) FROM jobs j WHERE ended_ms IS NOT NULL"
    )
    ended = {f"{tag}-{seq}": state for seq, state, outcomes in rows if outcomes == 1 and state in TERMINAL}
    integrity = journal.execute("PRAGMA integrity_check").fetchone()[0]
    return sum(name in ended for name in names), sorted(set(ended.values())), integrity


def kills(program, times, seed):
    """Kills at random moments under load; every job that was acknowledged has one end and one outcome."""
    rng, names, stop = random.Random(seed), [], threading.Event()
    service = Service(program)

    def client():
        while not stop.is_set():
            try:
                connection = service.connect()
                while not stop.is_set():
                    status, name = connection.post(TINY)
                    if status == 202:
                        names.append(name)
            except (OSError, ValueError, ConnectionError, http.client.HTTPException):
                time.sleep(0.01)

    clients = [threading.Thread(target=client) for _ in range(8)]
    for thread in clients:
        thread.start()
    for _ in range(times):
        time.sleep(rng.uniform(0.05, 0.6))
        service.kill()
        service.start()
    stop.set()
    for thread in clients:
        thread.join()
    service.wait_until_idle()
    service.end()
    right, states, integrity = ends_of(service, names)
    service.remove()
    yield (f"kill -9, {times} times under load", f"{right:,} of {len(names):,} acknowledged jobs have one end: {', '.join(states)}", "all")
    yield ("the database after that", integrity, "ok")


def disk_full(program):
    """A file system of 12 MiB fills up under load, and has room again."""
    folder = Path(tempfile.mkdtemp(prefix="tandem-full-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder]).returncode == 0
    if not mounted:
        yield ("disk full", "not measured: a small file system can only be mounted as root", "")
        return
    filler = folder / "filler"
    filler.write_bytes(b"x" * (6 << 20))
    service = Service(program, data=folder / "data")
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
    right, *_ = ends_of(service, names)
    told = ", ".join(f"{count} times {status}" for status, count in sorted(statuses.items()))
    yield ("disk full", f"{told}; then {after}; {right} of {len(names)} jobs have ended, exit code {code}", "507, then 202; all; 0")
    service.remove()
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


def torn_tail(program, seed):
    """A write that was under way is torn: half of it lies behind what was synced, as after a loss of power."""
    rng, right, times = random.Random(seed), 0, 20
    for _ in range(times):
        service = Service(program)
        client = service.connect()
        names = [client.post(TINY)[1] for _ in range(30)]
        service.kill()
        log = service.data / "jobs.sqlite-wal"
        with open(log, "ab") as file:
            # A write that was under way: half of a page, of whatever lay there.
            file.write(rng.randbytes(rng.randrange(1, 4096)))
        service.start()
        service.wait_until_idle()
        service.end()
        right += ends_of(service, names)[0] == len(names)
        service.remove()
    yield (f"a torn write behind the log, {times} times", f"{right} times nothing acknowledged was lost", f"{times}")


def standstill(program, seconds):
    """The process stands still under load, as in a virtual machine that is moved."""
    service = Service(program)
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
    service.remove()
    yield (f"SIGSTOP for {seconds} s under load", f"{errors} errors, {succeeded:,.0f} of {figures['tandem_jobs_accepted_total']:,.0f} succeeded", "0; all")


def slow_listeners(program, seconds):
    """Listeners that never read, beside the load."""
    service = Service(program)
    wrk(service, 2)
    service.wait_until_idle()
    before = service.resident_mib()
    sockets = []
    for _ in range(200):
        sock = socket.create_connection((service.host, service.port))
        sock.sendall(f"GET /v1/events HTTP/1.1\r\nHost: {service.host}\r\n\r\n".encode())
        sockets.append(sock)
    requests, duration_s, errors, latencies = wrk(service, seconds)
    service.wait_until_idle()
    grown = service.resident_mib() - before
    for sock in sockets:
        sock.close()
    service.remove()
    yield ("200 listeners that never read", f"{requests / duration_s:,.0f} jobs a second, {errors} errors, {grown:+.0f} MiB", "0; flat")


def clients_gone(program):
    """Uploads that end half-way, and clients that go before they are answered."""
    service = Service(program)
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: {service.host}\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000000\r\n\r\n"
    part = '--B\r\nContent-Disposition: form-data; name="scan"; filename="a.npy"\r\n\r\n'
    for _ in range(300):
        sock = socket.create_connection((service.host, service.port))
        sock.sendall((head + part + "x" * 10_000).encode())
        sock.close()
    body = json.dumps(TINY)
    for _ in range(300):
        sock = socket.create_connection((service.host, service.port))
        sock.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: {service.host}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        sock.close()
    time.sleep(1)
    figures = service.wait_until_idle()
    left = len(list((service.data / "uploads").iterdir()))
    status, _ = service.connect().post(TINY)
    service.remove()
    yield ("300 uploads that end half-way, 300 clients gone", f"{left} folders left, then {status}", "0; 202")


def idle_connections(program, count):
    """Connections that ask nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    service = Service(program)
    service.connect().post(TINY)
    before = service.resident_mib()
    sockets = []
    for at in range(count):
        sock = socket.create_connection((service.host, service.port))
        sock.sendall(b"GET /v1/jobs")
        sockets.append(sock)
    time.sleep(0.5)
    grown = service.resident_mib() - before
    requests, duration_s, errors, (_, p99, _) = wrk(service, 3)
    for sock in sockets:
        sock.close()
    service.remove()
    yield (f"{count:,} idle connections", f"{grown:.0f} MiB; beside them {requests / duration_s:,.0f} jobs a second, {errors} errors, 99 % in {p99:.1f} ms", "0")


def clock_jump(program):
    """The clock on the wall jumps an hour on and back while jobs wait for their deadlines and tries."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if not library:
        yield ("clock jump", "not measured: install Debian's faketime", "")
        return
    with tempfile.NamedTemporaryFile("w", suffix=".time") as offset:
        offset.write("+0")
        offset.flush()
        settings = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": offset.name, "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
        os.environ.update(settings)
        service = Service(program, "--threads", "1")
        for name in settings:
            del os.environ[name]
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
        service.remove()
    yield ("the clock jumps an hour on, and two back", f"{sum(states)} of {len(states)} as they should be: deadlines hold by the time that passes", f"{len(states)}")


def hostile_bodies(program, python):
    """Requests made up from the API's description."""
    service = Service(program)
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [python, "-m", "schemathesis.cli", "run", service.url + "/openapi.json", "--checks", checks,
               "--max-examples", "200", "--exclude-path", "/v1/events", "--request-timeout", "20"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parent)
    alive, _ = service.connect().post(TINY)
    panics = service.log_path.read_text().count("panicked")
    code = service.end()
    service.remove()
    last = [line.strip() for line in result.stdout.splitlines() if "generated," in line]
    figure = f"{'no 5xx, all as described' if result.returncode == 0 else 'FOUND: ' + result.stdout[-2000:]}; {panics} panics; then {alive}, exit code {code}"
    yield ("hostile bodies, made by schemathesis", f"{'; '.join(last[-2:])}; {figure}", "no 5xx, no panic, answers as described")
