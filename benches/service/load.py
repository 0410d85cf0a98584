"""How many tiny jobs it takes in, how soon, and whether its memory stays as it is."""

import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from service import Service

SCRIPT = """
wrk.method = "POST"
wrk.body = '{"kind":"factor","n":600851475143}'
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("FIGURES %d %d %d %f %f %f\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000))
end
"""


def wrk(service, seconds, connections=64):
    """Requests, seconds, errors, and the latency in milliseconds at 50, 99 and 99.9 %."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT)
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", script.name, service.url + "/v1/jobs"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = re.search(r"FIGURES (.*)", output)[1].split()
    requests, duration_us, errors, *latencies = map(float, figures)
    return int(requests), duration_us / 1e6, int(errors), latencies


def acceptance(program, seconds):
    with Service(program) as service:
        wrk(service, 1)
        before = service.wait_until_idle()["tandem_jobs_accepted_total"]
        requests, duration_s, errors, (p50, p99, p999) = wrk(service, seconds)
        at_end = time.monotonic()
        figures = service.wait_until_idle()
        behind_s = time.monotonic() - at_end
    accepted = figures["tandem_jobs_accepted_total"] - before
    succeeded = figures['tandem_jobs_ended_total{state="succeeded"}'] - before
    # Those that were on their way when the load ended were accepted without an answer being counted.
    is_right = errors == 0 and requests <= accepted <= requests + 64 and succeeded == accepted
    yield ("tiny jobs accepted durably, 64 connections", f"{requests / duration_s:,.0f} a second", "10,000", requests / duration_s >= 10_000)
    yield ("acceptance at 50, 99, 99.9 %", f"{p50:.1f}, {p99:.1f}, {p999:.1f} ms", "99 % under 50 ms", p99 < 50)
    yield ("errors; all that were accepted succeeded", f"{errors}; {'yes' if is_right else 'NO'}", "0; yes", is_right)
    yield ("until the last of them had ended", f"{behind_s:.2f} s after the load", "", True)


def pick_up(program, jobs=300):
    """From when the engine of an idle service has a job, which is as soon as it is written down, to when the job begins."""
    with Service(program) as service:
        client, waits = service.connect(), []
        for _ in range(jobs):
            _, name = client.post({"kind": "factor", "n": 600851475143})
            job = client.job(name, "?wait=10s")
            waits.append(job["timings_ms"]["queued"])
            time.sleep(0.005)
    waits.sort()
    yield ("idle pick-up, median and 99 %", f"{statistics.median(waits):.3f}, {waits[len(waits) * 99 // 100]:.3f} ms", "under 1 ms", statistics.median(waits) < 1)


def memory(program, jobs):
    with Service(program, "--keep-jobs", "10000") as service:
        resident, total = [], 0
        while total < jobs:
            requests, _, errors, _ = wrk(service, 5)
            if errors:
                yield ("errors while memory was watched", str(errors), "0", False)
            total += requests
            service.wait_until_idle()
            resident.append((total, service.resident_mib()))
        first = next(mib for count, mib in resident if count >= jobs / 10)
        kept = service.metrics()["tandem_jobs_kept"]
        size = sum(file.stat().st_size for file in service.data.glob("jobs.sqlite*")) / 2**20
    figure = f"{first:.0f} MiB after {jobs / 10:,.0f}, {resident[-1][1]:.0f} MiB after {total:,}"
    yield ("memory of the process", figure, "flat", resident[-1][1] < 1.1 * first)
    yield ("its files then, with 10,000 jobs kept", f"{size:.0f} MiB, {kept:,.0f} jobs", "", True)


def long_jobs(program, clients=24, length=15 << 20):
    """Jobs as long as they may be: what one takes while it is taken apart, and many at once."""
    def job(item, memory):
        return f'{{"kind":"primes","memory":"{memory}","numbers":[{f"{item}," * (length // (len(item) + 1))}97]}}'

    times, limit_mib = [], 512
    for item in ["97", '"97"', "1"]:
        with Service(program, "--queue-memory", f"{limit_mib}MiB") as service, service.grown_mib() as grown:
            # It is seen whole, and never fits: it is not run.
            status, _ = service.connect().request("POST", "/v1/jobs", job(item, "1TiB"))
            assert status == 413, status
        times.append(grown[0] / (length / 2**20))
    figure = f"{times[0]:.1f} times its length (numbers), {times[1]:.1f} (words), {times[2]:.1f} (digits)"
    yield ("a job of 15 MiB while it is taken apart", figure, "16 times", max(times) <= 16)
    with Service(program, "--body-memory", f"{limit_mib}MiB", "--queue-memory", f"{limit_mib}MiB") as service:
        with service.grown_mib() as grown, ThreadPoolExecutor(clients) as pool:
            body = job("97", "1MiB")

            def sent(_):
                """What is answered to each try, until it is accepted."""
                answers = []
                while answers[-1:] != [202] and len(answers) < 200:
                    answers and time.sleep(0.5)
                    answers.append(service.connect().request("POST", "/v1/jobs", body)[0])
                return answers

            answers = Counter(answer for answers in pool.map(sent, range(clients)) for answer in answers)
            figures = service.wait_until_idle()
    succeeded = figures['tandem_jobs_ended_total{state="succeeded"}']
    # What waits, as much again with the engine, and what is being sent.
    goal_mib = 3 * limit_mib
    busy = answers[429] + answers[503]
    figure = f"{busy} times told to come again; {succeeded:.0f} succeeded; {grown[0]:+,.0f} MiB at most"
    is_met = answers[202] == clients and answers.total() == clients + busy and succeeded == clients and grown[0] <= goal_mib
    yield (f"{clients} of them at once, with {limit_mib} MiB for bodies, and for the queue", figure, f"all succeed; {goal_mib:,} MiB", is_met)
