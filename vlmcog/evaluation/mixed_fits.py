"""Mixed models of a model's answers and single people's: the published tables' "pseudo r", and the slope to test."""

import math
from collections.abc import Callable

import pandas as pd

from vlmcog.evaluation.metrics import Metric
from vlmcog.evaluation.people import People
from vlmcog.statistics import mixed
from vlmcog.statistics.intervals import UNDEFINED
from vlmcog.tasks.registry import get_task

SIGNED_ROOT_R2, SLOPE = "signed_root_r2", "mixed_slope"
_FAMILIES = {"binary": "logistic", "count": "gaussian", "rating": "gaussian"}


def signed_root_r2(answers: pd.DataFrame, people: People) -> list[Metric]:
    """Fits Model ~ 1 + Human + (1 + Human | person); it takes some seconds.

    For comparison with published tables: the value can't be 0, so its interval says nothing of chance. A fit that did
    not converge has no value but a reason. Empty where there are no single answers, or no such model for their kind.
    """
    return _metrics(SIGNED_ROOT_R2, mixed.signed_root_r2, answers, people)


def slope(answers: pd.DataFrame, people: People) -> list[Metric]:
    """Fits Human ~ 1 + Model + (1 + Model | person) + (1 | item): do the model's answers tell people's apart?

    The slope is in log-odds from the model's no to its yes, of counts and ratings in standard deviations of people's
    for one of the model's. Its interval allows for items, and may hold 0. With 107 people and 100 items the fit takes
    most of a minute: it is for the model that is evaluated, not for every observer.
    """
    return _metrics(SLOPE, mixed.crossed, answers, people)


def _metrics(name: str, fit: Callable[..., mixed.Fit], answers: pd.DataFrame, people: People) -> list[Metric]:
    family = _FAMILIES.get(get_task(answers.task.iloc[0]).answers.kind)
    if people.responses is None or family is None:
        return []
    found, model = fit(people.responses, answers.response.to_numpy(float), family=family), answers.model.iloc[0]
    if reason := found.failed or found.undefined:
        return [Metric(model, name, math.nan, len(answers), UNDEFINED, reason)]
    return [Metric(model, name, found.value, len(answers), found.interval)]
