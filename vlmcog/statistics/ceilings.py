"""How good people are, and how well the best possible model of them could do.

Responses are a matrix of people x items, NaN where a person did not answer. Ceilings bound a correlation with item
means, from below and from above:

* leave-one-person-out: what one person reaches against the others. With the person inside the mean it is inflated.
* the square root of the split-half reliability: what a perfect predictor of people's true item means would reach. The
  reliability itself, corrected by Spearman-Brown, is the highest R^2, not the highest r.
* in-sample: one person against the mean of all, that person included. Inflated; published tables have it.
* the cap: what the best yes/no answers reach, since graded means cannot be met by two values.
"""

import functools
import math

import numpy as np
from jaxtyping import Bool, Float, Num

from vlmcog.statistics.agreement import pearson
from vlmcog.statistics.intervals import (
    LEVEL,
    RESAMPLES,
    Interval,
    Weights,
    two_way_bootstrap,
    weighted_bootstrap,
)

Responses = Float[np.ndarray, "people items"]
HALVES = 5000
"""Random ones: with 500, a reliability of 0.92 moved by 0.002 from one seed to the next; this many leave 0.0005."""


def item_means(responses: Responses) -> Float[np.ndarray, " items"]:
    """The mean response to each item; NaN where nobody answered."""
    return _mean(responses)


def majority(responses: Responses) -> Float[np.ndarray, " items"]:
    """The most frequent response to each item; NaN where two are equally frequent or nobody answered."""
    values = np.unique(responses[~np.isnan(responses)])
    votes = np.stack([(responses == value).sum(0) for value in values])
    tied = (votes == votes.max(0)).sum(0) > 1
    return np.where(tied, np.nan, values[votes.argmax(0)])


def individual_accuracy(responses: Responses, answer: Float[np.ndarray, " items"]) -> float:
    """The share of right responses of the average person."""
    return float(_individual_accuracies(responses, answer, *_once(responses))[0])


