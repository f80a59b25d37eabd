"""Test errors and times of nearlin with default options beside what people use instead.

    fits.py NEARLIN FOLDER SEEDS [--large SEEDS] [--small SEEDS] [--only NAME,..] [--alone | --beside ENTRY ..] [--rows ROWS]

For each data set and seed the rows are split once; everybody is given the same training rows and judged on
the same test rows. One line of JSON for each fit: {"data", "seed", "entry", "error", "seconds"}, after one
with versions and one for each data set. NEARLIN is the program, which is given the raw columns in a file;
everybody else is given them as numbers, categories one-hot and all standardised by the training rows.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")

THREADS = 2


def frame(columns, target, classify):
    """A table without gaps, its target's column, and whether that is a class."""
    table = columns.dropna().drop_duplicates().reset_index(drop=True)
    return table, target, classify


def sklearn_table(name):
    from sklearn import datasets

    data = getattr(datasets, "load_" + name)(as_frame=True)
    table = data.frame.copy()
    classify = name != "diabetes"
    if classify:
        table["target"] = ["c" + str(v) for v in table["target"]]
    return frame(table, "target", classify)


def mlxtend_table(name, target):
    import mlxtend.data

    x, y = getattr(mlxtend.data, name)()
    table = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
    table[target] = y
    return frame(table, target, False)


def mnist():
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    table = pd.DataFrame(x, columns=[f"p{i}" for i in range(x.shape[1])])
    table = table.loc[:, table.nunique() > 1].copy()
    table["digit"] = ["c" + str(v) for v in y]
    return frame(table, "digit", True)


def diamonds():
    from plotnine.data import diamonds as data

    table = data.copy()
    table["log_price"] = np.log(table.pop("price").astype(float))
    return frame(table, "log_price", False)


def mpg():
    from plotnine.data import mpg as data

    return frame(data.drop(columns=["cty", "model"]), "hwy", False)


def housing():
    from plotnine.data import txhousing as data

    table = data[["city", "year", "month", "sales", "listings", "inventory", "median"]].copy()
    table["log_median"] = np.log(table.pop("median").astype(float))
    return frame(table, "log_median", False)


def weather():
    from vega_datasets import data

    table = data.seattle_weather()
    table["day"] = pd.to_datetime(table.pop("date")).dt.dayofyear
    return frame(table, "weather", True)


def cars():
    from vega_datasets import data

    table = data.cars().drop(columns=["Name"])
    table["Year"] = pd.to_datetime(table["Year"]).dt.year
    return frame(table, "Miles_per_Gallon", False)


def affairs():
    import statsmodels.api as sm

    return frame(sm.datasets.fair.load_pandas().data, "rate_marriage", False)


def votes():
    import statsmodels.api as sm

    table = sm.datasets.anes96.load_pandas().data
    table["vote"] = ["c" + str(int(v)) for v in table["vote"]]
    return frame(table, "vote", True)


# Name, table, training rows (a fraction, or at most so many).
DATA = [
    ("iris", lambda: sklearn_table("iris"), 0.8),
    ("wine", lambda: sklearn_table("wine"), 0.8),
    ("mpg", mpg, 0.8),
    ("cars", cars, 0.8),
    ("diabetes", lambda: sklearn_table("diabetes"), 0.8),
    ("boston", lambda: mlxtend_table("boston_housing_data", "price"), 0.8),
    ("cancer", lambda: sklearn_table("breast_cancer"), 0.8),
    ("votes", votes, 0.8),
    ("weather", weather, 0.8),
    ("digits", lambda: sklearn_table("digits"), 1500),
    ("mnist", mnist, 4000),
    ("affairs", affairs, 0.8),
    ("housing", housing, 0.8),
    ("diamonds", diamonds, 4000),
]

# Test rows at most, where a table has more than are needed to tell errors apart.
MOST_TEST_ROWS = 10_000


# Training rows from which on a table is large.
LIMIT = "infinite width"
LARGE = 2000

# Training rows below which a table is small: its test errors are a few rows, and its fits take no time.
SMALL = 1000


def split(table, target, classify, part, seed):
    """Training and test rows, by a shuffle; classes as they come."""
    order = np.random.default_rng(seed).permutation(len(table))
    count = part if part > 1 else int(part * len(table))
    train, test = order[:count], order[count : count + MOST_TEST_ROWS]
    return table.iloc[train].reset_index(drop=True), table.iloc[test].reset_index(drop=True)


def numbers(train, test, target):
    """Standardised inputs of both, as peers are given them."""
    x = pd.concat([train, test]).drop(columns=[target])
    kinds = x.select_dtypes(exclude="number").columns
    x = pd.get_dummies(x, columns=list(kinds)).to_numpy(float)
    a, b = x[: len(train)], x[len(train) :]
    mean, size = a.mean(0), a.std(0)
    keep = size > 1e-12
    return (a[:, keep] - mean[keep]) / size[keep], (b[:, keep] - mean[keep]) / size[keep]


