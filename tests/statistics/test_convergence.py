import math

import numpy as np
import pytest

from vlmcog.statistics import convergence


def test_diagnostics_of_draws_that_are_known():
    rng = np.random.default_rng(0)
    independent = rng.normal(size=(4, 1000))
    assert convergence.r_hat(independent) < 1.01
    assert convergence.ess_bulk(independent) == pytest.approx(4000, rel=0.15)
    assert convergence.ess_tail(independent) == pytest.approx(4000, rel=0.25)
    assert convergence.r_hat(independent + np.array([[0], [0], [0], [0.5]])) > 1.01
    assert convergence.r_hat(independent * np.array([[1], [1], [1], [3]])) > 1.01  # equal means, unequal spreads
    walk = np.empty((4, 1000))  # autocorrelation 0.9: a (1 + 0.9) / (1 - 0.9)-th of the draws
    walk[:, 0] = independent[:, 0]
    for k in range(1, 1000):
        walk[:, k] = 0.9 * walk[:, k - 1] + math.sqrt(1 - 0.9**2) * independent[:, k]
    assert convergence.ess_bulk(walk) == pytest.approx(4000 / 19, rel=0.3)


def test_draws_that_cannot_be_trusted_say_why():
    good = {"r_hat": 1.0, "ess": (1e3, 1e3), "divergences": 40, "draws": 4000}
    assert convergence.failure(**good) == ""
    assert convergence.failure(**good | {"r_hat": 1.02}) == "did not converge: R-hat 1.020 is over 1.01"
    assert convergence.failure(**good | {"r_hat": math.nan}).startswith("did not converge")
    assert convergence.failure(**good | {"ess": (1e3, 99)}) == "too few effective draws: 99 of at least 400"
    assert convergence.failure(**good | {"divergences": 41}) == "41 of 4000 draws diverged"
