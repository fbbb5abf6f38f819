import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import special

from vlmcog.statistics import mixed
from vlmcog.statistics.cells import add_up

SHORT = {"samples": 200, "warm_up": 200, "longer": 1}
"""Of four chains: enough to compare, too few to be called converged."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def long(human, model):
    person, item = np.indices(human.shape)
    return pd.DataFrame(
        {"person": person.ravel(), "item": item.ravel(), "human": human.ravel(), "model": np.ravel(model)}
    )


@pytest.fixture(scope="module")
def ratings():
    """Ratings by 12 people, and by a model to which people's relation differs from person to person."""
    rng = np.random.default_rng(0)
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


@pytest.mark.slow
def test_crossed_ratings_are_fitted_as_by_statsmodels():
    rng = np.random.default_rng(2)
    model = rng.normal(50, 20, size=15)
    own = rng.normal(size=(12, 1)) * 15 + rng.normal(0.6, 0.3, size=(12, 1)) * model
    human = own + rng.normal(0, 10, size=15) + rng.normal(0, 8, size=(12, 15))
    fit = mixed.crossed(human, model, family="gaussian", **SHORT)
    rows = long(human, np.tile(model, (12, 1))).assign(everything=1)
    for column in ("human", "model"):
        rows[column] = (rows[column] - rows[column].mean()) / rows[column].std()
    effects = {"person": "0 + C(person)", "slope": "0 + C(person):model", "item": "0 + C(item)"}
    theirs = smf.mixedlm("human ~ model", rows, groups="everything", vc_formula=effects).fit()
    assert fit.slope == pytest.approx(theirs.params["model"], abs=0.2 * theirs.bse["model"])
    width = fit.slope_interval.high - fit.slope_interval.low
    assert width == pytest.approx(2 * 1.96 * theirs.bse["model"], rel=0.3)  # t(3) priors and 12 people widen it


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


@pytest.mark.parametrize("turned", [False, True])
def test_separated_answers_have_no_fit_and_say_why(rng, turned):
    """A model that answers as everyone does, or the opposite, has no finite slope, and a flat prior sets it no end."""
    model = rng.integers(2, size=12).astype(float)
    human = np.tile(1 - model if turned else model, (6, 1))
    for fit in (
        mixed.signed_root_r2(human, model, family="logistic"),
        mixed.signed_root_r2(human, 9 * model, family="binomial", trials=9),
        mixed.crossed(human, model, family="logistic"),
    ):
        assert math.isnan(fit.value)
        assert math.isnan(fit.slope)
        assert (fit.undefined, fit.failed) == (mixed.SEPARATED, "")
        assert fit.n == 72


def test_one_answer_that_overlaps_ends_the_separation():
    cells = add_up(np.zeros(4, int), np.zeros(4, int), np.array([0.0, 0, 1, 1]), np.array([0.0, 0, 1, 1]))
    assert mixed._separated(cells, 1)
    cells = add_up(np.zeros(5, int), np.zeros(5, int), np.array([0.0, 0, 1, 1, 1]), np.array([0.0, 0, 1, 1, 0]))
    assert not mixed._separated(cells, 1)


def test_ratings_without_residuals_have_no_fit_and_say_why(rng):
    model = rng.normal(size=8)
    human = 50 + 20 * rng.normal(size=(5, 1)) + model * rng.normal(size=(5, 1))
    for fit in (mixed.signed_root_r2(human, model, family="gaussian"), mixed.crossed(human, model, family="gaussian")):
        assert math.isnan(fit.value)
        assert (fit.undefined, fit.failed) == (mixed.ON_LINES, "")


def test_added_up_rows_have_the_likelihood_and_the_r2_of_the_rows(rng):
    """A cell's counts and sums say all that its rows do."""
    x, y = rng.integers(2, size=(2, 300)).astype(float)
    person = rng.integers(7, size=300)
    cells = add_up(person, np.zeros(300, int), x, y)
    assert len(cells.n) == 14
    own = rng.normal(size=(2, 25, 2, 7))
    eta = (own[:, :, 0, person] + own[:, :, 1, person] * x).reshape(50, 300)
    fitted = special.expit(eta)
    expected = fitted.var(-1) / (fitted.var(-1) + (y - fitted).var(-1))
    np.testing.assert_allclose(mixed.bayesian_r2(cells, {"own": own}, family="logistic"), expected)
    expected = eta.var(-1) / (eta.var(-1) + (y - eta).var(-1))
    np.testing.assert_allclose(mixed.bayesian_r2(cells, {"own": own}, family="gaussian"), expected)
    of_cells = (own[:, :, 0, cells.person] + own[:, :, 1, cells.person] * cells.x).reshape(50, 14)
    by_cells = (cells.y * of_cells - cells.n * np.logaddexp(0, of_cells)).sum(-1)
    np.testing.assert_allclose(by_cells, (y * eta - np.logaddexp(0, eta)).sum(-1))


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


@pytest.mark.slow
def test_what_does_not_converge_is_drawn_again_for_longer(ratings):
    few = mixed.signed_root_r2(*ratings, family="gaussian", samples=50, warm_up=100, longer=1)
    assert few.failed.startswith(("too few effective draws", "did not converge"))
    again = mixed.signed_root_r2(*ratings, family="gaussian", samples=50, warm_up=100, longer=30)
    assert again.failed == ""
    assert again.ess_bulk > few.ess_bulk
