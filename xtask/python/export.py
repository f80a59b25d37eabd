"""Writes the training rows of data/NAME.npz as raw little-endian float64, row by row.

    export.py NAME      data/NAME.x.f64 and data/NAME.y.f64; their shape as one JSON line
"""

import importlib.metadata
import json
import platform
import sys

import numpy as np

name = sys.argv[1]
with np.load(f"data/{name}.npz") as data:
    x, y = data["X"], data["Y"]
for letter, values in (("x", x), ("y", y)):
    np.ascontiguousarray(values, dtype="<f8").tofile(f"data/{name}.{letter}.f64")
versions = {package: importlib.metadata.version(package) for package in ("numpy", "scipy")}
versions["python"] = platform.python_version()
shape = {"rows": x.shape[0], "inputs": x.shape[1], "outputs": y.shape[1]}
print(json.dumps(shape | {"versions": versions}))
