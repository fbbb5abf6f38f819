import math

import numpy as np
import pytest

from vlmcog.evaluation import mixed_fits
from vlmcog.evaluation.people import People
from vlmcog.statistics import ceilings, mixed
from vlmcog.statistics.intervals import Interval

RESPONSES = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0]], float)
CALLS = {"signed_root_r2": mixed_fits.signed_root_r2, "mixed_slope": mixed_fits.slope}


@pytest.fixture
def people():
    return People(ceilings.item_means(RESPONSES), np.full(4, 3), RESPONSES)


@pytest.fixture
def answers(answers_table):
    return answers_table([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], [0, 1, 1, 0])


@pytest.fixture
def fitted(monkeypatch):
    """Puts a result in the place of both fits, which have their own tests, and keeps what they were asked."""

    def give(fit):
        asked = []
        for name in ("signed_root_r2", "crossed"):
            monkeypatch.setattr(mixed, name, lambda *args, **kwargs: asked.append((*args, kwargs)) or fit)
        return asked

    return give


@pytest.mark.parametrize("name", CALLS)
def test_the_models_answers_are_fitted_with_single_people_s(name, answers, people, fitted):
    asked = fitted(mixed.Fit(value=0.4, interval=Interval(0.1, 0.6)))
    (metric,) = CALLS[name](answers, people)
    ((responses, own, settings),) = asked
    np.testing.assert_array_equal(responses, RESPONSES)
    np.testing.assert_array_equal(own, [0, 1, 1, 0])
    assert settings == {"family": "logistic"}
    assert (metric.name, metric.value, metric.interval, metric.n) == (name, 0.4, Interval(0.1, 0.6), 4)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("why", [{"failed": "did not converge"}, {"undefined": mixed.SEPARATED}])
def test_a_fit_without_a_result_says_why(name, why, answers, people, fitted):
    fitted(mixed.Fit(value=0.4, interval=Interval(0.1, 0.6), **why))
    (metric,) = CALLS[name](answers, people)
    assert math.isnan(metric.value)
    assert math.isnan(metric.interval.low)
    assert metric.undefined == next(iter(why.values()))


@pytest.mark.parametrize("name", CALLS)
def test_published_means_alone_have_no_fit(name, answers):
    assert CALLS[name](answers, People(np.full(4, 0.5), np.full(4, 3))) == []
