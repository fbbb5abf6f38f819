"""How much a model answers like people: item by item, as a distribution, and in its errors."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from jaxtyping import Float

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.evaluation.metrics import Answered, Metric, as_arrays, bootstrapped, calibration_metrics
from vlmcog.evaluation.people import People
from vlmcog.statistics import agreement, ceilings, distributions, error_consistency
from vlmcog.tasks.answer_space import AnswerSpace
from vlmcog.tasks.registry import get_task


def alignment_metrics(answers: pd.DataFrame, people: People) -> list[Metric]:
    """Scores one model's answers to one task against people's, over the items that people judged.

    `pearson` and `spearman` are between the graded answer (P(yes), or the expected number) and people's item means;
    `kappa` between the response and the majority's; `error_consistency` the mean over people (Geirhos et al. 2020);
    `rmse_people` and `kl_people` between the distributions over the options, `kl_people` in nats;
    `calibration_error_people` of P(yes) against the share of yes; `mae_people` between the response and the mean.
    Intervals are over items. Where only means were published, those that need single answers are left out.
    """
    space = get_task(answers.task.iloc[0]).answers
    answered, name = as_arrays(answers, space), answers.model.iloc[0]
    scorers = [_AGAINST_PEOPLE[metric] for metric in space.metrics if metric in _AGAINST_PEOPLE]
    return [metric for scorer in scorers for metric in scorer(name, answered, people, space)]


def _pearson(name: str, answered: Answered, people: People, _: AnswerSpace) -> list[Metric]:
    return [_with_means(name, "pearson", agreement.pearson, answered.graded, people.means)]


def _spearman(name: str, answered: Answered, people: People, _: AnswerSpace) -> list[Metric]:
    return [_with_means(name, "spearman", agreement.spearman, answered.graded, people.means)]


def _mean_absolute_error(name: str, answered: Answered, people: People, _: AnswerSpace) -> list[Metric]:
    return [_with_means(name, "mae_people", agreement.mean_absolute_error, answered.response, people.means)]


def _kappa(name: str, answered: Answered, people: People, _: AnswerSpace) -> list[Metric]:
    if people.responses is None:
        return []
    vote = ceilings.majority(people.responses)
    return [_with_means(name, "kappa", agreement.cohen_kappa, answered.response, vote)]


def _error_consistency(name: str, answered: Answered, people: People, _: AnswerSpace) -> list[Metric]:
    known = answered.answer != NO_ANSWER
    if people.responses is None or not known.any():
        return []
    answer = answered.answer[known]
    right = answered.response[known] == answer
    theirs = error_consistency.correctness(people.responses[:, known], answer.astype(float))
    interval = error_consistency.mean_with_interval(right, theirs)
    return [Metric(name, "error_consistency", error_consistency.mean_with(right, theirs), len(right), interval)]


def _distances(name: str, answered: Answered, people: People, space: AnswerSpace) -> list[Metric]:
    theirs = _distribution(people, space)
    judged = ~np.isnan(theirs).any(-1)
    if not judged.any():
        return []
    samples = theirs[judged], answered.probabilities[judged]
    return [
        bootstrapped(name, "rmse_people", distributions.root_mean_square_error, *samples),
        bootstrapped(name, "kl_people", distributions.kl_divergence, *samples),
    ]


def _calibration(name: str, answered: Answered, people: People, _: AnswerSpace) -> list[Metric]:
    judged = ~np.isnan(people.means)
    p_yes, shares, n = answered.graded[judged], people.means[judged], people.n[judged]
    return calibration_metrics(name, "calibration_error_people", p_yes, shares, n_people=n)


_AGAINST_PEOPLE: dict[str, Callable[[str, Answered, People, AnswerSpace], list[Metric]]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "kappa": _kappa,
    "error_consistency": _error_consistency,
    "rmse_people": _distances,
    "calibration_error_people": _calibration,
    "mae_people": _mean_absolute_error,
}


def _with_means(
    name: str,
    metric: str,
    statistic: Callable[..., np.ndarray],
    model: np.ndarray,
    people: Float[np.ndarray, " items"],
) -> Metric:
    judged = ~np.isnan(people)
    return bootstrapped(name, metric, statistic, model[judged], people[judged])


def _distribution(people: People, space: AnswerSpace) -> Float[np.ndarray, "items options"]:
    if people.responses is not None:
        return distributions.human_distribution(people.responses, len(space.options))
    if space.kind == "binary":
        return np.stack([1 - people.means, people.means], -1)
    return np.full((len(people.means), len(space.options)), np.nan)
