"""Do the mixed models' 95 % intervals hold the truth in 200 simulated studies?

The studies are fitted side by side, by the sampler that fits one. Monte Carlo error of a share of 200 is 1.5 %, so that
a level of 95 % shows as 92-98 %. R2's truth here is that of the very answers under the true effects, and its interval
is a little narrow (of yes and no, 91.5 % held it): one more reason to test slopes and only report R2.
"""

import dataclasses

import jax
import numpy as np
import pytest
from scipy import special

from vlmcog.statistics import mixed, mixed_sampler
from vlmcog.statistics.cells import add_up

pytestmark = pytest.mark.slow
STUDIES, AT_A_TIME = 200, 50
PEOPLE, ITEMS = 14, 20
SAMPLES, WARM_UP = 250, 250
SLOPE = 0.8


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """A predictor, an outcome and the outcome's true expectation, each people x items."""

    x: np.ndarray
    y: np.ndarray
    fitted: np.ndarray


def effects(rng):
    """Each person's intercept and slope."""
    return rng.multivariate_normal([-0.2, SLOPE], [[0.4, 0.1], [0.1, 0.15]], size=PEOPLE).T[..., None]


def yes_or_no(rng):
    intercept, slope = effects(rng)
    x = (rng.random((PEOPLE, ITEMS)) < 0.5).astype(float)
    x[:, 0], x[:, 1] = 0, 1  # each person gives both answers, so that all studies have one shape
    fitted = special.expit(intercept + slope * x)
    return Study(x, (rng.random(x.shape) < fitted).astype(float), fitted)


def ratings(rng):
    intercept, slope = effects(rng)
    x = rng.normal(size=(PEOPLE, ITEMS))
    fitted = intercept + slope * x
    return Study(x, fitted + rng.normal(size=x.shape), fitted)


def one_model(rng):
    """People's answers, by a model's one answer to each item and by what else the items have."""
    intercept, slope = effects(rng)
    x = np.broadcast_to(rng.normal(size=ITEMS), (PEOPLE, ITEMS))
    fitted = special.expit(intercept + slope * x + 0.7 * rng.normal(size=ITEMS))
    return Study(x, (rng.random(x.shape) < fitted).astype(float), fitted)


def cells_of(study, *, by_item):
    person, item = (index.ravel() for index in np.indices(study.x.shape))
    return add_up(person, item if by_item else np.zeros_like(item), study.x.ravel(), study.y.ravel())


def posteriors(cells, design):
    """The draws of each study, its studies on the first axis."""
    sampler = jax.jit(jax.vmap(mixed_sampler.sampler(design, SAMPLES, WARM_UP)))
    keys = jax.random.split(jax.random.key(0), len(cells))
    for start in range(0, len(cells), AT_A_TIME):
        part = [mixed_sampler.arrays_of(one, design) for one in cells[start : start + AT_A_TIME]]
        stacked = {name: np.stack([arrays[name] for arrays in part]) for name in part[0]}
        with mixed_sampler.loose_types():
            draws, _ = sampler(keys[start : start + AT_A_TIME], stacked)
        for k in range(len(part)):
            yield {name: np.asarray(values[k]) for name, values in draws.items()}


def r2(study):
    return study.fitted.var() / (study.fitted.var() + (study.y - study.fitted).var())


@pytest.mark.parametrize(
    ("simulate", "family", "by_item"),
    [(yes_or_no, "logistic", False), (ratings, "gaussian", False), (one_model, "logistic", True)],
    ids=["logistic", "gaussian", "crossed"],
)
def test_intervals_of_slope_and_r2(simulate, family, by_item):
    rng = np.random.default_rng(0)
    studies = [simulate(rng) for _ in range(STUDIES)]
    cells = [cells_of(study, by_item=by_item) for study in studies]
    design = mixed_sampler.design_of(cells[0], family, by_item=by_item)
    slopes, explained = [], []
    for study, own, draws in zip(studies, cells, posteriors(cells, design), strict=True):
        slopes.append(SLOPE in mixed.central(draws["slope"]))
        if not by_item:
            explained.append(r2(study) in mixed.central(mixed.bayesian_r2(own, draws, family=family)))
    print(f"{simulate.__name__}: slope {np.mean(slopes):.1%}, R2 {np.mean(explained or np.nan):.1%}")
    assert 0.92 <= np.mean(slopes) <= 0.98
    if explained:
        assert 0.88 <= np.mean(explained) <= 0.98
