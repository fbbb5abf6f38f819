"""From answers to metrics: how often right, how well calibrated, how much like people."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.statistics import agreement, ceilings
from vlmcog.statistics.ceilings import Responses
from vlmcog.statistics.intervals import UNDEFINED, Interval, bootstrap, bootstrap_people_and_items, wilson
from vlmcog.tasks.answer_space import AnswerSpace
from vlmcog.tasks.registry import get_task

COLUMNS = ("run", "model", "tuned_on", "evaluated_on", "metric", "value", "ci_low", "ci_high", "n", "seed")
PEOPLE = "people"
AGAINST_TRUTH = ("accuracy", "brier", "mean_absolute_error")
NO_VARIANCE, TOO_FEW = "no variance", "too few items"


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number about one model, person or observer.

    Attributes:
      model: the model's name, `people`, or `observer: NAME`.
      name: what is measured.
      value: NaN where it is undefined.
      n: number of items.
      interval: its 95 % interval; NaN where the value is exact or undefined.
    """

    model: str
    name: str
    value: float
    n: int
    interval: Interval = UNDEFINED

    @property
    def undefined(self) -> str:
        """Why there is no value; empty where there is one."""
        if not math.isnan(self.value):
            return ""
        return NO_VARIANCE if self.n > 1 else TOO_FEW


@dataclasses.dataclass(frozen=True, eq=False)
class _Answered:
    """One model's answers to one task as arrays, items first."""

    probabilities: np.ndarray
    response: np.ndarray
    answer: np.ndarray
    graded: np.ndarray

    def __getitem__(self, items: np.ndarray) -> "_Answered":
        return _Answered(*(getattr(self, field.name)[items] for field in dataclasses.fields(self)))


def model_metrics(answers: pd.DataFrame, responses: Responses | None = None) -> list[Metric]:
    """Scores one model's answers to one task, against the truth and against people, as far as there are any.

    Accuracy has Wilson's interval over items, everything else the item bootstrap. Correlations are between the model's
    graded answer (P(yes), or the expected count) and people's item means; kappa is between its response and the
    majority's, over the items that have one.
    """
    space = get_task(answers.task.iloc[0]).answers
    answered = _as_arrays(answers, space)
    name = answers.model.iloc[0]
    metrics = []
    for metric in space.metrics:
        if metric in AGAINST_TRUTH:
            known = answered.answer != NO_ANSWER
            metrics += [_AGAINST_TRUTH[metric](name, answered[known])] if known.any() else []
        elif responses is not None:
            metrics.append(_against_people(name, metric, answered, responses))
    return metrics


def people_metrics(answers: pd.DataFrame, responses: Responses) -> list[Metric]:
    """Scores the people: how often they are right, and the ceilings that they set for a model's alignment.

    `accuracy` is the average person's and `majority_accuracy` that of the vote, with intervals over people and items;
    `leave_one_out_pearson`, `split_half_reliability` and its root, `pearson_ceiling`, are those of `ceilings.py`.
    """
    space = get_task(answers.task.iloc[0]).answers
    answer = answers.answer.to_numpy()
    known = answer != NO_ANSWER
    metrics = []
    if "accuracy" in space.metrics and known.any():
        metrics += _people_accuracy(responses[:, known], answer[known])
    if "pearson" in space.metrics:
        metrics += _people_ceilings(responses)
    return metrics


def table(metrics: Sequence[Metric], *, run: str, tuned_on: str, evaluated_on: str, seed: int) -> pd.DataFrame:
    """Returns the metrics as tidy rows, one number a row; `seed` is that of the run."""
    rows = [
        (run, m.model, tuned_on, evaluated_on, m.name, m.value, m.interval.low, m.interval.high, m.n, seed)
        for m in metrics
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _as_arrays(answers: pd.DataFrame, space: AnswerSpace) -> _Answered:
    probabilities = np.array(answers.probabilities.map(json.loads).tolist(), float)
    numeric = space.kind in ("count", "rating")
    values = np.array([float(option) if numeric else index for index, option in enumerate(space.options)])
    return _Answered(
        probabilities=probabilities,
        response=answers.response.to_numpy(),
        answer=answers.answer.to_numpy(),
        graded=agreement.expected_value(probabilities, values),
    )


def _accuracy(name: str, answered: _Answered) -> Metric:
    correct = answered.response == answered.answer
    return Metric(name, "accuracy", float(correct.mean()), len(correct), wilson(int(correct.sum()), len(correct)))


def _brier(name: str, answered: _Answered) -> Metric:
    return _bootstrapped(name, "brier", agreement.brier, answered.probabilities, answered.answer)


def _mean_absolute_error(name: str, answered: _Answered) -> Metric:
    return _bootstrapped(name, "mean_absolute_error", agreement.mean_absolute_error, answered.response, answered.answer)


_AGAINST_TRUTH: dict[str, Callable[[str, _Answered], Metric]] = {
    "accuracy": _accuracy,
    "brier": _brier,
    "mean_absolute_error": _mean_absolute_error,
}


def _against_people(name: str, metric: str, answered: _Answered, responses: Responses) -> Metric:
    statistic, people, model = {
        "pearson": (agreement.pearson, ceilings.item_means, answered.graded),
        "spearman": (agreement.spearman, ceilings.item_means, answered.graded),
        "kappa": (agreement.cohen_kappa, ceilings.majority, answered.response),
    }[metric]
    theirs = people(responses)
    judged = ~np.isnan(theirs)
    return _bootstrapped(name, metric, statistic, model[judged], theirs[judged])


def _bootstrapped(name: str, metric: str, statistic: Callable[..., np.ndarray], *samples: np.ndarray) -> Metric:
    n = len(samples[0])
    value = float(statistic(*samples)) if n > 0 else math.nan
    return Metric(name, metric, value, n, bootstrap(statistic, *samples))


def _people_accuracy(responses: Responses, answer: np.ndarray) -> list[Metric]:
    statistics = {"accuracy": ceilings.individual_accuracy, "majority_accuracy": ceilings.majority_accuracy}
    return [
        Metric(
            PEOPLE,
            name,
            statistic(responses, answer),
            len(answer),
            bootstrap_people_and_items(statistic, responses, answer),
        )
        for name, statistic in statistics.items()
    ]


def _people_ceilings(responses: Responses) -> list[Metric]:
    metric = functools.partial(Metric, PEOPLE, n=responses.shape[1])
    alone = ceilings.leave_one_out(responses)
    reliability = ceilings.split_half_reliability(responses)
    around = ceilings.split_half_interval(responses)
    root = Interval(ceilings.correlation_ceiling(around.low), ceilings.correlation_ceiling(around.high))
    return [
        metric(name="leave_one_out_pearson", value=alone, interval=ceilings.leave_one_out_interval(responses)),
        metric(name="split_half_reliability", value=reliability, interval=around),
        metric(name="pearson_ceiling", value=ceilings.correlation_ceiling(reliability), interval=root),
    ]
