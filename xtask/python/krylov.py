"""Solves generated problems with SciPy's lsqr, lsmr, minres and cg, and prints each with its answer as a line of JSON."""

import json

import numpy as np
import scipy
import scipy.sparse.linalg as sla

TOL = 1e-8


def orthogonal(rng, rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def least_squares(rng):
    for rows, columns in [(60, 40), (40, 60), (50, 50), (120, 30)]:
        for condition in [1e1, 1e2, 1e3]:
            for consistent, damping in [(True, 0.0), (False, 0.0), (False, 0.1)]:
                rank = min(rows, columns)
                values = np.geomspace(1.0, 1.0 / condition, rank)
                a = orthogonal(rng, rows, rank) * values @ orthogonal(rng, columns, rank).T
                b = a @ rng.standard_normal(columns)
                if not consistent:
                    b = b + 0.1 * rng.standard_normal(rows)
                yield a, b, damping, condition


def symmetric(rng, definite):
    for size in [30, 80, 150]:
        for condition in [1e1, 1e2, 1e3, 1e4]:
            values = np.geomspace(1.0, 1.0 / condition, size)
            if not definite:
                values = values * rng.choice([-1.0, 1.0], size)
            q = orthogonal(rng, size, size)
            a = q * values @ q.T
            yield 0.5 * (a + a.T), rng.standard_normal(size), condition


def tell(solver, a, b, x, iterations, condition, damping=0.0):
    print(
        json.dumps(
            {
                "solver": solver,
                "rows": a.shape[0],
                "columns": a.shape[1],
                "a": a.ravel().tolist(),
                "b": b.tolist(),
                "x": x.tolist(),
                "iterations": int(iterations),
                "condition": condition,
                "damping": damping,
            }
        )
    )


def counted(solve):
    steps = []
    x, _ = solve(lambda _: steps.append(1))
    return x, len(steps)


def main():
    rng = np.random.default_rng(0)
    print(json.dumps({"scipy": scipy.__version__, "tolerance": TOL}))
    for a, b, damping, condition in least_squares(rng):
        x, _, iterations = sla.lsqr(a, b, damp=damping, atol=TOL, btol=TOL, conlim=0, iter_lim=20_000)[:3]
        tell("lsqr", a, b, x, iterations, condition, damping)
        x, _, iterations = sla.lsmr(a, b, damp=damping, atol=TOL, btol=TOL, conlim=0, maxiter=20_000)[:3]
        tell("lsmr", a, b, x, iterations, condition, damping)
    for a, b, condition in symmetric(rng, definite=False):
        x, iterations = counted(lambda each: sla.minres(a, b, rtol=TOL, maxiter=20_000, callback=each))
        tell("minres", a, b, x, iterations, condition)
    for a, b, condition in symmetric(rng, definite=True):
        x, iterations = counted(lambda each: sla.cg(a, b, rtol=TOL, atol=0.0, maxiter=20_000, callback=each))
        tell("cg", a, b, x, iterations, condition)


main()
