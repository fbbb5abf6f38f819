"""Error consistency: do two observers err on the same items, beyond what their accuracies make inevitable?

Geirhos, Meding & Wichmann (2020, Beyond accuracy, NeurIPS 33). With accuracies p and q, observers who err independently
agree on being right or wrong with probability c_exp = p q + (1 - p) (1 - q). Error consistency is Cohen's kappa of the
two rows of correctness, (c_obs - c_exp) / (1 - c_exp): 1 where they err on the same items, 0 where independently, less
than 0 where they avoid each other's errors (it is never taken absolute). Unequal accuracies bound it on both sides.

It is NaN where an observer is right, or wrong, on every item: there are no errors, or nothing but errors, to compare.
Correctness has items on the last axis and broadcasts over the rest; a matrix of observers may have holes (NaN).
"""

import dataclasses
import functools
import math

import numpy as np
from jaxtyping import Bool, Float

from vlmcog.statistics.agreement import cohen_kappa
from vlmcog.statistics.intervals import LEVEL, RESAMPLES, Interval, Weights, weighted_bootstrap
from vlmcog.statistics.pairs import kappa_matrix, mean_kappa, mean_kappa_interval

Correctness = Float[np.ndarray, "observers items"]


@dataclasses.dataclass(frozen=True)
class ErrorConsistency:
    """Two observers' error consistency and all that it has to be read beside.

    Attributes:
      kappa: the error consistency; NaN where it is undefined.
      interval: its 95 % interval over items.
      observed: the share of items on which both are right or both wrong.
      expected: that share for independent observers of the same accuracies.
      lowest: the least kappa that the two accuracies allow.
      highest: the greatest.
      undefined: why there is no kappa; empty where there is one.
    """

    kappa: float
    interval: Interval
    observed: float
    expected: float
    lowest: float
    highest: float
    undefined: str


def compare(
    first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"], *, seed: int = 0, resamples: int = RESAMPLES
) -> ErrorConsistency:
    """Compares two observers' correctness on the same items; see the attributes of the result."""
    accuracies = float(np.mean(first)), float(np.mean(second))
    lowest, highest = bounds(*accuracies)
    return ErrorConsistency(
        kappa=float(error_consistency(first, second)),
        interval=mean_with_interval(first, np.asarray(second, float)[None], seed=seed, resamples=resamples),
        observed=float(np.mean(first == second)),
        expected=expected_agreement(*accuracies),
        lowest=lowest,
        highest=highest,
        undefined=_undefined(*accuracies),
    )


def error_consistency(first: Bool[np.ndarray, "*r n"], second: Bool[np.ndarray, "*r n"]) -> Float[np.ndarray, "*r"]:
    """The kappa of two observers' correctness; NaN where one of them is always right or always wrong."""
    return cohen_kappa(np.asarray(first, int), np.asarray(second, int))


def expected_agreement(first: float, second: float) -> float:
    """c_exp: how often independent observers of these accuracies are both right or both wrong."""
    return first * second + (1 - first) * (1 - second)


def bounds(first: float, second: float) -> tuple[float, float]:
    """The least and the greatest error consistency that two accuracies allow (Geirhos et al., 2020, appendix).

    Observed agreement lies between |p + q - 1| and 1 - |p - q|. NaN where the error consistency is.
    """
    if _undefined(first, second):
        return math.nan, math.nan
    expected = expected_agreement(first, second)
    least, most = abs(first + second - 1), 1 - abs(first - second)
    return (least - expected) / (1 - expected), (most - expected) / (1 - expected)


def matrix(correct: Correctness) -> Float[np.ndarray, "observers observers"]:
    """Every pair's error consistency over the items that both answered; the diagonal is 1, or NaN."""
    return kappa_matrix(correct)


def mean_of_pairs(correct: Correctness) -> float:
    """The mean error consistency over pairs of different people; NaN where no pair has a value."""
    return mean_kappa(correct)


def mean_of_pairs_interval(
    correct: Correctness, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """The interval of `mean_of_pairs` over people and items."""
    return mean_kappa_interval(correct, seed=seed, resamples=resamples, level=level)


def mean_with(own: Bool[np.ndarray, " items"], correct: Correctness) -> float:
    """The mean error consistency of one observer with each of `correct`; NaN where it has none with any."""
    return float(_means_with(own, correct, np.ones((1, len(own))))[0])


def mean_with_interval(
    own: Bool[np.ndarray, " items"],
    correct: Correctness,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """The interval of `mean_with` over items."""
    statistic = functools.partial(_means_with, own, correct)
    return weighted_bootstrap(statistic, len(own), seed=seed, resamples=resamples, level=level)


def correctness(responses: Float[np.ndarray, "observers items"], answer: Float[np.ndarray, " items"]) -> Correctness:
    """Returns 1 where a response is the answer, 0 where it isn't, NaN where there is no response."""
    return np.where(np.isnan(responses), np.nan, responses == answer)


def _means_with(own: Bool[np.ndarray, " items"], correct: Correctness, items: Weights) -> Float[np.ndarray, " r"]:
    given = ~np.isnan(correct)
    n = items @ given.T.astype(float)
    total = np.where(n > 0, n, 1.0)
    of_own, theirs, observed = (
        items @ (is_so & given).T.astype(float) / total for is_so in (own == 1, correct == 1, correct == own)
    )
    expected = of_own * theirs + (1 - of_own) * (1 - theirs)
    defined = (of_own > 0) & (of_own < 1) & (theirs > 0) & (theirs < 1)
    kappas = np.where(defined, (observed - expected) / np.where(defined, 1 - expected, 1.0), 0.0)
    count = defined.sum(-1)
    return np.where(count > 0, kappas.sum(-1) / np.maximum(count, 1), np.nan)


def _undefined(first: float, second: float) -> str:
    constant = any(accuracy in (0.0, 1.0) or math.isnan(accuracy) for accuracy in (first, second))
    return "no variance in correctness: an observer is always right or always wrong" if constant else ""
