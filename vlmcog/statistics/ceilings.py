"""How good people are, and how well the best possible model of them could do.

Responses are a matrix of people x items, NaN where a person did not answer. Two ceilings bound a correlation with item
means, from below and from above:

* leave-one-person-out: what one person reaches against the others. With the person inside the mean it is inflated.
* the square root of the split-half reliability: what a perfect predictor of people's true item means would reach. The
  reliability itself, corrected by Spearman-Brown, is the highest R^2, not the highest r.

Both assume graded predictions; the correlation of a yes/no answer with graded item means is capped lower.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from vlmcog.statistics.agreement import pearson
from vlmcog.statistics.intervals import LEVEL, RESAMPLES, Interval, percentiles, resample

Responses = Float[np.ndarray, "people items"]
HALVES = 500


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
    given = ~np.isnan(responses)
    right = ((responses == answer) & given).sum(1)[given.any(1)]
    return float(np.mean(right / given.sum(1)[given.any(1)]))


def majority_accuracy(responses: Responses, answer: Float[np.ndarray, " items"]) -> float:
    """The share of items on which most people are right; a tie counts half."""
    chosen = majority(responses)
    return float(np.where(np.isnan(chosen), 0.5, chosen == answer).mean())


def leave_one_out_correlations(responses: Responses) -> Float[np.ndarray, " people"]:
    """Each person's correlation with the mean of the others; NaN for a person who always answers the same."""
    given = ~np.isnan(responses)
    others = given.sum(0) - given
    filled = np.where(given, responses, 0.0)
    others_mean = (filled.sum(0) - filled) / np.maximum(others, 1)
    return pearson(filled, others_mean, where=given & (others > 0))


def leave_one_out(responses: Responses) -> float:
    """The mean of those correlations that are defined; NaN where none is."""
    return _defined_mean(leave_one_out_correlations(responses))


def leave_one_out_interval(
    responses: Responses, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """The bootstrap interval of `leave_one_out` over people and items together.

    Resampled people choose whose correlations are averaged, but the others' mean stays that of the people as they are:
    a person drawn twice would otherwise be compared with themselves.
    """
    rng = np.random.default_rng(seed)
    n_people, n_items = responses.shape
    replicates = []
    for items in resample(rng, resamples, n_items):
        people = rng.integers(n_people, size=n_people)
        replicates.append(_defined_mean(leave_one_out_correlations(responses[:, items])[people]))
    return percentiles(np.array(replicates), level=level)


def split_half_reliability(responses: Responses, *, seed: int = 0, halves: int = HALVES) -> float:
    """The reliability of the item means (Spearman, 1910; Brown, 1910): the mean over random halves of 2 r / (1 + r).

    r is the correlation of the two halves' item means. NaN below 2 people or where a half has no variance.
    """
    return _defined_mean(_reliabilities(*_half_means(responses, seed, halves)))


def split_half_interval(
    responses: Responses, *, seed: int = 0, resamples: int = RESAMPLES, halves: int = 50, level: float = LEVEL
) -> Interval:
    """The item-bootstrap interval of `split_half_reliability`.

    People are not resampled: one drawn twice would be in both halves.
    """
    first, second = _half_means(responses, seed, halves)
    draws = resample(np.random.default_rng(seed), resamples, responses.shape[1])
    replicates = np.array([_defined_mean(_reliabilities(first[:, items], second[:, items])) for items in draws])
    return percentiles(replicates, level=level)


def correlation_ceiling(reliability: float) -> float:
    """The highest correlation with item means of that reliability, its square root; NaN for a negative one."""
    return math.sqrt(reliability) if reliability >= 0 else math.nan


def _half_means(responses: Responses, seed: int, halves: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(responses)) for _ in range(halves)]
    middle = len(responses) // 2
    first = np.stack([_mean(responses[order[:middle]]) for order in orders])
    second = np.stack([_mean(responses[order[middle:]]) for order in orders])
    return first, second


def _reliabilities(
    first: Float[np.ndarray, "h items"], second: Float[np.ndarray, "h items"]
) -> Float[np.ndarray, " h"]:
    answered: Bool[np.ndarray, "h items"] = ~np.isnan(first) & ~np.isnan(second)
    r = pearson(np.nan_to_num(first), np.nan_to_num(second), where=answered)
    with np.errstate(divide="ignore"):
        return np.where(r > -1, 2 * r / (1 + r), np.nan)


def _mean(responses: Responses) -> Float[np.ndarray, " items"]:
    """The mean over people who answered; written out, since `nanmean` warns where nobody did."""
    count = (~np.isnan(responses)).sum(0)
    return np.where(count > 0, np.nansum(responses, axis=0) / np.maximum(count, 1), np.nan)


def _defined_mean(values: Float[np.ndarray, " n"]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
