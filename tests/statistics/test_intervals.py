import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from vlmcog.statistics import agreement
from vlmcog.statistics.intervals import (
    Interval,
    bootstrap,
    bootstrap_people_and_items,
    percentiles,
    two_way_bootstrap,
    weighted_bootstrap,
    wilson,
)

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@hypothesis.given(counts, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(successes_of_n, level):
    successes, n = successes_of_n
    theirs = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    ours = wilson(successes, n, level=level)
    np.testing.assert_allclose((ours.low, ours.high), (theirs.low, theirs.high), atol=1e-12)


@hypothesis.given(counts)
def test_wilson_solves_the_score_equation(successes_of_n):
    """The ends are the proportions that a z-test at that level just does not reject."""
    successes, n = successes_of_n
    for end in ends(wilson(successes, n)):
        if 0 < end < 1:
            assert abs(successes / n - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / n), abs=1e-6)


@hypothesis.given(counts)
def test_wilson_holds_the_proportion_and_mirrors(successes_of_n):
    successes, n = successes_of_n
    ours, mirrored = wilson(successes, n), wilson(n - successes, n)
    assert 0 <= ours.low <= successes / n <= ours.high <= 1
    assert ours.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_wilson_without_trials_is_undefined():
    assert all(math.isnan(end) for end in ends(wilson(0, 0)))
    with pytest.raises(ValueError, match="5 successes in 4"):
        wilson(5, 4)


def test_wilson_covers_at_its_level():
    successes = np.random.default_rng(0).binomial(40, 0.9, size=2000)
    covered = np.mean([0.9 in wilson(int(k), 40) for k in successes])
    assert 0.93 < covered < 0.98


def test_bootstrap_of_a_mean_agrees_with_the_normal_interval():
    sample = np.random.default_rng(0).normal(size=400)
    ours = bootstrap(lambda x: x.mean(-1), sample)
    half = 1.96 * sample.std() / math.sqrt(len(sample))
    np.testing.assert_allclose((ours.low, ours.high), (sample.mean() - half, sample.mean() + half), atol=0.012)


def test_bootstrap_of_a_correlation_agrees_with_fisher_on_normal_data():
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=(2, 500))
    ours, theirs = bootstrap(agreement.pearson, x, x + noise), stats.pearsonr(x, x + noise).confidence_interval()
    np.testing.assert_allclose((ours.low, ours.high), (theirs.low, theirs.high), atol=0.02)


def test_bca_agrees_with_scipy_but_for_the_wider_tails():
    sample = np.random.default_rng(1).exponential(size=60)
    ours = bootstrap(lambda x: x.mean(-1), sample, resamples=9999)
    level = 2 * stats.norm.cdf(math.sqrt(60 / 59) * stats.t.ppf(0.975, 59)) - 1
    theirs = stats.bootstrap((sample,), np.mean, confidence_level=level, method="BCa", rng=0).confidence_interval
    np.testing.assert_allclose((ours.low, ours.high), (theirs.low, theirs.high), atol=0.02)


def test_weights_and_samples_give_one_interval():
    sample = np.random.default_rng(1).exponential(size=40)
    ours = weighted_bootstrap(lambda w: w @ sample / w.sum(-1), 40, resamples=9999)
    theirs = bootstrap(lambda x: x.mean(-1), sample, resamples=9999)
    np.testing.assert_allclose((ours.low, ours.high), (theirs.low, theirs.high), atol=0.06)


def test_many_items_are_left_out_in_groups():
    sample = np.random.default_rng(1).exponential(size=1037)
    ours = bootstrap(lambda x: x.mean(-1), sample)
    theirs = stats.bootstrap((sample,), np.mean, method="BCa", rng=0).confidence_interval
    np.testing.assert_allclose((ours.low, ours.high), (theirs.low, theirs.high), atol=0.01)


def test_bootstrap_is_deterministic_by_seed():
    sample = np.arange(10.0)
    assert bootstrap(agreement.accuracy, sample, seed=1) == bootstrap(agreement.accuracy, sample, seed=1)
    assert bootstrap(agreement.accuracy, sample, seed=1) != bootstrap(agreement.accuracy, sample, seed=2)


def test_bootstrap_keeps_the_samples_of_an_item_together():
    x = np.random.default_rng(0).normal(size=30)
    assert bootstrap(agreement.pearson, x, 2 * x + 1) == Interval(pytest.approx(1.0), pytest.approx(1.0))


@pytest.mark.parametrize("samples", [(np.zeros(9), np.arange(9)), (np.array([1.0]), np.array([2.0]))])
def test_bootstrap_of_the_undefined_is_undefined(samples):
    assert math.isnan(bootstrap(agreement.pearson, *samples).low)


def test_people_and_items_is_wider_than_pooling():
    """Items differ, people agree: person x item are far from independent."""
    rng = np.random.default_rng(0)
    correct = rng.random((50, 40)) < rng.beta(1, 1, size=40)
    ours = mean_interval(correct.astype(float))
    pooled = wilson(int(correct.sum()), correct.size)
    assert ours.high - ours.low > 3 * (pooled.high - pooled.low)


def test_two_ways_have_the_variance_of_the_analysis_of_variance():
    """A person's, an item's and the noise's variance from the mean squares, which are unbiased."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 1)) + rng.normal(size=40) + 3 * rng.normal(size=(30, 40))
    people, items, noise = mean_squares(x)
    variance = (people + items - noise) / x.size
    ours = mean_interval(x, resamples=9999)
    assert ours.high - ours.low == pytest.approx(2 * stats.t.ppf(0.975, 58) * math.sqrt(variance), rel=0.04)


def test_the_slow_way_agrees_with_the_fast_one():
    x = np.random.default_rng(0).normal(size=(12, 15))
    slow = bootstrap_people_and_items(lambda responses: float(responses.mean()), x, resamples=500)
    assert slow == Interval(*map(pytest.approx, ends(mean_interval(x, resamples=500))))


def test_percentiles_leave_out_the_undefined_unless_most_are():
    replicates = np.array([*np.arange(101.0), math.nan])
    assert percentiles(replicates) == Interval(pytest.approx(2.5), pytest.approx(97.5))
    assert math.isnan(percentiles(np.array([1.0, math.nan])).low)


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def mean_interval(x, **options) -> Interval:
    def mean(people, items):
        return ((people @ x) * items).sum(-1) / (people.sum(-1) * items.sum(-1))

    return two_way_bootstrap(mean, *x.shape, **options)


def mean_squares(x) -> tuple[float, float, float]:
    rows, columns = x.mean(1, keepdims=True), x.mean(0)
    rest = x - rows - columns + x.mean()
    n_rows, n_columns = x.shape
    return (
        n_columns * rows.var(ddof=1),
        n_rows * columns.var(ddof=1),
        np.square(rest).sum() / ((n_rows - 1) * (n_columns - 1)),
    )
