"""From answers to metrics: how often right, how well calibrated. How much like people is in `alignment.py`."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.statistics import agreement, calibration
from vlmcog.statistics.intervals import UNDEFINED, Interval, bootstrap, wilson
from vlmcog.tasks.answer_space import AnswerSpace
from vlmcog.tasks.registry import get_task

COLUMNS = ("run", "model", "tuned_on", "evaluated_on", "metric", "value", "ci_low", "ci_high", "n", "seed")
PEOPLE, SIMULATED = "people", "simulated participants"
JUDGES = (PEOPLE, SIMULATED)
NO_VARIANCE, TOO_FEW = "no variance", "too few items"


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number about one model, person or observer.

    Attributes:
      model: the model's name, `people`, `simulated participants`, or `observer: NAME`.
      name: what is measured.
      value: NaN where it is undefined.
      n: number of items.
      interval: its 95 % interval; NaN where the value is exact or undefined.
      reason: why there is no value, where it is not for want of variance or items.
    """

    model: str
    name: str
    value: float
    n: int
    interval: Interval = UNDEFINED
    reason: str = ""

    @property
    def undefined(self) -> str:
        """Why there is no value; empty where there is one."""
        if not math.isnan(self.value):
            return ""
        return self.reason or (NO_VARIANCE if self.n > 1 else TOO_FEW)


@dataclasses.dataclass(frozen=True, eq=False)
class Answered:
    """One model's answers to one task as arrays, items first; `graded` is P(yes) or the expected number."""

    probabilities: Float[np.ndarray, "n o"]
    response: Int[np.ndarray, " n"]
    answer: Int[np.ndarray, " n"]
    graded: Float[np.ndarray, " n"]

    def __getitem__(self, items: np.ndarray) -> "Answered":
        return Answered(*(getattr(self, field.name)[items] for field in dataclasses.fields(self)))


def model_metrics(answers: pd.DataFrame) -> list[Metric]:
    """Scores one model's answers to one task against the truth, over the items that have one.

    Accuracy has Wilson's interval over items, the others the item bootstrap, and the calibration error none: beside it
    stands `calibration_error_if_calibrated`, what it would be if the model's probabilities were right.
    """
    space = get_task(answers.task.iloc[0]).answers
    answered = as_arrays(answers, space)
    known = answered[answered.answer != NO_ANSWER]
    name = answers.model.iloc[0]
    if not len(known.answer):
        return []
    scorers = [_AGAINST_TRUTH[metric] for metric in space.metrics if metric in _AGAINST_TRUTH]
    return [metric for scorer in scorers for metric in scorer(name, known)]


def table(metrics: Sequence[Metric], *, run: str, tuned_on: str, evaluated_on: str, seed: int) -> pd.DataFrame:
    """Returns the metrics as tidy rows, one number a row; `seed` is that of the run."""
    rows = [
        (run, m.model, tuned_on, evaluated_on, m.name, m.value, m.interval.low, m.interval.high, m.n, seed)
        for m in metrics
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def as_arrays(answers: pd.DataFrame, space: AnswerSpace) -> Answered:
    """Returns the answers of one task as arrays."""
    probabilities = np.array(answers.probabilities.map(json.loads).tolist(), float)
    numeric = space.kind in ("count", "rating")
    values = np.array([float(option) if numeric else index for index, option in enumerate(space.options)])
    return Answered(
        probabilities=probabilities,
        response=answers.response.to_numpy(),
        answer=answers.answer.to_numpy(),
        graded=agreement.expected_value(probabilities, values),
    )


def bootstrapped(name: str, metric: str, statistic: Callable[..., np.ndarray], *samples: np.ndarray) -> Metric:
    """Returns a statistic of samples of the same items with its bootstrap interval."""
    n = len(samples[0])
    value = float(statistic(*samples)) if n > 0 else math.nan
    return Metric(name, metric, value, n, bootstrap(statistic, *samples))


def calibration_metrics(name: str, metric: str, p_yes: np.ndarray, outcome: np.ndarray, **settings) -> list[Metric]:
    """Returns the calibration error, and its mean and central 95 % if the model were calibrated."""
    found = calibration.calibration_error(p_yes, outcome, **settings)
    return [
        Metric(name, metric, found.value, len(p_yes)),
        Metric(name, f"{metric}_if_calibrated", found.if_calibrated, len(p_yes), found.range_if_calibrated),
    ]


def _accuracy(name: str, answered: Answered) -> list[Metric]:
    correct = answered.response == answered.answer
    return [Metric(name, "accuracy", float(correct.mean()), len(correct), wilson(int(correct.sum()), len(correct)))]


def _brier(name: str, answered: Answered) -> list[Metric]:
    return [bootstrapped(name, "brier", agreement.brier, answered.probabilities, answered.answer)]


def _calibration(name: str, answered: Answered) -> list[Metric]:
    return calibration_metrics(name, "calibration_error", answered.graded, answered.answer)


def _mean_absolute_error(name: str, answered: Answered) -> list[Metric]:
    error = agreement.mean_absolute_error
    return [bootstrapped(name, "mean_absolute_error", error, answered.response, answered.answer)]


_AGAINST_TRUTH: dict[str, Callable[[str, Answered], list[Metric]]] = {
    "accuracy": _accuracy,
    "brier": _brier,
    "calibration_error": _calibration,
    "mean_absolute_error": _mean_absolute_error,
}
