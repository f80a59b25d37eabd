"""Linear models by scikit-learn, for comparison: one line of JSON for each problem.

Inputs are standardised, with a column of ones that is penalised like the others, so that the penalty is the
same for everybody.
"""

import importlib.metadata
import json

import numpy as np
from sklearn import datasets
from sklearn.linear_model import HuberRegressor, LogisticRegression, QuantileRegressor


def inputs(x):
    return np.hstack([(x - x.mean(0)) / x.std(0), np.ones((len(x), 1))])


def say(loss, data, x, y, **rest):
    print(json.dumps(dict(loss=loss, data=data, rows=len(x), inputs=x.shape[1], x=x.ravel().tolist(),
                          y=np.asarray(y, float).ravel().tolist(), **rest)))


def main():
    print(json.dumps({"scikit_learn": importlib.metadata.version("scikit-learn")}))
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = inputs(x)
    model = LogisticRegression(C=1.0, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    say("logistic", "breast cancer", x, y, coefficients=model.fit(x, y).coef_.ravel().tolist())

    x, y = datasets.load_wine(return_X_y=True)
    x = inputs(x)
    model = LogisticRegression(C=1.0, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    coefficients = model.fit(x, y).coef_.T.ravel().tolist()
    say("softmax", "wine", x, np.eye(3)[y], coefficients=coefficients)

    x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    x = inputs(x)
    model = HuberRegressor(epsilon=1.35, alpha=1e-2, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y)
    say("huber", "diabetes", x, y, coefficients=model.coef_.tolist(), scale=float(model.scale_))

    model = QuantileRegressor(quantile=0.8, alpha=0.0, fit_intercept=False, solver="highs").fit(x, y)
    say("pinball", "diabetes", x, y, coefficients=model.coef_.tolist())


if __name__ == "__main__":
    main()
