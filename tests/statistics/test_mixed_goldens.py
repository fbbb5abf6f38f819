"""The mixed models against lme4's, fitted to simulated answers; `scripts/fit_mixed_models.R` makes the goldens.

lme4 maximises the likelihood, so that the posterior's mean and spread are its estimate and standard error but for the
priors, which widen the posterior a little: there are 30 people.
"""

import pathlib

import pandas as pd
import pytest

from vlmcog.statistics import mixed

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens" / "mixed_models"
SHORT = {"samples": 400, "warm_up": 400, "longer": 1}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def answers():
    """Each column of the simulated answers as a matrix of people x items."""
    table = pd.read_csv(GOLDENS / "answers.csv")
    columns = table.columns.drop(["person", "item"])
    return {column: table.pivot(index="person", columns="item", values=column).to_numpy(float) for column in columns}


def theirs(model):
    table = pd.read_csv(GOLDENS / "fits.csv")
    return table[table.fit == model].set_index("quantity").value


def has_the_slope_of(fit, golden):
    assert fit.r_hat < 1.03
    assert fit.slope == pytest.approx(golden.slope, abs=0.35 * golden.standard_error)
    width = fit.slope_interval.high - fit.slope_interval.low
    assert width == pytest.approx(2 * 1.96 * golden.standard_error, rel=0.25)


@pytest.mark.parametrize(
    ("human", "model", "family", "trials"),
    [
        ("human", "model", "logistic", 1),
        ("human", "model_count", "binomial", 10),
        ("human_rating", "model_rating", "gaussian", 1),
    ],
)
def test_signed_root_of_r2(answers, human, model, family, trials):
    fit = mixed.signed_root_r2(answers[human], answers[model], family=family, trials=trials, **SHORT)
    has_the_slope_of(fit, theirs(family))
    assert fit.value == pytest.approx(theirs(family).root_r2, abs=0.02)
    assert theirs(family).root_r2 in fit.interval


def test_slope_of_people_and_items_crossed(answers):
    model = answers["model_of_item"][0]
    fit = mixed.crossed(answers["human_of_item"], model, family="logistic", **SHORT)
    has_the_slope_of(fit, theirs("crossed"))


def test_the_golden_ratings_mix_well(answers):
    """Everyone's effects are pinned down by 40 ratings: sampled, they walked so slowly that R-hat was 1.08."""
    fit = mixed.signed_root_r2(answers["human_rating"], answers["model_rating"], family="gaussian", **SHORT)
    assert fit.failed == ""
