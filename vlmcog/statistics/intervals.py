"""Intervals: how far a number could move if other items, or other people, had been drawn."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Num
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class Interval:
    """A two-sided interval; both ends are NaN where it is undefined."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


UNDEFINED = Interval(math.nan, math.nan)


def wilson(successes: int, n: int, *, level: float = LEVEL) -> Interval:
    """The score interval of a proportion (Wilson, 1927, JASA 22, 209-212), honest at 0, at 1 and for few items.

    The n trials must be independent: items, never person x item, where people's answers to one item go together.

    Args:
      successes: how many of the trials succeeded, from 0 to n.
      n: number of trials; with none the interval is undefined.
      level: coverage, a probability.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials")
    if n == 0:
        return UNDEFINED
    z = _normal_quantile(level)
    p = successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    # At p = 0 and p = 1 an end is exactly p; rounding must not push it past.
    return Interval(min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p))


def bootstrap(
    statistic: Callable[..., Float[np.ndarray, "*r"]],
    *samples: Num[np.ndarray, "items ..."],
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """The percentile interval of a statistic over resampled items (Efron & Tibshirani, 1993, chapter 13).

    For correlations too, rather than Fisher's z, which wants normal variables: P(yes) piles up at 0 and 1. Percentile
    rather than BCa, which is NaN on a constant sample.

    Args:
      statistic: maps samples whose items are the first axis after any resamples to one number each; see `agreement.py`.
      *samples: values of the same n items, resampled together.
      seed: of the resamples; same seed, same interval.
      resamples: how many.
      level: coverage, a probability.
    """
    n = len(samples[0])
    if n < 2 or np.isnan(statistic(*samples)):
        return UNDEFINED
    draws = resample(np.random.default_rng(seed), resamples, n)
    return percentiles(statistic(*(sample[draws] for sample in samples)), level=level)


def bootstrap_people_and_items(
    statistic: Callable[..., float],
    responses: Float[np.ndarray, "people items"],
    *samples: Num[np.ndarray, " items"],
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """The percentile interval over resampled people and, independently of them, items.

    Pooling person x item as independent would be far too narrow: people agree on what is easy. This one is, if
    anything, a little too wide (Owen, 2007, Annals of Applied Statistics 1, 386-411).

    Args:
      statistic: maps `responses[people, items]` and the items' `samples` to a number.
      responses: people x items.
      *samples: values of the same items, resampled with them.
      seed: of the resamples.
      resamples: how many.
      level: coverage, a probability.
    """
    rng = np.random.default_rng(seed)
    n_people, n_items = responses.shape
    replicates = np.full(resamples, np.nan)
    for k, items in enumerate(resample(rng, resamples, n_items)):
        people = rng.integers(n_people, size=n_people)
        replicates[k] = statistic(responses[np.ix_(people, items)], *(sample[items] for sample in samples))
    return percentiles(replicates, level=level)


def percentiles(replicates: Float[np.ndarray, " r"], *, level: float = LEVEL) -> Interval:
    """The central `level` of the replicates that are defined; undefined where more than half are not."""
    defined = replicates[~np.isnan(replicates)]
    if 2 * len(defined) <= len(replicates):
        return UNDEFINED
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def resample(rng: np.random.Generator, resamples: int, n: int) -> Int[np.ndarray, "r n"]:
    """Draws the indices of `resamples` samples, with replacement, of n things."""
    return rng.integers(n, size=(resamples, n))


def _normal_quantile(level: float) -> float:
    return float(stats.norm.isf((1 - level) / 2))
