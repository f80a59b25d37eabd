#!/usr/bin/env python3
r"""Build the three data sets of this folder from the Python packages that ship them.

    pip install plotnine==0.15.9 scikit-learn==1.9.1
    python make.py [FOLDER]        # FOLDER defaults to the one this script lies in

Each table becomes a gzipped CSV: a header, comma-separated, `\n` line ends, numbers in
their shortest decimal form (55, not 55.0). The gzip header holds neither a time nor a
name, so the same packages and the same zlib give the same bytes. README.md says
where the data come from and gives a checksum of each table.
"""

import gzip
import io
import math
import sys
from pathlib import Path


def shortest(x):
    """Shortest decimal text that reads back as the float64 `x`, without a trailing `.0`."""
    return repr(float(x)).removesuffix(".0")


def diamonds():
    """All rows in their order; the price is replaced by its natural logarithm."""
    from plotnine.data import diamonds as table

    numbers = ["carat", "depth", "table", "x", "y", "z"]
    columns = ["carat", "cut", "color", "clarity", "depth", "table", "x", "y", "z"]
    rows = zip(*(map(shortest if c in numbers else str, table[c]) for c in columns))
    prices = (f"{math.log(int(p)):.6f}" for p in table["price"])
    return [*columns, "log_price"], [[*row, price] for row, price in zip(rows, prices)]


def diabetes():
    """The measurements in their own units: neither centred nor scaled."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    rows = [list(map(shortest, [*x, y])) for x, y in zip(bunch.data, bunch.target)]
    return [*bunch.feature_names, "target"], rows


def digits():
    """64 pixels, row by row from the top left, and the digit they show."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    rows = [list(map(shortest, [*x, y])) for x, y in zip(bunch.data, bunch.target)]
    return [*(f"p{i}" for i in range(64)), "digit"], rows


def gzipped_csv(header, rows):
    """The bytes of a gzipped CSV (level 9, no time, no name); no field may need quotes."""
    lines = [",".join(fields) for fields in [header, *rows]]
    if any(line.count(",") != len(header) - 1 or '"' in line for line in lines):
        raise ValueError("a field holds a comma or a quote, expected plain text")
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(("\n".join(lines) + "\n").encode("utf-8"))
    return buffer.getvalue()


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    for build in (diamonds, diabetes, digits):
        header, rows = build()
        data = gzipped_csv(header, rows)
        (folder / f"{build.__name__}.csv.gz").write_bytes(data)
        print(f"{build.__name__}.csv.gz: {len(rows)} rows, {len(header)} columns, {len(data)} bytes")


if __name__ == "__main__":
    main()