def krr(x, y, classify):
    """Kernel ridge with a Gaussian kernel, both parameters by five-fold cross-validation (three from 2,000
    rows on); classes by one-hot targets."""
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.model_selection import GridSearchCV

    grid = {
        "alpha": [1e-4, 1e-3, 1e-2, 1e-1, 1.0],
        "gamma": [g / x.shape[1] for g in (0.03, 0.1, 0.3, 1.0)],
    }
    folds = 5 if len(x) < 2000 else 3
    return GridSearchCV(KernelRidge(kernel="rbf"), grid, cv=folds, n_jobs=1).fit(x, y)


def torch_adam(x, y, seed):
    """The same network, 4,096 neurons with fixed output weights, by Adam on all rows' squared error."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)
    x = np.hstack([x / math.sqrt(x.shape[1]), np.ones((len(x), 1))])
    x = torch.tensor(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=torch.float32)
    y = torch.tensor(y, dtype=torch.float32)
    m = 4096
    w = torch.randn(m, x.shape[1], requires_grad=True)
    a = torch.randint(0, 2, (m, y.shape[1])).float() * 2 - 1
    out = lambda x: torch.relu(x @ w.T) @ a / math.sqrt(m)
    adam = torch.optim.Adam([w], lr=1e-2)
    for _ in range(200):
        for rows in torch.randperm(len(x)).split(256):
            adam.zero_grad()
            ((out(x[rows]) - y[rows]) ** 2).mean().backward()
            adam.step()

    def predict(z):
        z = np.hstack([z / math.sqrt(z.shape[1]), np.ones((len(z), 1))])
        z = torch.tensor(z / np.linalg.norm(z, axis=1, keepdims=True), dtype=torch.float32)
        with torch.no_grad():
            return out(z).numpy()

    return predict


def infinite_width(x, y):
    """The network's own limit: ridge regression with its tangent kernel at infinite width, the ridge by leave-one-out."""
    def unit(x):
        x = np.hstack([x / math.sqrt(x.shape[1]), np.ones((len(x), 1))])
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def kernel(x, z):
        cosine = np.clip(x @ z.T, -1, 1)
        return cosine * (0.5 - np.arccos(cosine) / (2 * np.pi))

    x = unit(x)
    values, vectors = np.linalg.eigh(kernel(x, x))
    rotated = vectors.T @ y
    best = (np.inf, None)
    for ridge in 0.5 * np.logspace(-6, 2, 33):
        inverse = 1 / (np.maximum(values, 0) + ridge)
        multipliers = vectors @ (inverse[:, None] * rotated)
        left_out = multipliers / ((vectors**2) @ inverse)[:, None]
        best = min(best, (np.mean(left_out**2), multipliers), key=lambda found: found[0])
    return lambda z: kernel(unit(z), x) @ best[1]


def entries(classify, seed):
    """Everybody but nearlin: name, and a function from (x, y) to a predictor of classes or numbers."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    mlp = MLPClassifier if classify else MLPRegressor
    forest = RandomForestClassifier if classify else RandomForestRegressor

    def scaled(model):
        """Regressors of standardised targets, as networks need them."""

        def fit(x, y):
            if classify:
                return model.fit(x, y).predict
            mean, size = y.mean(), y.std()
            model.fit(x, (y - mean) / size)
            return lambda z: model.predict(z) * size + mean

        return fit

    def kernel(x, y):
        if not classify:
            mean, size = y.mean(), y.std()
            model = krr(x, (y - mean) / size, False)
            return lambda z: model.predict(z) * size + mean
        names = np.unique(y)
        model = krr(x, (y[:, None] == names[None, :]).astype(float), True)
        return lambda z: names[model.predict(z).argmax(1)]

    def same_network(x, y):
        if not classify:
            mean, size = y.mean(), y.std()
            predict = torch_adam(x, ((y - mean) / size)[:, None], seed)
            return lambda z: predict(z)[:, 0] * size + mean
        names = np.unique(y)
        predict = torch_adam(x, (y[:, None] == names[None, :]) - 1.0 / len(names), seed)
        return lambda z: names[predict(z).argmax(1)]

    def boosted(x, y):
        import lightgbm

        kind = lightgbm.LGBMClassifier if classify else lightgbm.LGBMRegressor
        model = kind(n_jobs=THREADS, verbose=-1, random_state=seed, n_estimators=100 if classify else 400,
                     learning_rate=0.1 if classify else 0.05)
        return model.fit(x, y).predict

    def limit(x, y):
        if not classify:
            mean, size = y.mean(), y.std()
            predict = infinite_width(x, ((y - mean) / size)[:, None])
            return lambda z: predict(z)[:, 0] * size + mean
        names = np.unique(y)
        predict = infinite_width(x, (y[:, None] == names[None, :]) - 1.0 / len(names))
        return lambda z: names[predict(z).argmax(1)]

    found = [
        (LIMIT, limit),
        ("MLP, Adam", scaled(mlp(max_iter=1000, random_state=seed))),
        ("MLP, L-BFGS", scaled(mlp(solver="lbfgs", max_iter=500, random_state=seed))),
        ("kernel ridge", kernel),
        ("random forest", scaled(forest(n_estimators=300, n_jobs=THREADS, random_state=seed))),
        ("LightGBM", boosted),
    ]
    try:
        import torch  # noqa: F401

        found.append(("PyTorch, Adam", same_network))
    except ImportError:
        pass
    return found


def error(predicted, true, classify):
    """The share of wrong classes, or the root of the mean squared error over the targets' deviation."""
    if classify:
        return float(np.mean(predicted != true))
    return float(np.sqrt(np.mean((predicted - true) ** 2)) / true.std())


