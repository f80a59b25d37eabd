"""Exported models in onnxruntime beside `nearlin predict`, on the same raw rows.

    round_trip.py NEARLIN DATA FOLDER

NEARLIN is the program, DATA the folder of the shipped tables, FOLDER is for files. Each case fits a small
model, exports it, has onnx check the graph, and compares all numbers, relative to their own size, and all
labels. Prints a line for each case; fails if a number differs by more than 1e-5.
"""

import csv
import gzip
import json
import math
import pathlib
import random
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime

MOST = 1e-5
TEXTS = ["a", "b,c", 'd"e', "é ü", "1"]


def generated(path, rows, seed, target, more=()):
    """Rows of texts `t`, numbers `a`, texts `s`, numbers `b`, a constant `k` and a target."""
    noise = random.Random(seed)
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["t", "a", "s", "b", "k", "y"])
        for i in range(rows):
            t, s = noise.choice(TEXTS), noise.choice("pqr")
            a, b = noise.uniform(-3, 3), 1e-7 * noise.gauss(5, 1)
            value = math.sin(a) + 0.5 * TEXTS.index(t) + (2e6 * b if s == "q" else 0)
            out.writerow([t, a, s, b, 7, target(value)])
        for row in more:
            out.writerow(row)
    return path


def numbers_of(path, value):
    """Rows of four numbers and a target that depends on a few of them."""
    noise = random.Random(5)
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow([f"x{i}" for i in range(4)] + ["y"])
        for _ in range(300):
            x = [noise.gauss(0, 1) for _ in range(4)]
            out.writerow(x + [value(x)])
    return path


def rows_of(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cases(data, folder):
    """Name, table to fit, target, options, table to predict."""
    diamonds, digits = data / "diamonds.csv.gz", data / "digits.csv.gz"
    yield "numbers and categories, metric", diamonds, "log_price", "--rows 1200 --width 256", diamonds
    yield "digits, ten classes", digits, "digit", "--task classification --rows 600 --width 128", digits
    diabetes = data / "diabetes.csv.gz"
    one = numbers_of(folder / "one.csv", lambda x: math.sin(2 * x[0]) + 0.1 * x[1])
    yield "numbers, diagonal metric", one, "y", "--metric diagonal --width 128", one
    sums = numbers_of(folder / "sums.csv", lambda x: math.sin(x[0] + x[1] - x[2]))
    yield "numbers, full metric", sums, "y", "--metric full --width 128", sums
    yield "without a ridge", diabetes, "target", "--ridge 0 --rows 60 --width 512", diabetes
    options = "--ridge 0.01 --scale 1e9 --width 128"
    yield "large initial weights", diabetes, "target", options, diabetes
    unseen = [["zebra", x, "?", y, 7, 0] for x in (-1e300, 1e9, 0.5) for y in (0, 5e-7, -1e300)]
    mixed = generated(folder / "mixed.csv", 300, 1, lambda value: 1e-12 * value)
    more = generated(folder / "more.csv", 200, 2, lambda value: 0, unseen)
    yield "texts first, unseen and far rows", mixed, "y", "--width 128", more
    label = lambda value: "low, very" if value < 0.5 else "mid" if value < 1.5 else "higher"
    classes = generated(folder / "classes.csv", 300, 3, label)
    yield "three classes", classes, "y", "--width 128", more
    yield "classes without a ridge", classes, "y", "--width 512 --ridge 0", more
    texts = folder / "texts.csv"
    texts.write_text("t,y\n" + "".join(f"{'abcde'[i % 5]},{i % 7}\n" for i in range(40)))
    yield "texts alone", texts, "y", "--width 64 --ridge 0.01", texts
    constant = folder / "constant.csv"
    constant.write_text("k,y\n" + "".join(f"7,{i}\n" for i in range(20)))
    yield "no column left", constant, "y", "--width 64 --ridge 0.01", constant


def session_of(path, name):
    onnx.checker.check_model(str(path), full_check=True)
    # What a case is named for must be in its graph.
    dims = {constant.name: len(constant.dims) for constant in onnx.load(path).graph.initializer}
    for metric, rank in [("diagonal metric", 1), ("full metric", 2)]:
        assert metric not in name or dims.get("metric") == rank, dims
    assert "large initial" not in name or "weights_before" in dims, dims
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds_of(session, rows):
    told = session.get_modelmeta().custom_metadata_map
    numbers = [[float(row[name]) for name in json.loads(told["numbers"])] for row in rows]
    texts = [[row[name].strip() for name in json.loads(told["categories"])] for row in rows]
    made = {
        "numbers": np.array(numbers, dtype=np.float64).reshape(len(rows), -1),
        "categories": np.array(texts, dtype=object).reshape(len(rows), -1),
    }
    return {told.name: made[told.name] for told in session.get_inputs()}


def difference(found, expected):
    """The largest, relative to what is expected."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert found.dtype == np.float64 and np.isfinite(found).all()
    return float((np.abs(found - expected) / np.maximum(np.abs(expected), 1e-300)).max())


def check(nearlin, folder, name, fit, target, options, table):
    """The largest relative difference of a case, and how much was compared."""
    model, graph, predicted = folder / "m.safetensors", folder / "m.onnx", folder / "p.csv"

    def call(*args):
        subprocess.run([str(nearlin), *map(str, args)], check=True, stderr=subprocess.PIPE)

    call("fit", fit, "--target", target, *options.split(), "--quiet", "--model", model)
    call("export", model, "-o", graph)
    session = session_of(graph, name)
    classify = session.get_modelmeta().custom_metadata_map["task"] == "classification"
    names = [output.name for output in session.get_outputs()]
    rows = rows_of(table)
    given = dict(zip(names, session.run(None, feeds_of(session, rows))))
    worst, compared = 0.0, 0
    for output in set(names) - {"label"}:
        sure = ["--probabilities"] if output == "probabilities" else []
        call("predict", model, table, *sure, "-o", predicted)
        told = [list(row.values()) for row in rows_of(predicted)]
        numbers = [[float(cell) for cell in row[:-1] if classify] or [float(row[0])] for row in told]
        worst = max(worst, difference(given[output], numbers))
        compared += given[output].size
    if classify:
        labels = given["label"]
        assert [str(label) for label in labels] == [row[-1] for row in told], "labels differ"
        compared += len(labels)
    return worst, compared, names


def main():
    nearlin, data, folder = (pathlib.Path(arg) for arg in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    for name, fit, target, options, table in cases(data, folder):
        worst, compared, names = check(nearlin, folder, name, fit, target, options, table)
        failed += not worst <= MOST
        print(f"{name}: {worst:.1e} in {compared} values of {', '.join(names)}", flush=True)
    if failed:
        sys.exit(f"{failed} cases differ by more than {MOST}")


if __name__ == "__main__":
    main()
