"""A `tandem serve` under test, and a client for it."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

TERMINAL = {"succeeded", "failed", "cancelled", "expired", "dead"}


class Service:
    """The program, with a folder of its own unless one is given."""

    def __init__(self, program, *args, data=None, environment=None):
        self.program, self.args = program, args
        self.environment = {**os.environ, "TANDEM_LOG": "warn", **(environment or {})}
        self.data = Path(data or tempfile.mkdtemp(prefix="tandem-service-"))
        # Elsewhere than the data, which may fill its disk.
        self.log_path = Path(tempfile.mkstemp(prefix="tandem-service-", suffix=".log")[1])
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def start(self):
        command = [self.program, "serve", "--listen", "127.0.0.1:0", "--model", "none", "--data", self.data, *self.args]
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env=self.environment)
        while True:
            line = self.process.stderr.readline().decode()
            if not line:
                raise SystemExit(f"the service ended before it listened: {self.process.wait()}")
            if found := re.search(r"listening at http://([\d.]+):(\d+)", line):
                break
        self.host, self.port = found[1], int(found[2])
        self.forward = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=self.log)
        self.process.stderr.close()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def connect(self):
        return Client(self.host, self.port)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.forward.wait()

    def end(self):
        """Asks it to end; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        self.forward.wait()
        return code

    def remove(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
        self.log_path.unlink(missing_ok=True)

    def resident_mib(self, which="VmRSS"):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{which}:\s+(\d+)", status)[1]) / 1024

    @contextlib.contextmanager
    def grown_mib(self):
        """How much more memory than before it takes meanwhile at most: a list of one figure, once that is known."""
        before = self.resident_mib()
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        grown = []
        yield grown
        grown.append(self.resident_mib("VmHWM") - before)

    def metrics(self):
        lines = self.connect().get("/metrics")[1].decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def wait_until_idle(self, timeout_s=600):
        """Waits until every job has ended."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            figures = self.metrics()
            if sum(value for name, value in figures.items() if name.startswith("tandem_jobs{")) == 0:
                return figures
            time.sleep(0.05)
        raise SystemExit("jobs do not end")

    def ended(self, names):
        """The state and the result of each of these jobs as they are written down, or nothing where it has no end; of a service that
        has ended or not. The first end of a job stays: each has one row, and one outcome."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data / 'jobs.sqlite'}?mode=ro", uri=True)) as journal:
            tag = journal.execute("SELECT value FROM about WHERE name = 'tag'").fetchone()[0]
            rows = journal.execute("SELECT seq, state, outcome FROM jobs JOIN outcomes USING (seq) WHERE ended_ms IS NOT NULL")
            ended = {f"{tag}-{seq}": (state, json.loads(outcome).get("result")) for seq, state, outcome in rows if state in TERMINAL}
        return {name: ended.get(name) for name in names}

    def integrity(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.data / 'jobs.sqlite'}?mode=ro", uri=True)) as journal:
            return journal.execute("PRAGMA integrity_check").fetchone()[0]


class Client:
    """One connection."""

    def __init__(self, host, port, timeout_s=60):
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def request(self, method, path, body=None, headers={}):
        # Who is refused is told before all of it is read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.request(method, path, body, headers)
        reply = self.connection.getresponse()
        return reply.status, reply.read()

    def get(self, path):
        return self.request("GET", path)

    def post(self, job):
        """The status, and the id where it was accepted."""
        status, body = self.request("POST", "/v1/jobs", json.dumps(job))
        return status, json.loads(body).get("id") if body else None

    def job(self, name, wait=""):
        status, body = self.get(f"/v1/jobs/{name}{wait}")
        return json.loads(body)
