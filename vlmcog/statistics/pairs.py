"""Agreement of every two of many: people with each other, or people, models and observers together.

Responses are a matrix with one row each and NaN where there is no answer; a pair is compared on the items that both
answered.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from vlmcog.statistics.intervals import LEVEL, RESAMPLES, Interval, Weights, two_way_bootstrap

Rows = Float[np.ndarray, "people items"]

_IN_CACHE = 50_000


def kappa_matrix(
    responses: Rows, items: Float[np.ndarray, " items"] | None = None
) -> Float[np.ndarray, "people people"]:
    """Cohen's kappa of every two rows; NaN where one of a pair always answers the same, as in `cohen_kappa`.

    Args:
      responses: the chosen options' numbers.
      items: how often each item counts; once by default.
    """
    items = np.ones(responses.shape[1]) if items is None else items
    given = ~np.isnan(responses)
    chosen = [responses == option for option in np.unique(responses[given])]
    of_first = [_product(option, given, items) for option in chosen[:-1]]
    agreed = sum((_product(option, option, items) for option in chosen), np.zeros((len(responses),) * 2))
    return _kappas(_product(given, given, items), agreed, of_first, [counts.T for counts in of_first])


def mean_kappa(responses: Rows) -> float:
    """The mean kappa over pairs of different people; NaN where no pair has one."""
    return float(_mean_kappas(responses, *map(np.ones, ((1, n) for n in responses.shape)))[0])


def mean_kappa_interval(
    responses: Rows, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """The interval of `mean_kappa` over people and items; nobody drawn twice is compared with themselves."""

    def statistic(people: Weights, items: Weights) -> Float[np.ndarray, " r"]:
        return _mean_kappas(responses, people, items)

    around = two_way_bootstrap(statistic, *responses.shape, seed=seed, resamples=resamples, level=level)
    return around.within(-1.0, 1.0)


def pair_mean(values: Float[np.ndarray, "n n"], weights: Weights) -> Float[np.ndarray, " r"]:
    """The mean of a symmetric matrix over pairs of different members, each pair counted by its weights' product."""
    defined = ~np.isnan(values) & ~np.eye(len(values), dtype=bool)
    total = ((weights @ np.where(defined, values, 0.0)) * weights).sum(-1)
    count = ((weights @ defined.astype(float)) * weights).sum(-1)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _mean_kappas(responses: Rows, people: Weights, items: Weights) -> Float[np.ndarray, " r"]:
    """The mean over pairs as often as each person, and each item, was drawn; either may have one row, for all.

    Counts are whole numbers, which single precision holds exactly up to 2^24.
    """
    if len(items) == 1:
        return pair_mean(kappa_matrix(responses, items[0]), people)
    first, second = np.triu_indices(len(responses), 1)
    total, count = np.zeros((2, len(items)))
    for block in _divided(len(first), responses.shape[1]):
        choices = _choices(responses, first[block], second[block])
        for part in _divided(len(items), len(block)):
            n, agreed, *chosen = (items[part].astype(np.float32) @ choices).astype(float)
            kappas = _kappas(n, agreed, chosen[::2], chosen[1::2])
            drawn = people[part] if len(people) > 1 else people
            weights = np.where(np.isnan(kappas), 0.0, drawn[:, first[block]] * drawn[:, second[block]])
            total[part] += (weights * np.nan_to_num(kappas)).sum(-1)
            count[part] += weights.sum(-1)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _divided(n: int, width: int) -> list[Int[np.ndarray, " part"]]:
    """Divides n rows of that width into parts that stay in the processor's cache."""
    return np.array_split(np.arange(n), max(1, min(n, n * width // _IN_CACHE)))


def _choices(
    responses: Rows, first: Int[np.ndarray, " pairs"], second: Int[np.ndarray, " pairs"]
) -> Float[np.ndarray, "choices items pairs"]:
    """What `_kappas` counts of each pair: both answered; both alike; by option, the first, and the second, chose it."""
    given = ~np.isnan(responses)
    x, y, both = responses[first], responses[second], given[first] & given[second]
    chosen = [(row == option) & both for option in np.unique(responses[given])[:-1] for row in (x, y)]
    return np.stack([both, x == y, *chosen]).astype(np.float32).swapaxes(1, 2)


def _kappas(
    n: Float[np.ndarray, "*pairs"],
    agreed: Float[np.ndarray, "*pairs"],
    first: Sequence[Float[np.ndarray, "*pairs"]],
    second: Sequence[Float[np.ndarray, "*pairs"]],
) -> Float[np.ndarray, "*pairs"]:
    """Kappas from counts: items that both answered, that they agreed on, and on which either chose each option.

    The last option is not among them: it has what is left.
    """
    expected, constant = np.zeros_like(n), n == 0
    for x, y in zip([*first, n - sum(first)], [*second, n - sum(second)], strict=True):
        expected += x * y
        constant |= np.maximum(x, y) >= n
    return np.where(constant, np.nan, (n * agreed - expected) / np.where(constant, 1.0, n * n - expected))


def _product(
    x: Bool[np.ndarray, "n items"], y: Bool[np.ndarray, "n items"], items: Float[np.ndarray, " items"]
) -> Float[np.ndarray, "n n"]:
    return (x * items) @ y.T.astype(float)
