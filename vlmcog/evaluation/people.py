"""What people said about the items that a model answered, and how good that makes them."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.datasets.read import TrialSource
from vlmcog.errors import UserError
from vlmcog.evaluation.metrics import PEOPLE, SIMULATED, Metric, bootstrapped
from vlmcog.humans.judgments import counted
from vlmcog.humans.simulated_participants import is_simulated
from vlmcog.statistics import ceilings, error_consistency, pairs
from vlmcog.statistics.ceilings import Responses
from vlmcog.statistics.intervals import Interval, bootstrap_people_and_items
from vlmcog.tasks.answer_space import AnswerSpace
from vlmcog.tasks.registry import get_task

SLOW_RESAMPLES = 500
"""Of statistics over pairs of people, and of those that are resampled one by one."""
COLUMNS = ("evaluated_on", "who", "item", "mean", "sd", "n")


@dataclasses.dataclass(frozen=True, eq=False)
class People:
    """What people said about each item, in the order of a model's answers.

    Attributes:
      means: each item's mean response; NaN where nobody answered.
      n: how many people answered it.
      responses: people x items, NaN where a person gave no answer; None where only means were published.
      excluded: how many answers were left out because they are marked as excluded.
      name: `people`, or `simulated participants`, which every table and figure of them says.
    """

    means: Float[np.ndarray, " items"]
    n: Int[np.ndarray, " items"]
    responses: Responses | None = None
    excluded: int = 0
    name: str = PEOPLE


def gather(source: TrialSource, items: Sequence[str], judgments: pd.DataFrame | None = None) -> People | None:
    """Returns what people said about `items`, answers that are marked as excluded left out; None where nobody did.

    Args:
      source: the trials.
      items: the order in which to return them.
      judgments: a checked table to take in place of the set's own; what it says of other items and tasks is left out.

    Raises:
      UserError: people and simulated participants are in one table.
    """
    table = source.judgments() if judgments is None else judgments
    tasks = {trial.task for trial in source}
    table = table.loc[table.task.isin(tasks) & table.item.isin(items)]
    kept = counted(table)
    if len(kept):
        matrix = kept.pivot(index="participant", columns="item", values="response")
        responses = matrix.reindex(columns=list(items)).to_numpy(float)
        n = (~np.isnan(responses)).sum(0)
        return People(ceilings.item_means(responses), n, responses, len(table) - len(kept), _name(list(matrix.index)))
    published = {trial.item: trial.aggregate for trial in source if trial.aggregate}
    if not published:
        return None
    return People(
        means=np.array([published[item].mean if item in published else np.nan for item in items]),
        n=np.array([published[item].n if item in published else 0 for item in items]),
    )


def item_table(people: People, items: Sequence[str], *, evaluated_on: str) -> pd.DataFrame:
    """Returns each item's mean response, their standard deviation and how many people gave one; no single answers.

    The standard deviation (of a sample) is NaN where fewer than two answered, or only means were published.
    """
    table = pd.DataFrame({"item": list(items), "mean": people.means, "sd": _deviations(people), "n": people.n})
    return table.assign(evaluated_on=evaluated_on, who=people.name).loc[:, list(COLUMNS)]


def people_metrics(answers: pd.DataFrame, people: People) -> list[Metric]:
    """Scores the people: how often they are right, how alike they are, and the ceilings that they set for a model.

    Against the truth: `accuracy` and `mean_absolute_error` are the average person's, `majority_accuracy` the vote's.
    With each other: `kappa` and `error_consistency` are means over pairs of people; `mae_people` is the average
    person's distance from the mean of all. Ceilings: those of `ceilings.py`. Intervals are over people and items. Of a
    set that publishes only means there are the two accuracies, if yes or no was asked, with intervals over items alone.
    """
    space = get_task(answers.task.iloc[0]).answers
    answer = answers.answer.to_numpy(int)
    if people.responses is None:
        known = (answer != NO_ANSWER) & ~np.isnan(people.means)
        found = _shares_right(people.means[known], answer[known]) if space.kind == "binary" and known.any() else []
        return [dataclasses.replace(metric, model=people.name) for metric in found]
    found = _all_scores(people.responses.tobytes(), people.responses.shape, answer.tobytes(), space)
    return [dataclasses.replace(metric, model=people.name) for metric in found]


@functools.lru_cache(maxsize=16)
def _all_scores(responses: bytes, shape: tuple[int, ...], answer: bytes, space: AnswerSpace) -> tuple[Metric, ...]:
    """Everything about people who gave single answers: the same, and slow, for each model that is held against them."""
    given, truth = np.frombuffer(responses).reshape(shape), np.frombuffer(answer, int)
    known = truth != NO_ANSWER
    metrics = _against_truth(given[:, known], truth[known].astype(float), space) if known.any() else []
    return (*metrics, *_with_each_other(given, space), *_ceilings(given, space))


def _deviations(people: People) -> Float[np.ndarray, " items"]:
    if people.responses is None:
        return np.full(len(people.means), np.nan)
    squares = np.nansum(np.square(people.responses - people.means), axis=0)
    return np.where(people.n > 1, np.sqrt(squares / np.maximum(people.n - 1, 1)), np.nan)


def _name(participants: Sequence[str]) -> str:
    simulated = [participant for participant in participants if is_simulated(participant)]
    if simulated and len(simulated) < len(participants):
        raise UserError(
            f"{simulated[0]!r} is a simulated participant among people; evaluate people and simulated ones apart"
        )
    return SIMULATED if simulated else PEOPLE


def _shares_right(means: Float[np.ndarray, " items"], answer: Int[np.ndarray, " items"]) -> list[Metric]:
    """The accuracies from each item's share of yes; the average person's is exact where all judged the same items."""
    right = np.where(answer == 1, means, 1 - means)
    vote = np.where(right == 0.5, 0.5, right > 0.5)
    mean = functools.partial(np.mean, axis=-1)
    return [bootstrapped(PEOPLE, name, mean, x) for name, x in (("accuracy", right), ("majority_accuracy", vote))]


def _against_truth(responses: Responses, answer: Float[np.ndarray, " items"], space: AnswerSpace) -> list[Metric]:
    metric = functools.partial(Metric, PEOPLE, n=len(answer))
    metrics = []
    if "accuracy" in space.metrics:
        alone, vote = ceilings.individual_accuracy, ceilings.majority_accuracy
        around_alone, around_vote = ceilings.individual_accuracy_interval, ceilings.majority_accuracy_interval
        metrics = [
            metric(name="accuracy", value=alone(responses, answer), interval=around_alone(responses, answer)),
            metric(name="majority_accuracy", value=vote(responses, answer), interval=around_vote(responses, answer)),
        ]
    if "mean_absolute_error" in space.metrics:
        interval = bootstrap_people_and_items(_mean_distance, responses, answer, resamples=SLOW_RESAMPLES)
        metrics.append(metric(name="mean_absolute_error", value=_mean_distance(responses, answer), interval=interval))
    if "error_consistency" in space.metrics:
        correct = error_consistency.correctness(responses, answer)
        interval = error_consistency.mean_of_pairs_interval(correct, resamples=SLOW_RESAMPLES)
        value = error_consistency.mean_of_pairs(correct)
        metrics.append(metric(name="error_consistency", value=value, interval=interval))
    return metrics


def _with_each_other(responses: Responses, space: AnswerSpace) -> list[Metric]:
    metric = functools.partial(Metric, PEOPLE, n=responses.shape[1])
    metrics = []
    if "kappa" in space.metrics:
        interval = pairs.mean_kappa_interval(responses, resamples=SLOW_RESAMPLES)
        metrics.append(metric(name="kappa", value=pairs.mean_kappa(responses), interval=interval))
    if "mae_people" in space.metrics:
        interval = bootstrap_people_and_items(_mean_distance_from_all, responses, resamples=SLOW_RESAMPLES)
        metrics.append(metric(name="mae_people", value=_mean_distance_from_all(responses), interval=interval))
    return metrics


def _ceilings(responses: Responses, space: AnswerSpace) -> list[Metric]:
    if "pearson" not in space.metrics:
        return []
    metric = functools.partial(Metric, PEOPLE, n=responses.shape[1])
    alone = ceilings.leave_one_out(responses)
    reliability, around = ceilings.split_half_reliability(responses), ceilings.split_half_interval(responses)
    metrics = [
        metric(name="leave_one_out_pearson", value=alone, interval=ceilings.leave_one_out_interval(responses)),
        metric(name="in_sample_pearson", value=ceilings.in_sample(responses)),
        metric(name="split_half_reliability", value=reliability, interval=around),
        _root(metric, reliability, around),
    ]
    if space.kind == "binary":
        judged = ceilings.item_means(responses)
        cap = float(ceilings.binary_cap(judged[~np.isnan(judged)]))
        metrics.append(metric(name="pearson_cap_of_yes_or_no", value=cap))
    return metrics


def _root(metric: Callable[..., Metric], reliability: float, around: Interval) -> Metric:
    """The ceiling of a correlation: the root of a reliability, whose interval may reach below 0."""
    if reliability < 0:
        return metric(name="pearson_ceiling", value=math.nan, reason="negative reliability")
    low, high = (ceilings.correlation_ceiling(max(end, 0.0)) for end in (around.low, around.high))
    return metric(name="pearson_ceiling", value=ceilings.correlation_ceiling(reliability), interval=Interval(low, high))


def _mean_distance(responses: Responses, answer: Float[np.ndarray, " items"]) -> float:
    """The average person's mean absolute distance from `answer`."""
    given = ~np.isnan(responses)
    answering = given.any(1)
    distances = np.where(given, np.abs(responses - answer), 0.0).sum(1)[answering] / given.sum(1)[answering]
    return float(distances.mean()) if len(distances) else float("nan")


def _mean_distance_from_all(responses: Responses) -> float:
    return _mean_distance(responses, np.nan_to_num(ceilings.item_means(responses)))