def nearlin(program, folder, train, test, target, classify, seed):
    paths = [folder / name for name in ("train.csv", "test.csv", "model.safetensors", "predicted.csv")]
    train.to_csv(paths[0], index=False)
    test.drop(columns=[target]).to_csv(paths[1], index=False)
    begin = time.perf_counter()
    task = "classification" if classify else "regression"
    call = [program, "fit", paths[0], "--target", target, "--task", task, "--test-fraction", "0",
            "--seed", str(seed), "--threads", str(THREADS), "--model", paths[2], "--quiet"]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    call = [program, "predict", paths[2], paths[1], "-o", paths[3]]
    sure = ["--probabilities"] if classify else ["--interval", "0.9"]
    subprocess.run(call + sure, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    told = pd.read_csv(paths[3], dtype={"prediction": str} if classify else None)
    true = test[target].to_numpy()
    if classify:
        classes = [name for name in told.columns if name != "prediction"]
        own = np.array([classes.index(name) if name in classes else -1 for name in true])
        of_own = told[classes].to_numpy()[np.arange(len(true)), own]
        return told["prediction"].to_numpy(), seconds, {"log_loss": float(-np.log(of_own[own >= 0]).mean())}
    predicted = told["prediction"].to_numpy()
    lower, upper, off = told["lower"].to_numpy(), told["upper"].to_numpy(), np.abs(true - predicted)
    within = ((lower <= true) & (true <= upper)).mean()
    # The length and what is missed, as intervals of 90% are scored; then with equal widths that cover as much.
    missed = lambda lower, upper: np.maximum(lower - true, 0) + np.maximum(true - upper, 0)
    score = lambda lower, upper: float(np.mean(upper - lower + 20 * missed(lower, upper)) / true.std())
    equal = np.quantile(off, within)
    sure = {"coverage": float(within), "interval_score": score(lower, upper),
            "equal_score": score(predicted - equal, predicted + equal)}
    return predicted, seconds, sure


def say(**line):
    print(json.dumps(line), flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("seeds", type=int)
    options.add_argument("--large", type=int, help="seeds of tables of over 2,000 training rows")
    options.add_argument("--small", type=int, help="seeds of tables of fewer than 1,000 training rows")
    options.add_argument("--only", default="")
    others = options.add_mutually_exclusive_group()
    others.add_argument("--alone", action="store_true", help="nearlin without the others")
    others.add_argument("--beside", nargs="+", choices=[name for name, _ in entries(False, 0)], help="which others")
    options.add_argument("--rows", type=int, help="training rows, in place of each table's own")
    options = options.parse_args()
    only = options.only.split(",") if options.only else [name for name, _, _ in DATA]
    options.folder.mkdir(parents=True, exist_ok=True)

    import importlib.metadata as metadata

    packages = ["numpy", "scikit-learn", "lightgbm", "torch", "pandas"]
    installed = {}
    for package in packages:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    say(versions={"python": sys.version.split()[0], **installed})
    for name, load, part in DATA:
        if name not in only:
            continue
        part = options.rows or part
        table, target, classify = load()
        train, test = split(table, target, classify, part, 0)
        outputs = table[target].nunique() if classify else 1
        say(table=name, task="classification" if classify else "regression", train_rows=len(train),
            test_rows=len(test), columns=table.shape[1] - 1, outputs=outputs)
        seeds = options.seeds
        if len(train) > LARGE:
            seeds = options.large or seeds
        elif len(train) < SMALL:
            seeds = options.small or seeds
        for seed in range(seeds):
            train, test = split(table, target, classify, part, seed)
            true = test[target].to_numpy()
            predicted, seconds, sure = nearlin(options.program, options.folder, train, test, target, classify, seed)
            say(data=name, seed=seed, entry="nearlin", error=error(predicted, true, classify), seconds=seconds, **sure)
            if options.alone:
                continue
            x, z = numbers(train, test, target)
            y = train[target].to_numpy()
            for entry, fit in entries(classify, seed):
                if options.beside and entry not in options.beside:
                    continue
                # A decomposition of more takes longer than anything else here.
                if entry == LIMIT and len(train) > LARGE:
                    continue
                begin = time.perf_counter()
                predicted = fit(x, y)(z)
                seconds = time.perf_counter() - begin
                say(data=name, seed=seed, entry=entry, error=error(predicted, true, classify), seconds=seconds)


if __name__ == "__main__":
    main()
