"""Correct digits of NIST's Wampler2 by LAPACK's Householder QR (dgels), and of the exact solution for its responses as floats."""

from fractions import Fraction
from math import log10

import numpy as np
from scipy.linalg import lapack

CERTIFIED = [Fraction(1, 10**j) for j in range(6)]


def digits(x):
    """Of the worst coefficient."""
    return min(-log10(abs(Fraction(v) - c) / c) for v, c in zip(x, CERTIFIED) if Fraction(v) != c)


def exact(matrix, right):
    """The normal equations by elimination in rational numbers."""
    rows = [[Fraction(v) for v in row] for row in matrix]
    right = [Fraction(v) for v in right]
    size = len(rows[0])
    system = [
        [sum(r[p] * r[q] for r in rows) for q in range(size)]
        + [sum(r[p] * v for r, v in zip(rows, right))]
        for p in range(size)
    ]
    for k in range(size):
        for r in range(size):
            if r != k:
                factor = system[r][k] / system[k][k]
                system[r] = [u - factor * v for u, v in zip(system[r], system[k])]
    return [system[k][size] / system[k][k] for k in range(size)]


points = [float(i) for i in range(21)]
powers = np.vander(points, 6, increasing=True)
responses = [float(sum(c * Fraction(x) ** j for j, c in enumerate(CERTIFIED))) for x in points]
solution = lapack.dgels(np.asfortranarray(powers), np.array(responses))[1][:6]
print(f"dgels {digits(map(float, solution)):.1f} digits")
print(f"the exact solution {digits(exact(powers.tolist(), responses)):.1f} digits")
