"""Sends DICOM files to `tandem serve` and prints what comes back: a line for each file.

Of each it asks statistics and a histogram of the pixels inside the window that the file names, and what the command `predict` says.
A file that is broken, or compressed in a way that is not read, is the error of its own jobs.

Exit code: 0 where the service did what it was asked, 1 where --check or --devices found a difference, 2 where it cannot be reached.
"""

import argparse
import hashlib
import json
import math
import os
import sys
import urllib.error
import urllib.request
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom

warnings.simplefilter("ignore")
TAGS = ["Modality", "Rows", "Columns", "NumberOfFrames"]


def request(options, path, body=None, headers={}):
    """The body of an answer."""
    if options.token:
        headers = {**headers, "Authorization": f"Bearer {options.token}"}
    with urllib.request.urlopen(urllib.request.Request(options.url + path, body, headers)) as reply:
        return reply.read()


def name_sent(scan):
    """What a file is called on its way: names of files and folders are often those of patients, and stay here."""
    return f"{hashlib.sha256(scan).hexdigest()[:16]}.dcm"


def post(options, job, scan):
    """Posts a job with its file; gives its id. Sent again, the same job is not run again: the key says that it is the same."""
    job = json.dumps(job)
    key = hashlib.sha256(job.encode() + scan).hexdigest()
    parts = [b'name="job"\r\n\r\n' + job.encode(), b'name="scan"; filename="%s"\r\n\r\n' % name_sent(scan).encode() + scan]
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n" % (key.encode(), part) for part in parts)
    headers = {"Content-Type": f"multipart/form-data; boundary={key}", "Idempotency-Key": key}
    return json.loads(request(options, "/v1/jobs", body + b"--%s--\r\n" % key.encode(), headers))["id"]


def wait(options, job):
    """What became of a job."""
    while True:
        outcome = json.loads(request(options, f"/v1/jobs/{job}?wait=30s"))
        if "ended_ms" in outcome:
            return outcome


def send(options, scan):
    """The outcomes of one file: statistics on each device asked for, the bytes of their results, and the prediction."""
    try:
        read = pydicom.dcmread(pydicom.filebase.DicomBytesIO(scan), stop_before_pixels=True)
        metadata = {tag: str(read[tag].value) for tag in TAGS if tag in read}
        window = "file" if read.get("WindowCenter") is not None else None
    except Exception:
        metadata, window = {}, None
    metadata = {"file": name_sent(scan), **metadata}
    stats = {"kind": "stats", "file": {"$file": "scan"}, "format": "dicom", "histogram": {"bins": 16}, "metadata": metadata}
    if window:
        stats["window"] = window
    jobs = [post(options, {**stats, "device": device}, scan) for device in options.devices]
    prediction = post(options, {"kind": "predict", "scan": {"$file": "scan"}, "metadata": metadata}, scan)
    outcomes = [wait(options, job) for job in jobs]
    results = [request(options, f"/v1/jobs/{job}/result") for job, o in zip(jobs, outcomes) if o["state"] == "succeeded"]
    return outcomes, results, wait(options, prediction), window


def check(scan, window, result):
    """What differs from what pydicom and numpy say; None where nothing does."""
    import numpy as np
    from pydicom.pixels import apply_modality_lut

    try:
        read = pydicom.dcmread(pydicom.filebase.DicomBytesIO(scan))
        stored = read.pixel_array
        values = apply_modality_lut(stored, read).astype(np.float64).ravel()
    except Exception as error:
        return result and f"read, but not by pydicom ({error})"
    # What pydicom decodes beyond, with packages of its own, is the error of that file.
    if result is None:
        return None
    inside = np.ones(values.shape, bool)
    if "PixelPaddingValue" in read:
        ends = sorted([read.PixelPaddingValue, read.get("PixelPaddingRangeLimit", read.PixelPaddingValue)])
        inside &= ~((ends[0] <= stored) & (stored <= ends[1])).ravel()
    if window:
        first = lambda value: float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
        center, width = first(read.WindowCenter), first(read.WindowWidth)
        lo, hi = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
        inside &= (lo <= values) & (values <= hi)
    seen = values[inside]
    found, expected = [result["count"], result["nan_count"]], [len(seen), len(values) - len(seen)]
    if len(seen):
        found += [float(result[name]) for name in ["min", "max", "sum"]]
        expected += [float(seen.min()), float(seen.max()), math.fsum(seen)]
    return None if found == expected else f"pydicom and numpy say {expected}, and not {found}"


def files(folder):
    """Each file by its name, and a broken one."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.dcm"))}
    whole = next((name for name in found if name.endswith("CT_small.dcm")), next(iter(found), None))
    if whole:
        found[f"half of {Path(whole).name}"] = found[whole][: len(found[whole]) // 2]
    return found


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("folder", nargs="?", type=Path, default=Path(pydicom.data.__file__).parent, help="where files lie [those of pydicom]")
    parse.add_argument("--url", default="http://127.0.0.1:7878")
    parse.add_argument("--token", default=os.environ.get("TANDEM_TOKEN"), help="what the service wants to see [TANDEM_TOKEN]")
    parse.add_argument("--devices", default="auto", help="where statistics run; of several, as in cpu,gpu, results are compared byte by byte")
    parse.add_argument("--check", action="store_true", help="compare with what pydicom and numpy say")
    options = parse.parse_args()
    options.devices = options.devices.split(",")
    found = files(options.folder)
    if not found:
        parse.error(f"{options.folder}: no .dcm file there: give the folder that they lie in")
    try:
        with ThreadPoolExecutor(8) as pool:
            sent = list(pool.map(lambda name: send(options, found[name]), found))
    except urllib.error.HTTPError as error:
        sys.exit(f"{options.url}: {error}: {error.read().decode()}")
    except OSError as error:
        print(f"{options.url}: {error}: start it with `tandem serve --commands examples/dicom/commands.json`", file=sys.stderr)
        return 2
    ran, failed, differ = 0, 0, []
    print(f"{'file':38} {'modality':8} {'on':6} {'pixels':>8} {'left out':>8} {'mean':>12}  digit  error")
    for name, (outcomes, results, prediction, window) in zip(found, sent):
        first = outcomes[0]
        result = first.get("result")
        answer = (prediction.get("result") or {}).get("answer", {})
        failed, ran = failed + (result is None), ran + (result is not None)
        message = (first.get("error") or prediction.get("error") or {}).get("message") or answer.get("error", "")
        message = message.replace(name_sent(found[name]), Path(name).name)
        shown = [f"{Path(name).name[:38]:38}", f"{first['metadata'].get('Modality', '')[:8]:8}"]
        numbers = (first["device"], result["count"], result["nan_count"], result["mean"]) if result else None
        shown += ["{:6} {:8} {:8} {:12.5g}".format(*numbers) if result and result["count"] else f"{'':37}"]
        print(*shown, f" {answer.get('looks_like_digit', ''):5}  {message[:150]}".rstrip())
        if len(set(results)) > 1 or 0 < len(results) < len(options.devices):
            differ.append(f"{name}: {' and '.join(options.devices)} differ")
        difference = check(found[name], window, result) if options.check else None
        if difference:
            differ.append(f"{name}: {difference}")
    print(f"\n{len(found)} files: {ran} read, {failed} refused, each with its reason")
    if options.check or len(options.devices) > 1:
        print(*differ, f"{len(differ)} differences", sep="\n")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
