import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from vlmcog.statistics import agreement
from vlmcog.statistics.intervals import Interval, bootstrap, bootstrap_people_and_items, percentiles, wilson

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


def test_bootstrap_of_a_correlation_covers_at_the_size_of_the_photo_set():
    """P(yes) that piles up at 0 and 1 against graded item means, 40 items, as on the real photographs."""
    rng = np.random.default_rng(2)
    latent = rng.normal(size=(250, 100_000 // 250))
    truth = _correlation_of(*_p_yes_and_people(rng, rng.normal(size=400_000)))
    covered = [
        truth in bootstrap(agreement.pearson, *_p_yes_and_people(rng, row[:40]), resamples=400) for row in latent
    ]
    assert 0.89 < np.mean(covered) < 0.98


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
    ours = bootstrap_people_and_items(lambda responses: float(responses.mean()), correct, resamples=500)
    pooled = wilson(int(correct.sum()), correct.size)
    assert ours.high - ours.low > 3 * (pooled.high - pooled.low)


def test_percentiles_leave_out_the_undefined_unless_most_are():
    replicates = np.array([*np.arange(101.0), math.nan])
    assert percentiles(replicates) == Interval(pytest.approx(2.5), pytest.approx(97.5))
    assert math.isnan(percentiles(np.array([1.0, math.nan])).low)


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def _p_yes_and_people(rng, latent):
    p_yes = 1 / (1 + np.exp(-6 * (latent + rng.normal(size=len(latent)))))
    return p_yes, rng.binomial(50, 1 / (1 + np.exp(-latent))) / 50


def _correlation_of(x, y):
    return float(np.corrcoef(x, y)[0, 1])
