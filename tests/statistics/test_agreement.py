import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn import metrics

from vlmcog.statistics import agreement

SIZES = st.integers(3, 40)
# Ratings from 0 to 100: ties and constants are frequent.
pairs = SIZES.flatmap(lambda n: st.tuples(*[hnp.arrays(float, n, elements=st.integers(0, 5).map(float))] * 2))


@hypothesis.given(pairs)
@pytest.mark.parametrize(
    ("ours", "theirs"), [(agreement.pearson, stats.pearsonr), (agreement.spearman, stats.spearmanr)]
)
def test_correlations_agree_with_scipy(ours, theirs, pair):
    x, y = pair
    hypothesis.assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    assert ours(x, y) == pytest.approx(theirs(x, y).statistic, abs=1e-12)


@hypothesis.given(pairs)
def test_correlations_ignore_scale_and_broadcast(pair):
    x, y = pair
    for correlation in (agreement.pearson, agreement.spearman):
        one = correlation(x, y)
        np.testing.assert_allclose(correlation(3 * x + 7, y), one, atol=1e-9)
        np.testing.assert_allclose(correlation(np.stack([x, -x]), np.stack([y, y])), [one, -one], atol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e9])
@pytest.mark.parametrize("n", [2, 7, 40])
def test_a_constant_has_no_correlation_and_no_kappa(value, n):
    """Not 0, and not the correlation of rounding errors."""
    constant, varied = np.full(n, value), np.arange(n)
    for statistic in (agreement.pearson, agreement.spearman, agreement.cohen_kappa):
        assert np.isnan(statistic(constant, varied))
        assert np.isnan(statistic(varied, constant))
        assert np.isnan(statistic(constant, constant))


@hypothesis.given(SIZES, st.integers(0, 2**32 - 1))
def test_masked_correlation_is_that_of_the_items_kept(n, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n))
    where = rng.random(n) < 0.7
    hypothesis.assume(where.sum() >= 2)
    assert agreement.pearson(x, y, where=where) == pytest.approx(agreement.pearson(x[where], y[where]), abs=1e-12)


@hypothesis.given(SIZES.flatmap(lambda n: st.tuples(*[hnp.arrays(int, n, elements=st.integers(0, 3))] * 2)))
def test_kappa_agrees_with_scikit_learn(pair):
    x, y = pair
    hypothesis.assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    assert agreement.cohen_kappa(x, y) == pytest.approx(metrics.cohen_kappa_score(x, y), abs=1e-12)
    assert agreement.cohen_kappa(x, x) == pytest.approx(1.0)


def test_kappa_is_nothing_at_independence_and_negative_below_it():
    x, y = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert agreement.cohen_kappa(x, y) == 0
    assert agreement.cohen_kappa(x, 1 - x) == -1


@hypothesis.given(SIZES, st.integers(0, 2**32 - 1))
def test_brier_of_two_options_agrees_with_scikit_learn(n, seed):
    rng = np.random.default_rng(seed)
    yes, truth = rng.random(n), rng.integers(2, size=n)
    theirs = metrics.brier_score_loss(truth, yes, labels=[0, 1])
    assert agreement.brier(np.stack([1 - yes, yes], -1), truth) == pytest.approx(theirs)


def test_brier_is_0_when_sure_and_right_1_when_sure_and_wrong():
    sure = np.eye(3)
    assert agreement.brier(sure, np.array([0, 1, 2])) == 0
    assert agreement.brier(sure, np.array([1, 2, 0])) == 1


def test_brier_rewards_the_true_probability():
    """A proper score: on average, nothing beats saying what one believes."""
    rng = np.random.default_rng(0)
    belief = np.array([0.6, 0.3, 0.1])
    truth = rng.choice(3, p=belief, size=20_000)
    honest = agreement.brier(np.broadcast_to(belief, (len(truth), 3)), truth)
    for other in ([0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]):
        assert honest < agreement.brier(np.broadcast_to(other, (len(truth), 3)), truth)


def test_expected_value_and_absolute_error():
    probabilities = np.array([[0.25, 0.75, 0.0], [0.0, 0.5, 0.5]])
    np.testing.assert_allclose(agreement.expected_value(probabilities, np.array([0, 1, 2])), [0.75, 1.5])
    assert agreement.mean_absolute_error(np.array([0, 3]), np.array([1, 1])) == 1.5
