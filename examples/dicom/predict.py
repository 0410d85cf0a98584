"""A worker of `tandem serve`: it learns once, and then answers a line of JSON for each job.

What it learns are the written digits that come with scikit-learn. Of an image it says which digit it looks like at 8 by 8
pixels. That shows how a model stays loaded. It is a demonstration and no medical device: of patients it says nothing.
"""

import json
import sys
import time

import numpy as np
import pydicom
import sklearn
from pydicom.pixels import apply_rescale
from sklearn.datasets import load_digits
from sklearn.svm import SVC


def learn():
    """The model, learnt from the first half of the digits, and how many of the second half it gets right."""
    digits = load_digits()
    half = len(digits.target) // 2
    model = SVC(gamma=0.001).fit(digits.data[:half], digits.target[:half])
    return model, float(model.score(digits.data[half:], digits.target[half:]))


def thumbnail(path):
    """The first frame of a file, in grey, as 8 by 8 means between 0 and 16, as the digits are."""
    scan = pydicom.dcmread(path)
    pixels = apply_rescale(scan.pixel_array, scan).astype(np.float64)
    if scan.SamplesPerPixel > 1:
        pixels = pixels.mean(axis=-1)
    if pixels.ndim > 2:
        pixels = pixels[0]
    # Each of the 64 cells is one pixel at least, also of an image smaller than they are.
    bounds = [np.linspace(0, length, 9).astype(int) for length in pixels.shape]
    small = np.array(
        [
            [pixels[top : max(end, top + 1), left : max(right, left + 1)].mean() for left, right in zip(bounds[1], bounds[1][1:])]
            for top, end in zip(bounds[0], bounds[0][1:])
        ]
    )
    span = small.max() - small.min()
    return (small - small.min()) * (16 / span if span else 0)


began = time.monotonic()
model, accuracy = learn()
about = {
    "name": f"SVC of scikit-learn {sklearn.__version__}, digits",
    "accuracy_on_digits": round(accuracy, 4),
    "learnt_in_ms": round(1000 * (time.monotonic() - began)),
}
answered = 0

for line in sys.stdin:
    job = json.loads(line)
    answered += 1
    try:
        answer = {"looks_like_digit": int(model.predict([thumbnail(job["scan"]).ravel()])[0])}
    except Exception as error:  # A file that cannot be read is no reason to learn anew.
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"}
    print(json.dumps({**answer, "model": about, "jobs_of_this_worker": answered}), flush=True)
