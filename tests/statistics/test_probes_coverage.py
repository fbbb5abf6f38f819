"""Do a probe's 95 % intervals hold what probes of so many items reach on new items, in 93-97 % of 1,000 studies?

The truth is the mean, over many samples, of the R^2 of probes fitted to the items of all folds but one.
"""

import math

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vlmcog.statistics.probes import FOLDS, PENALTIES, probe

pytestmark = pytest.mark.slow
SIMULATIONS = 1000


def draw(rng, n, d, r_squared):
    """Features whose variance falls off, as states' does, and what they tell of a quantity."""
    spread = np.arange(1, d + 1) ** -0.5
    slopes = np.random.default_rng(7).normal(size=d)
    states = rng.normal(size=(n, d)) * spread
    told = states @ slopes / np.linalg.norm(slopes * spread)
    return states, math.sqrt(r_squared) * told + math.sqrt(1 - r_squared) * rng.normal(size=n)


def reached(n, d, r_squared):
    rng, found = np.random.default_rng(1), []
    for _ in range(200):
        ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(*draw(rng, n - n // FOLDS, d, r_squared))
        states, y = draw(rng, 5000, d, r_squared)
        found.append(1 - np.mean((y - ridge.predict(states)) ** 2) / np.var(y))
    return float(np.mean(found))


def covered(n, d, r_squared):
    rng, truth = np.random.default_rng(n + d), reached(n, d, r_squared)
    found = (probe(*draw(rng, n, d, r_squared), resamples=600).interval for _ in range(SIMULATIONS))
    return float(np.mean([truth in interval for interval in found]))


@pytest.mark.parametrize(("n", "d", "r_squared"), [(100, 8, 0.5), (200, 32, 0.5), (200, 32, 0.9), (200, 128, 0.5)])
def test_intervals_hold_what_probes_reach(n, d, r_squared):
    """Where a probe reads next to nothing it is not so: (200, 32, 0.1), of which it reaches 0.02, has 89 %."""
    assert 0.93 <= covered(n, d, r_squared) <= 0.97
