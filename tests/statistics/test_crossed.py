"""Means over seeds and items: against scipy and statsmodels, and in simulations with known truth."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.weightstats import ttost_paired

from vlmcog.statistics.agreement import pearson
from vlmcog.statistics.crossed import NOTHING, crossed_mean, pearson_values
from vlmcog.statistics.intervals import wilson


def _table(rng, n_seeds, n_items, *, seeds=0.0, items=0.0, noise=1.0, mean=0.0):
    return (
        mean
        + seeds * rng.standard_normal((n_seeds, 1))
        + items * rng.standard_normal((1, n_items))
        + noise * rng.standard_normal((n_seeds, n_items))
    )


def test_one_seed_is_a_t_test_of_items():
    values = _table(np.random.default_rng(0), 1, 30, mean=0.3)
    estimate, theirs = crossed_mean(values), stats.ttest_1samp(values[0], 0.0, alternative="greater")
    assert estimate.p_not_above(0.0) == pytest.approx(theirs.pvalue)
    interval = stats.ttest_1samp(values[0], 0.0).confidence_interval()
    assert [estimate.interval().low, estimate.interval().high] == pytest.approx([interval.low, interval.high])


def test_equivalence_is_that_of_statsmodels():
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 50)) / 10
    theirs = ttost_paired(first, second, -0.05, 0.05)[0]
    assert crossed_mean((first - second)[None]).p_not_equivalent(0.05) == pytest.approx(theirs)


def test_mean_squares_are_those_of_an_analysis_of_variance():
    values = _table(np.random.default_rng(2), 4, 25, seeds=0.5, items=0.7)
    seed, item = (index.ravel() for index in np.indices(values.shape))
    data = pd.DataFrame({"y": values.ravel(), "seed": seed, "item": item})
    fitted = ols("y ~ C(seed) + C(item)", data).fit()
    squares = sm.stats.anova_lm(fitted)
    rows, columns, left = squares.mean_sq
    assert crossed_mean(values).standard_error == pytest.approx(math.sqrt((rows + columns - left) / values.size))


@pytest.mark.parametrize("values", [np.full((3, 4), np.nan), np.zeros((2, 1)), np.zeros((0, 5))])
def test_what_has_no_mean_or_spread_is_undefined(values):
    estimate = crossed_mean(values)
    np.testing.assert_equal([estimate.value, estimate.standard_error], [NOTHING.value, NOTHING.standard_error])
    assert math.isnan(estimate.p_not_above(0.0))
    assert math.isnan(estimate.p_not_equivalent(0.1))
    assert math.isnan(estimate.interval().low)


def test_without_any_spread_few_items_tell_little():
    few, many = (crossed_mean(np.ones((3, n))).interval() for n in (8, 800))
    one, other = (crossed_mean(np.zeros((3, n))) for n in (8, 400))
    assert few.low < 0.5
    assert many.low == pytest.approx(wilson(800, 800).low, abs=1e-3)
    assert one.p_not_equivalent(0.05) > 0.05 > other.p_not_equivalent(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [{"seeds": 0.5}, {"items": 0.5}, {"seeds": 0.5, "items": 0.5}], ids=str)
@pytest.mark.parametrize("n_seeds", [3, 10])
def test_intervals_cover(spread, n_seeds):
    rng = np.random.default_rng(3)
    held = [0.2 in crossed_mean(_table(rng, n_seeds, 40, mean=0.2, **spread)).interval() for _ in range(3000)]
    assert 0.93 <= np.mean(held) <= 0.985


def test_values_of_pearson_have_its_mean_and_its_spread():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((400, 150))
    y = 0.6 * x + 0.8 * rng.standard_normal(x.shape)
    r = pearson(x, y)
    values = np.stack([pearson_values(one, other) for one, other in zip(x, y, strict=True)])
    np.testing.assert_allclose(values.mean(-1), r, atol=1e-12)
    assert np.mean(values.std(-1) / math.sqrt(150)) == pytest.approx(r.std(), rel=0.1)
    assert np.isnan(pearson_values(np.ones(5), np.arange(5.0))).all()
