"""One peer, asked over standard input for one operation on one file at a time; tells how long it took and what came out.

`worker.py PEER THREADS`. A line `{"operation": O, "file": PATH}` is answered by `{"ms": T, "answer": {...}}`, or by `null` where the
peer has no such operation. What is timed begins with the file in the page cache, mapped into memory (.npy) or unread (.csv), and ends
with the numbers. `{"cannot": WHY}` stands for an operation that failed.
"""

import json
import sys
import time

BINS = 1000
QUANTILES = [0.01, 0.25, 0.5, 0.75, 0.99]


def numpy_peer(_threads):
    import numpy as np

    def moments(x):
        nan = np.isnan(x).sum() if x.dtype.kind == "f" else 0
        return dict(count=x.size - nan, min=x.min(), max=x.max(), sum=x.sum(), mean=x.mean(), variance=x.var(ddof=1))

    def histogram(x):
        return {"histogram": np.histogram(x, BINS)[0]}

    def quantiles(x):
        return {"quantiles": np.quantile(x, QUANTILES)}

    def corr(x):
        # Without a type it computes f32 as f64.
        return {"corr": np.corrcoef(x, rowvar=False, dtype=x.dtype)}

    return {"moments": moments, "histogram": histogram, "quantiles": quantiles, "corr": corr}


def scipy_peer(_threads):
    from scipy import stats

    def shape(x):
        found = stats.describe(x)
        return dict(count=found.nobs, min=found.minmax[0], max=found.minmax[1], mean=found.mean, variance=found.variance,
                    skewness=found.skewness, kurtosis=found.kurtosis)

    return {"shape": shape}


def bottleneck_peer(_threads):
    import bottleneck as bn

    def moments(x):
        return dict(min=bn.nanmin(x), max=bn.nanmax(x), sum=bn.nansum(x), mean=bn.nanmean(x), variance=bn.nanvar(x, ddof=1))

    return {"moments": moments}


def numexpr_peer(threads):
    import numexpr as ne

    ne.set_num_threads(threads)

    def moments(x):
        total, count = float(ne.evaluate("sum(x)")), x.size
        mean = total / count
        squares = float(ne.evaluate("sum((x - mean) ** 2)"))
        return dict(min=ne.evaluate("min(x)"), max=ne.evaluate("max(x)"), sum=total, mean=mean, variance=squares / (count - 1))

    return {"moments": moments}


def polars_peer(_threads):
    import polars as pl

    c = pl.col("x")
    all_moments = dict(count=c.count(), min=c.min(), max=c.max(), sum=c.sum(), mean=c.mean(), variance=c.var())

    def frame(x):
        return pl.DataFrame({"x": x})

    def moments(x):
        return frame(x).select(**all_moments).row(0, named=True)

    def shape(x):
        return frame(x).select(**all_moments, skewness=c.skew(), kurtosis=c.kurtosis()).row(0, named=True)

    def quantiles(x):
        row = frame(x).select(*[c.quantile(q, "linear").alias(str(q)) for q in QUANTILES]).row(0)
        return {"quantiles": row}

    def csv(path):
        return pl.scan_csv(path).select(**all_moments).collect().row(0, named=True)

    return {"moments": moments, "shape": shape, "quantiles": quantiles, "csv": csv}


def duckdb_peer(threads):
    import duckdb
    import pyarrow as pa

    db = duckdb.connect(config={"threads": threads})
    all_moments = "count(x) AS count, min(x) AS min, max(x) AS max, sum(x) AS sum, avg(x) AS mean, var_samp(x) AS variance"

    def ask(columns, source):
        found = db.execute(f"SELECT {columns} FROM {source}")
        names = [column[0] for column in found.description]
        return dict(zip(names, found.fetchall()[0], strict=True))

    def of_array(columns):
        def run(x):
            db.register("numbers", pa.table({"x": x}))
            return ask(columns, "numbers")

        return run

    moments = of_array(all_moments)
    shape = of_array(f"{all_moments}, kurtosis_pop(x) AS kurtosis")
    quantiles = of_array(f"quantile_cont(x, {QUANTILES}) AS quantiles")
    return {"moments": moments, "shape": shape, "quantiles": quantiles, "csv": lambda path: ask(all_moments, f"'{path}'")}


def pyarrow_peer(threads):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv

    pa.set_cpu_count(threads)
    pa.set_io_thread_count(threads)

    def of_column(x):
        ends = pc.min_max(x)
        return dict(count=pc.count(x).as_py(), min=ends["min"].as_py(), max=ends["max"].as_py(), sum=pc.sum(x).as_py(),
                    mean=pc.mean(x).as_py(), variance=pc.variance(x, ddof=1).as_py())

    def quantiles(x):
        return {"quantiles": pc.quantile(pa.array(x), QUANTILES, interpolation="linear").to_pylist()}

    return {
        "moments": lambda x: of_column(pa.array(x)),
        "quantiles": quantiles,
        "csv": lambda path: of_column(pa.csv.read_csv(path)["x"]),
    }


PEERS = {
    "numpy": numpy_peer,
    "scipy": scipy_peer,
    "bottleneck": bottleneck_peer,
    "numexpr": numexpr_peer,
    "polars": polars_peer,
    "duckdb": duckdb_peer,
    "pyarrow": pyarrow_peer,
}


def plain(value):
    """A number, or a list of them, as JSON has it."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return list(value) if isinstance(value, tuple) else value


def main():
    import numpy as np

    peer, threads = sys.argv[1], int(sys.argv[2])
    operations = PEERS[peer](threads)
    for line in sys.stdin:
        asked = json.loads(line)
        run, path = operations.get(asked["operation"]), asked["file"]
        if run is None:
            print("null", flush=True)
            continue
        data = path if path.endswith(".csv") else np.load(path, mmap_mode="r")
        begin = time.perf_counter()
        try:
            answer = run(data)
        except Exception as error:  # Whatever its library raises: it cannot do this.
            print(json.dumps({"cannot": f"{type(error).__name__}: {error}".splitlines()[0]}), flush=True)
            continue
        ms = (time.perf_counter() - begin) * 1e3
        print(json.dumps({"ms": ms, "answer": {name: plain(value) for name, value in answer.items()}}), flush=True)


main()
