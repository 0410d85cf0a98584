"""What is left of jobs under which the service is killed."""

import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from functools import partial

from service import TERMINAL, Service

COMMANDS = "--allow-commands"


# The first prime of what one line of a batch gives is what the next one takes.
PRIME, PRODUCT = {"kind": "factor", "n": 10007}, {"kind": "factor", "n": 10007 * 10009 * 10037}
PAIR = [{"id": "a", **PRODUCT}, {"kind": "factor", "n": {"$result": "a.factors.0.prime"}}]


def form(job, text):
    """A job with a file, as browsers send it."""
    head = '--B\r\nContent-Disposition: form-data; name="{}"; filename="{}"\r\n\r\n{}\r\n'
    return (head.format("job", "job.json", json.dumps(job)) + head.format("scan", "scan.csv", text) + "--B--\r\n").encode()


def some_jobs(rng, count=60):
    """Jobs of several kinds, as small ones and as such that take some milliseconds; no two are the same. Some come with a file."""
    makers = [
        lambda at: {"kind": "factor", "n": rng.randrange(10**12, 10**15)},
        lambda at: {"kind": "primes", "range": f"{10**9 * (at + 1)}..{10**9 * (at + 1) + rng.randrange(10**6, 2 * 10**7)}"},
        lambda at: {"kind": "stats", "values": [rng.uniform(-1e6, 1e6) for _ in range(rng.randrange(1, 400))]},
        lambda at: {"kind": "fibonacci", "n": rng.randrange(1000, 30_000)},
        lambda at: {"kind": "command", "argv": ["sh", "-c", f"sleep 0.0{rng.randrange(1, 9)}; echo {at}"]},
    ]
    plain = [makers[at % len(makers)](at) for at in range(count)] + [PRIME, PRODUCT]
    with_file = {"kind": "stats", "file": {"$file": "scan"}}
    forms = [form(with_file, "t\n" + "".join(f"{rng.uniform(-1e6, 1e6)}\n" for _ in range(rng.randrange(1, 2000)))) for _ in range(6)]
    return plain + forms


def posted(client, job, headers={}):
    """The status, and the id where it was accepted."""
    is_form = isinstance(job, bytes)
    kind = {"Content-Type": "multipart/form-data; boundary=B"} if is_form else {}
    status, body = client.request("POST", "/v1/jobs", job if is_form else json.dumps(job), {**kind, **headers})
    return status, json.loads(body).get("id") if body else None


def undisturbed(program, jobs):
    """What comes of these where nothing happens."""
    with Service(program, COMMANDS) as service:
        client = service.connect()
        names = [posted(client, job)[1] for job in jobs]
        service.wait_until_idle()
        ended = service.ended(names)
        if wrong := [job for job, name in zip(jobs, names) if ended[name][0] != "succeeded"]:
            raise SystemExit(f"jobs fail where nothing happens: {wrong}")
        return [ended[name][1] for name in names]


class Told:
    """The ends that the service tells of, over all of its lives."""

    def __init__(self, service):
        self.ends, self.service, self.is_over, self.last = [], service, threading.Event(), None
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self):
        while not self.is_over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(self.service.host, self.service.port, timeout=1)
                connection.request("GET", "/v1/events", headers={"Last-Event-ID": self.last} if self.last else {})
                self.read(connection.getresponse())
            time.sleep(0.01)

    def read(self, reply):
        name = None
        for line in iter(partial(reply.readline), b""):
            if line.startswith(b"id:"):
                name = line[3:].strip().decode()
            elif line.startswith(b"data:"):
                event = json.loads(line[5:])
                if event.get("state") in TERMINAL:
                    self.ends.append((event["id"], event["state"]))
            elif not line.strip() and name:
                self.last = name


def kills(program, times, seed):
    """Kills at random moments under load of several kinds; every job that was acknowledged has one end, and the result of an undisturbed run."""
    rng = random.Random(seed)
    jobs = some_jobs(rng)
    expected = undisturbed(program, jobs)
    acknowledged, by_key, stop = [], {}, threading.Event()

    def single(connection, turns, asked):
        which = turns.randrange(len(jobs))
        status, name = posted(connection, jobs[which])
        if status == 202:
            acknowledged.append((name, which))

    def keyed(connection, turns, asked):
        """One that is sent again with the same key until it is acknowledged."""
        which, key = asked[0] or (turns.randrange(len(jobs)), str(turns.random()))
        asked[0] = which, key
        status, name = posted(connection, jobs[which], {"Idempotency-Key": key})
        if status == 202:
            acknowledged.append((name, which))
            by_key[key], asked[0] = (name, which), None

    def batch(connection, turns, asked):
        some = [turns.randrange(len(jobs) - 6) for _ in range(10)]
        lines = [*PAIR, *(jobs[which] for which in some)]
        _, body = connection.request("POST", "/v1/batches", "\n".join(map(json.dumps, lines)))
        for line, which in zip(body.splitlines(), [jobs.index(PRODUCT), jobs.index(PRIME), *some]):
            if name := json.loads(line).get("id"):
                acknowledged.append((name, which))

    def client(turns, send):
        asked = [None]
        while not stop.is_set():
            try:
                connection = service.connect()
                while not stop.is_set():
                    send(connection, turns, asked)
            except (OSError, ValueError, http.client.HTTPException):
                time.sleep(0.01)

    with Service(program, COMMANDS) as service:
        told = Told(service)
        sends = [single] * 4 + [keyed] * 2 + [batch] * 2
        clients = [threading.Thread(target=client, args=[random.Random(rng.random()), send]) for send in sends]
        for thread in clients:
            thread.start()
        try:
            for _ in range(times):
                time.sleep(rng.uniform(0.05, 0.6))
                service.kill()
                service.start()
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        service.wait_until_idle()
        known = [(posted(service.connect(), jobs[which], {"Idempotency-Key": key})[1], name) for key, (name, which) in list(by_key.items())[-200:]]
        # A moment for those that are on their way.
        time.sleep(1)
        told.is_over.set()
        service.end()
        told.thread.join()
        ended = service.ended([name for name, _ in acknowledged])
        integrity = service.integrity()
    states = Counter(ended[name][0] if ended[name] else "no end" for name, _ in acknowledged)
    same = sum(ended[name] == ("succeeded", expected[which]) for name, which in acknowledged)
    shown = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
    twice = sum(count > 1 for count in Counter(name for name, _ in told.ends).values())
    otherwise = sum(name in ended and ended[name][0] != state for name, state in told.ends)
    yield (f"kill -9, {times} times under load of 5 kinds, with files, keys, batches and results of others", f"of {len(acknowledged):,} acknowledged jobs: {shown}", "all have one end", not states["no end"])
    yield ("results of those, beside an undisturbed run", f"{same:,} the same", f"{states['succeeded']:,}", same == states["succeeded"])
    again = sum(now == name for now, name in known)
    yield ("keys that were acknowledged give the same job", f"{again} of the last {len(known)}", "all", again == len(known) > 0)
    yield ("ends told by events meanwhile", f"{len(told.ends):,}; {twice} told twice, {otherwise} that were none", "0, 0", not twice and not otherwise)
    yield ("the database after that", integrity, "ok", integrity == "ok")
