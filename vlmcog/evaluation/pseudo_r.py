"""The signed root of Bayesian R2 between a model's answers and single people's: the published tables' "pseudo r"."""

import math

import pandas as pd

from vlmcog.evaluation.metrics import Metric
from vlmcog.evaluation.people import People
from vlmcog.statistics import mixed
from vlmcog.tasks.registry import get_task

NAME = "signed_root_r2"
_FAMILIES: dict[str, mixed.Family] = {"binary": "logistic", "count": "gaussian", "rating": "gaussian"}


def signed_root_r2(answers: pd.DataFrame, people: People) -> list[Metric]:
    """Fits the mixed model of `statistics.mixed`; it takes some seconds.

    For comparison with published tables: the value can't be 0, so its interval says nothing of chance. A fit that did
    not converge has no value but a reason. Empty where there are no single answers, or no such model for their kind.
    """
    family = _FAMILIES.get(get_task(answers.task.iloc[0]).answers.kind)
    if people.responses is None or family is None:
        return []
    fit = mixed.signed_root_r2(people.responses, answers.response.to_numpy(float), family=family)
    value = math.nan if fit.failed else fit.value
    return [Metric(answers.model.iloc[0], NAME, value, len(answers), fit.interval, fit.failed or fit.undefined)]