def individual_accuracy_interval(
    responses: Responses,
    answer: Float[np.ndarray, " items"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """The interval of `individual_accuracy` over people and items; see `two_way_bootstrap`."""
    statistic = functools.partial(_individual_accuracies, responses, answer)
    around = two_way_bootstrap(statistic, *responses.shape, seed=seed, resamples=resamples, level=level)
    return around.within(0.0, 1.0)


def majority_accuracy(responses: Responses, answer: Float[np.ndarray, " items"]) -> float:
    """The share of items on which most people are right; a tie counts half."""
    return float(_majority_accuracies(responses, answer, *_once(responses))[0])


def majority_accuracy_interval(
    responses: Responses,
    answer: Float[np.ndarray, " items"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """The interval of `majority_accuracy` over people and items; see `two_way_bootstrap`."""
    statistic = functools.partial(_majority_accuracies, responses, answer)
    around = two_way_bootstrap(statistic, *responses.shape, seed=seed, resamples=resamples, level=level)
    return around.within(0.0, 1.0)


def in_sample(responses: Responses) -> float:
    """The mean correlation of a person with the mean of all people, themselves included: an inflated ceiling."""
    given = ~np.isnan(responses)
    means = np.broadcast_to(np.nan_to_num(item_means(responses)), responses.shape)
    return _defined_mean(pearson(np.nan_to_num(responses), means, where=given))


def binary_cap(means: Float[np.ndarray, "*r items"]) -> Float[np.ndarray, "*r"]:
    """The highest correlation that any yes/no answers could have with these item means; NaN where they are all equal.

    Of the answers that say yes k times, those to the k highest means correlate most, for the covariance is then
    greatest and the answers' variance depends on k alone. The best k is found by trying all.
    """
    n = means.shape[-1]
    deviations = -np.sort(-means, axis=-1) - means.mean(-1, keepdims=True)
    yes = np.arange(1, n)
    variances = yes * (n - yes) / n * np.square(deviations).sum(-1, keepdims=True)
    varied = means.max(-1) > means.min(-1)
    reached = deviations.cumsum(-1)[..., :-1] / np.sqrt(np.where(varied[..., None], variances, 1.0))
    return np.where(varied, np.max(reached, axis=-1, initial=0.0), np.nan)


def leave_one_out_correlations(responses: Responses) -> Float[np.ndarray, " people"]:
    """Each person's correlation with the mean of the others; NaN for a person who always answers the same."""
    others, given = _others_mean(responses)
    return pearson(np.nan_to_num(responses), others, where=given)


def leave_one_out(responses: Responses) -> float:
    """The mean of those correlations that are defined; NaN where none is."""
    return _defined_mean(leave_one_out_correlations(responses))


def leave_one_out_interval(
    responses: Responses, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """The interval of `leave_one_out` over people and items together; see `two_way_bootstrap`.

    Resampled people choose whose correlations are averaged, but the others' mean stays that of the people as they are:
    a person drawn twice would otherwise be compared with themselves.
    """
    statistic = functools.partial(_leave_one_out_means, responses)
    around = two_way_bootstrap(statistic, *responses.shape, seed=seed, resamples=resamples, level=level)
    return around.within(-1.0, 1.0)


def split_half_reliability(responses: Responses, *, seed: int = 0, halves: int = HALVES) -> float:
    """The reliability of the item means (Spearman, 1910; Brown, 1910): the mean over random halves of 2 r / (1 + r).

    r is the correlation of the two halves' item means. A negative one, which no reliability can be but which few items
    or a resample of them may give, counts as 2 r / (1 - r): the formula itself would run to minus infinity. So the
    value and its interval stay within -1 and 1. NaN below 2 people or where a half has no variance.
    """
    return _defined_mean(_reliabilities(*_half_means(responses, seed, halves)))


def split_half_interval(
    responses: Responses, *, seed: int = 0, resamples: int = RESAMPLES, halves: int = 50, level: float = LEVEL
) -> Interval:
    """The interval of `split_half_reliability` over items; see `bootstrap`.

    People are not resampled: one drawn twice would be in both halves.
    """
    first, second = _half_means(responses, seed, halves)
    answered = ~np.isnan(first) & ~np.isnan(second)

    def statistic(items: Weights) -> Float[np.ndarray, " r"]:
        reliabilities = _spearman_brown(_weighted_pearson(first, second, answered, items))
        return _defined_means(reliabilities, np.ones((1, halves)))

    return weighted_bootstrap(statistic, responses.shape[1], seed=seed, resamples=resamples, level=level)


def correlation_ceiling(reliability: float) -> float:
    """The highest correlation with item means of that reliability, its square root; NaN for a negative one."""
    return math.sqrt(reliability) if reliability >= 0 else math.nan


def _once(responses: Responses) -> tuple[Weights, Weights]:
    return np.ones((1, responses.shape[0])), np.ones((1, responses.shape[1]))


def _individual_accuracies(
    responses: Responses, answer: Float[np.ndarray, " items"], people: Weights, items: Weights
) -> Float[np.ndarray, " r"]:
    given = ~np.isnan(responses)
    n = items @ given.T.astype(float)
    shares = (items @ ((responses == answer) & given).T.astype(float)) / np.where(n > 0, n, 1.0)
    return _defined_means(np.where(n > 0, shares, np.nan), people)


def _majority_accuracies(
    responses: Responses, answer: Float[np.ndarray, " items"], people: Weights, items: Weights
) -> Float[np.ndarray, " r"]:
    values = np.unique(responses[~np.isnan(responses)])
    votes = np.stack([people @ (responses == value).astype(float) for value in values])
    most = votes == votes.max(0)
    right = (most & (values[:, None, None] == answer)).any(0)
    correct = np.where(most.sum(0) > 1, 0.5, right)
    return (correct * items).sum(-1) / items.sum(-1)


def _half_means(responses: Responses, seed: int, halves: int) -> tuple[np.ndarray, np.ndarray]:
    rng, people = np.random.default_rng(seed), len(responses)
    is_first = np.zeros((halves, people))
    for half in is_first:
        half[rng.permutation(people)[: people // 2]] = 1
    given = ~np.isnan(responses)
    filled, counted = np.where(given, responses, 0.0), given.astype(float)
    return _quotient(is_first @ filled, is_first @ counted), _quotient(
        (1 - is_first) @ filled, (1 - is_first) @ counted
    )


def _reliabilities(
    first: Float[np.ndarray, "h items"], second: Float[np.ndarray, "h items"]
) -> Float[np.ndarray, " h"]:
    answered: Bool[np.ndarray, "h items"] = ~np.isnan(first) & ~np.isnan(second)
    return _spearman_brown(pearson(np.nan_to_num(first), np.nan_to_num(second), where=answered))


def _spearman_brown(r: Float[np.ndarray, "*h"]) -> Float[np.ndarray, "*h"]:
    """The formula for r of 0 or more, mirrored below it, where it has no meaning and no lower bound."""
    return 2 * r / (1 + np.abs(r))


def _others_mean(responses: Responses) -> tuple[Responses, Bool[np.ndarray, "people items"]]:
    """Each person's others' mean of each item, and where both that and the person's response are there."""
    given = ~np.isnan(responses)
    others = given.sum(0) - given
    filled = np.where(given, responses, 0.0)
    return (filled.sum(0) - filled) / np.maximum(others, 1), given & (others > 0)


def _leave_one_out_means(responses: Responses, people: Weights, items: Weights) -> Float[np.ndarray, " r"]:
    others, given = _others_mean(responses)
    return _defined_means(_weighted_pearson(responses, others, given, items), people)


def _weighted_pearson(
    x: Float[np.ndarray, "k items"],
    y: Float[np.ndarray, "k items"],
    where: Bool[np.ndarray, "k items"],
    items: Weights,
) -> Float[np.ndarray, "r k"]:
    """The correlation of each row of x with that of y when items count as `items` say; NaN without variance."""
    mask = where.T.astype(float)
    n = items @ mask
    x, y = (np.where(where, z - _row_means(z, where), 0.0).T for z in (x, y))  # centred, lest differences cancel
    mean_x, mean_y, xx, yy, xy = (items @ z / np.where(n > 0, n, 1.0) for z in (x, y, x * x, y * y, x * y))
    var_x, var_y = xx - mean_x**2, yy - mean_y**2
    varied = (var_x > 1e-12 * (x * x).max()) & (var_y > 1e-12 * (y * y).max())
    r = (xy - mean_x * mean_y) / np.sqrt(np.where(varied, var_x * var_y, 1.0))
    return np.where(varied, np.clip(r, -1, 1), np.nan)


def _row_means(x: Float[np.ndarray, "k items"], where: Bool[np.ndarray, "k items"]) -> Float[np.ndarray, "k 1"]:
    return np.where(where, x, 0.0).sum(1, keepdims=True) / np.maximum(where.sum(1, keepdims=True), 1)


def _defined_means(values: Float[np.ndarray, "r k"], weights: Weights) -> Float[np.ndarray, " r"]:
    """The weighted mean of each row's defined values; NaN where there is none. Either may have one row, for all."""
    defined = ~np.isnan(values)
    total = (np.where(defined, values, 0.0) * weights).sum(-1)
    count = (defined * weights).sum(-1)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _mean(responses: Responses) -> Float[np.ndarray, " items"]:
    """The mean over people who answered; written out, since `nanmean` warns where nobody did."""
    return _quotient(np.nansum(responses, axis=0), (~np.isnan(responses)).sum(0))


def _quotient(total: Float[np.ndarray, "*n"], count: Num[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Totals by counts; NaN where there is nothing to count."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _defined_mean(values: Float[np.ndarray, " n"]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
