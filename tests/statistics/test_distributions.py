import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics

from vlmcog.statistics import distributions
from vlmcog.statistics.intervals import bootstrap


@hypothesis.given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_kl_and_rmse_agree_with_scipy_and_scikit_learn(seed, options):
    rng = np.random.default_rng(seed)
    human, model = rng.dirichlet(np.ones(options), size=(2, 12))
    assert distributions.kl_divergence(human, model) == pytest.approx(
        special.rel_entr(human, model).sum(-1).mean(), abs=1e-4
    )
    theirs = metrics.root_mean_squared_error(human.ravel(), model.ravel())
    assert distributions.root_mean_square_error(human, model) == pytest.approx(theirs)
    assert distributions.kl_divergence(human, human) == pytest.approx(0, abs=1e-4)


def test_an_option_without_probability_is_far_but_not_infinitely():
    human, model = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])
    assert 5 < distributions.kl_divergence(human, model) < 10


def test_the_bias_is_what_a_perfect_model_shows():
    rng = np.random.default_rng(0)
    model = rng.dirichlet(np.full(3, 5.0), size=4000)
    human = np.stack([rng.multinomial(40, p) for p in model]) / 40
    assert distributions.kl_divergence(human, model) == pytest.approx(
        distributions.kl_bias(model, np.full(4000, 40.0)), rel=0.1
    )


def test_the_human_distribution_counts_who_answered():
    shares = distributions.human_distribution(np.array([[0, 2, np.nan], [1, 2, np.nan], [1, np.nan, np.nan]]), 3)
    np.testing.assert_allclose(shares, [[1 / 3, 2 / 3, 0], [0, 0, 1], [np.nan] * 3])


def test_intervals_come_from_the_item_bootstrap():
    rng = np.random.default_rng(0)
    human, model = rng.dirichlet(np.ones(2), size=(2, 200))
    values = special.rel_entr(human, model).sum(-1)
    ours = bootstrap(distributions.kl_divergence, human, model)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", rng=0)
    np.testing.assert_allclose(
        (ours.low, ours.high), (theirs.confidence_interval.low, theirs.confidence_interval.high), atol=0.05
    )
