"""Writes the table of `parquet.rs`: python3 parquet.py parquet.parquet (pyarrow 26)."""

import datetime
import decimal
import sys

import pyarrow as pa
import pyarrow.parquet as pq

day, second = datetime.date, datetime.datetime
table = pa.table(
    {
        "number": pa.array([0.1, None, float("nan"), -2.5e300], pa.float64()),
        "half": pa.array([1.5, -0.25, None, 65504.0], pa.float16()),
        "count": pa.array([1, None, -3, 2**31 - 1], pa.int32()),
        "byte": pa.array([0, 255, 7, None], pa.uint8()),
        "price": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-0.07"), decimal.Decimal("3")],
                          pa.decimal128(9, 2)),
        "truth": pa.array([True, False, None, True]),
        "text": pa.array([" a ", "b,\"c\"", None, "é"]),
        "level": pa.array(["x", "y", "x", "x"]).dictionary_encode(),
        "day": pa.array([day(1970, 1, 1), day(2024, 2, 29), None, day(1969, 12, 31)]),
        "time": pa.array([second(2001, 9, 9, 1, 46, 40), None, second(1970, 1, 1), second(1969, 12, 31, 23, 59, 59, 5)],
                         pa.timestamp("ns")),
        "list": pa.array([[1], [], None, [2, 3]]),
        "raw": pa.array([b"\x00", b"\xff", None, b""], pa.binary()),
    }
)
codecs = ["snappy", "zstd", "gzip", "none"]
compression = {name: codecs[at % 4] for at, name in enumerate(table.column_names)}
compression["list.list.element"] = "zstd"
pq.write_table(table, sys.argv[1], row_group_size=3, compression=compression)
