"""Times LAPACK's QR-based least squares (dgels) on a matrix in a file.

lstsq.py MATRIX RIGHT ROWS COLUMNS: both files hold f64 numbers, column after column. For every line on standard input the
problem is solved once; the seconds are printed, and the solution, as JSON. The first line printed names the libraries.
"""

import json
import sys
import time

import numpy as np
import scipy
from scipy.linalg import lapack


def main():
    matrix, right, rows, columns = sys.argv[1:]
    rows, columns = int(rows), int(columns)
    a = np.fromfile(matrix).reshape(rows, columns, order="F")
    b = np.fromfile(right).reshape(rows, 1, order="F")
    work, _ = lapack.dgels_lwork(rows, columns, 1)
    print(json.dumps({"numpy": np.__version__, "scipy": scipy.__version__}), flush=True)
    for _ in sys.stdin:
        copy, target = a.copy(order="F"), b.copy(order="F")
        start = time.perf_counter()
        _, x, info = lapack.dgels(copy, target, lwork=int(work), overwrite_a=True, overwrite_b=True)
        seconds = time.perf_counter() - start
        assert info == 0, info
        del copy
        print(json.dumps({"seconds": seconds, "x": x[:columns, 0].tolist()}), flush=True)


main()
