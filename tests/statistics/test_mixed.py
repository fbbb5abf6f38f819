import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import special

from vlmcog.statistics import mixed

SHORT = {"samples": 200, "warm_up": 200}
"""Of four chains: enough to compare, too few to be called converged."""


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


def long(human, model):
    person, item = np.indices(human.shape)
    return pd.DataFrame(
        {"person": person.ravel(), "item": item.ravel(), "human": human.ravel(), "model": np.ravel(model)}
    )


@pytest.fixture(scope="module")
def ratings(rng):
    """Ratings by 12 people, and by a model to which people's relation differs from person to person."""
    human = rng.normal(50, 20, size=(12, 40))
    slopes = rng.normal(0.6, 0.2, size=(12, 1))
    return human, 10 + slopes * human + rng.normal(0, 12, size=human.shape)


@pytest.fixture(scope="module")
def rated(ratings):
    return mixed.signed_root_r2(*ratings, family="gaussian", **SHORT)


def test_ratings_are_fitted_as_by_statsmodels(ratings, rated):
    rows = long(*ratings)
    for column in ("human", "model"):
        rows[column] = (rows[column] - rows[column].mean()) / rows[column].std()
    theirs = smf.mixedlm("model ~ human", rows, groups="person", re_formula="~human").fit(method="powell")
    assert rated.slope == pytest.approx(theirs.params["human"], abs=0.5 * theirs.bse["human"])
    low, high = theirs.conf_int().loc["human"]
    assert rated.slope_interval.low == pytest.approx(low, abs=0.06)
    assert rated.slope_interval.high == pytest.approx(high, abs=0.06)
    explained, residual = theirs.fittedvalues.var(), theirs.resid.var()
    assert rated.value == pytest.approx(math.sqrt(explained / (explained + residual)), abs=0.02)
    assert rated.value in rated.interval
    assert rated.n == 480


def test_the_sign_is_that_of_the_slope(ratings, rated):
    human, model = ratings
    turned = mixed.signed_root_r2(human, -model, family="gaussian", **SHORT)
    assert turned.value == pytest.approx(-rated.value, abs=0.01)
    assert turned.interval.low < turned.value < turned.interval.high < 0


def test_the_scale_of_ratings_does_not_matter(ratings, rated):
    human, model = ratings
    scaled = mixed.signed_root_r2(human / 100, 7 + 3 * model, family="gaussian", **SHORT)
    assert scaled.value == pytest.approx(rated.value, abs=1e-3)


def test_missing_answers_are_left_out(rng):
    human = np.array([[1, 0, np.nan], [np.nan, 1, 0]])
    rows = mixed._rows(human, np.array([1.0, np.nan, 0.0]))
    assert [rows[name].tolist() for name in ("person", "item", "human", "model")] == [[0, 1], [0, 2], [1, 0], [1, 0]]


@pytest.mark.parametrize("constant", ["human", "model"])
def test_constant_answers_have_no_fit_and_say_why(rng, constant):
    human, model = rng.integers(2, size=(5, 8)).astype(float), rng.integers(2, size=8).astype(float)
    human, model = (human * 0 + 1, model) if constant == "human" else (human, model * 0)
    for fit in (
        mixed.signed_root_r2(human, model, family="logistic"),
        mixed.crossed(human, model, family="logistic"),
    ):
        assert math.isnan(fit.value)
        assert math.isnan(fit.interval.low)
        assert (fit.undefined, fit.failed) == ("no variance", "")


def test_added_up_rows_have_the_likelihood_and_the_r2_of_the_rows(rng):
    """A cell's counts and sums say all that its rows do."""
    x, y = rng.integers(2, size=(2, 300)).astype(float)
    person = rng.integers(7, size=300)
    cells = mixed._cells(person, np.zeros(300, int), x, y, 1)
    assert len(cells.n) == 14
    draws = rng.normal(size=(50, 14))
    rows_of = {(p, value): k for k, (p, value) in enumerate(zip(cells.person, cells.x, strict=True))}
    index = [rows_of[p, value] for p, value in zip(person, x, strict=True)]
    fitted = special.expit(draws)[:, index]
    expected = fitted.var(-1) / (fitted.var(-1) + (y - fitted).var(-1))
    r2 = mixed._bayesian_r2(cells, "logistic", {"eta": draws.reshape(2, 25, 14)})
    np.testing.assert_allclose(r2, expected)
    by_cells = (cells.y * draws - cells.n * np.logaddexp(0, draws)).sum(-1)
    by_rows = (y * draws[:, index] - np.logaddexp(0, draws[:, index])).sum(-1)
    np.testing.assert_allclose(by_cells, by_rows)


def test_diagnostics_of_draws_that_are_known():
    rng = np.random.default_rng(0)
    independent = rng.normal(size=(4, 1000))
    assert mixed._r_hat(independent) < 1.01
    assert mixed._ess_bulk(independent) == pytest.approx(4000, rel=0.15)
    assert mixed._ess_tail(independent) == pytest.approx(4000, rel=0.25)
    assert mixed._r_hat(independent + np.array([[0], [0], [0], [0.5]])) > 1.01
    assert mixed._r_hat(independent * np.array([[1], [1], [1], [3]])) > 1.01  # equal means, unequal spreads
    walk = np.empty((4, 1000))  # autocorrelation 0.9: a (1 + 0.9) / (1 - 0.9)-th of the draws
    walk[:, 0] = independent[:, 0]
    for k in range(1, 1000):
        walk[:, k] = 0.9 * walk[:, k - 1] + math.sqrt(1 - 0.9**2) * independent[:, k]
    assert mixed._ess_bulk(walk) == pytest.approx(4000 / 19, rel=0.3)


def test_a_fit_that_did_not_converge_says_so(ratings):
    fit = mixed.Fit(r_hat=1.02, ess_bulk=1e3, ess_tail=1e3)
    assert mixed._failure(fit, 4000) == "did not converge: R-hat 1.020 is over 1.01"
    fit = mixed.Fit(r_hat=1.0, ess_bulk=1e3, ess_tail=99)
    assert mixed._failure(fit, 4000) == "too few effective draws: 99 of at least 400"
    fit = mixed.Fit(r_hat=1.0, ess_bulk=1e3, ess_tail=1e3, divergences=41)
    assert mixed._failure(fit, 4000) == "41 of 4000 draws diverged"
    assert mixed._failure(mixed.Fit(r_hat=math.nan, ess_bulk=1e3, ess_tail=1e3), 4000).startswith("did not converge")
    assert mixed._failure(mixed.Fit(r_hat=1.0, ess_bulk=1e3, ess_tail=1e3, divergences=40), 4000) == ""


def test_yes_and_no_recover_a_known_effect(rng):
    human = rng.integers(2, size=(30, 60)).astype(float)
    own = rng.multivariate_normal([-0.5, 1.5], [[0.3, 0.1], [0.1, 0.2]], size=30)
    p_yes = special.expit(own[:, :1] + own[:, 1:] * human)
    fit = mixed.signed_root_r2(human, (rng.random((30, 60)) < p_yes).astype(float), family="logistic", **SHORT)
    assert 1.5 in fit.slope_interval
    fitted = p_yes.ravel()
    assert math.sqrt(fitted.var() / (fitted.var() + (fitted * (1 - fitted)).mean())) in fit.interval
    assert fit.r_hat < 1.05
    assert fit.divergences < 20
