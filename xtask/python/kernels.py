"""Times kernels of LAPACK (through SciPy), NumPy and FFHT (through fht-cpu) for `cargo xtask bench`.

Reads requests from standard input, one JSON object a line, and answers each with one line:

    {"kernel": "cholesky", "n": 1000, "precision": "f64", "repeats": 3}  ->  {"seconds": 0.021}

Seconds are those of all repetitions; what a kernel destroys is made anew off the clock. The first
line that is written holds the versions of the packages.
"""

import importlib.metadata
import json
import os
import platform
import sys
import time

import fht_cpu
import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))

# A call from Python takes as long as a short transform: transform many rows in one call, as many
# as a first- and second-level cache hold.
BATCH = 1 << 14


def matrix(rows, columns, dtype):
    noise = np.random.default_rng(1).random((columns, rows), dtype=np.float32)
    return (2 * noise - 1).astype(dtype).T  # column by column


def cholesky(n, dtype):
    a = matrix(n, n, dtype)
    a[np.diag_indices(n)] = n
    (potrf,) = get_lapack_funcs(("potrf",), dtype=dtype)
    return lambda: a.copy(order="F"), lambda a: potrf(a, lower=1, clean=0, overwrite_a=1)


def qr(n, dtype, r):
    a = matrix(r, n, dtype)
    (geqrf,) = get_lapack_funcs(("geqrf",), dtype=dtype)
    (query,) = get_lapack_funcs(("geqrf_lwork",), dtype=dtype)
    lwork = int(query(r, n)[0])
    return lambda: a.copy(order="F"), lambda a: geqrf(a, lwork=lwork, overwrite_a=1)


def triangular(n, dtype, k):
    a, b = matrix(n, n, dtype), matrix(n, k, dtype)
    a /= n
    a[np.diag_indices(n)] = 1
    if k == 1:
        (trsv,) = get_blas_funcs(("trsv",), dtype=dtype)
        return lambda: b[:, 0].copy(), lambda b: trsv(a, b, overwrite_x=1)
    (trsm,) = get_blas_funcs(("trsm",), dtype=dtype)
    return lambda: b.copy(order="F"), lambda b: trsm(1, a, b, overwrite_b=1)


def fwht(n, dtype, columns):
    # Zeros stay zeros, where other numbers would overflow: no scaling is done.
    x = np.zeros((columns, n), dtype)
    return None, lambda: fht_cpu.fht(x, axis=-1, num_threads=THREADS)


def gram(n, dtype, m):
    # The mask as numbers, half of them ones. NumPy sees that both factors are the same matrix and
    # makes one triangle (syrk), then mirrors it.
    x = np.random.default_rng(1).integers(0, 2, (n, m), dtype=np.uint8).astype(dtype)
    g = np.zeros((n, n), dtype)
    return None, lambda: np.matmul(x, x.T, out=g)


KERNELS = {"cholesky": cholesky, "qr": qr, "triangular": triangular, "fwht": fwht, "gram": gram}


def seconds(work, *args):
    start = time.perf_counter()
    work(*args)
    return time.perf_counter() - start


def timed(prepared, request, repeats):
    prepare, run = prepared
    if request["kernel"] == "fwht" and request["columns"] == 1:
        # `repeats` transforms of one vector, as rows of a batch.
        batch = max(1, BATCH // request["n"])
        calls = -(-repeats // batch)
        elapsed = seconds(lambda: [run() for _ in range(calls)])
        return elapsed * repeats / (calls * batch)
    if prepare is None:
        return seconds(lambda: [run() for _ in range(repeats)])
    return sum(seconds(run, prepare()) for _ in range(repeats))


def main():
    # Answers go to the standard output that was there at the start, and nothing else does.
    answers = sys.stdout
    sys.stdout = sys.stderr
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "fht-cpu")}
    versions["python"] = platform.python_version()
    print(json.dumps({"versions": versions}), file=answers, flush=True)
    last, prepared = None, None
    for line in sys.stdin:
        request = json.loads(line)
        repeats = request.pop("repeats")
        try:
            if request != last:
                prepared = None  # one case's operands at a time
                sizes = {k: v for k, v in request.items() if k not in ("kernel", "precision")}
                if request["kernel"] == "fwht" and sizes["columns"] == 1:
                    sizes["columns"] = max(1, BATCH // sizes["n"])
                dtype = {"f32": np.float32, "f64": np.float64}[request["precision"]]
                prepared, last = KERNELS[request["kernel"]](dtype=dtype, **sizes), request
            answer = {"seconds": timed(prepared, request, repeats)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        if THREADS > 1:
            time.sleep(0.1)  # idle threads spin for a while, in the way of whoever comes next
        print(json.dumps(answer), file=answers, flush=True)


main()
