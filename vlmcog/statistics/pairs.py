"""Agreement of every two of many: people with each other, or people, models and observers together.

Responses are a matrix with one row each and NaN where there is no answer; a pair is compared on the items that both
answered.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from vlmcog.statistics.intervals import LEVEL, RESAMPLES, Interval, Weights, two_way_bootstrap

Rows = Float[np.ndarray, "people items"]

_IN_CACHE = 200_000
_EXACT = 4096


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
    kappas, defined = _kappas(_product(given, given, items), agreed, of_first, [counts.T for counts in of_first])
    return np.where(defined, kappas, np.nan)


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

    One person's pairs are counted in few and large products, or the threads that share them mostly wait. Counts and
    their products are whole numbers, which single precision holds exactly up to 2^24.
    """
    if len(items) == 1:
        return pair_mean(kappa_matrix(responses, items[0]), people)
    drawn = items.T.astype(np.float32 if responses.shape[1] <= _EXACT else float)
    options = np.unique(responses[~np.isnan(responses)])
    total, count = np.zeros((2, len(items)))
    for person in range(len(responses) - 1):
        choices = _choices(responses[person], responses[person + 1 :], options).astype(drawn.dtype)
        for part in _parts(len(items), choices[..., 0].size):
            n, agreed, *chosen = (choices.reshape(-1, len(drawn)) @ drawn[:, part]).reshape(*choices.shape[:2], -1)
            kappas, defined = _kappas(n, agreed, chosen[::2], chosen[1::2])
            own, others = np.split((people[part] if len(people) > 1 else people).T[person:], [1])
            total[part] += own[0] * (kappas * others).sum(0)
            count[part] += own[0] * (defined * others).sum(0)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _parts(n: int, width: int) -> list[slice]:
    """Divides n columns of that height into parts that stay in the processor's cache."""
    step = max(1, _IN_CACHE // width)
    return [slice(start, start + step) for start in range(0, n, step)]


def _choices(
    own: Float[np.ndarray, " items"], others: Float[np.ndarray, "others items"], options: Float[np.ndarray, " options"]
) -> Bool[np.ndarray, "choices others items"]:
    """What `_kappas` counts of a pair: both answered; both alike; by option, the first, and the second, chose it."""
    both = ~np.isnan(own) & ~np.isnan(others)
    chosen = [(given == option) & both for option in options[:-1] for given in (own, others)]
    return np.stack([both, own == others, *chosen])


def _kappas(
    n: Float[np.ndarray, "*pairs"],
    agreed: Float[np.ndarray, "*pairs"],
    first: Sequence[Float[np.ndarray, "*pairs"]],
    second: Sequence[Float[np.ndarray, "*pairs"]],
) -> tuple[Float[np.ndarray, "*pairs"], Bool[np.ndarray, "*pairs"]]:
    """Kappas from counts: items that both answered, that they agreed on, and on which either chose each option.

    The last option is not among them: it has what is left. With the kappas goes whether each is defined; 0 stands for
    one that isn't: its numerator is 0.
    """
    expected, constant = np.zeros_like(n), n == 0
    for x, y in zip([*first, n - sum(first)], [*second, n - sum(second)], strict=True):
        expected += x * y
        constant |= np.maximum(x, y) >= n
    return np.divide(n * agreed - expected, np.where(constant, 1, n * n - expected), dtype=float), ~constant


def _product(
    x: Bool[np.ndarray, "n items"], y: Bool[np.ndarray, "n items"], items: Float[np.ndarray, " items"]
) -> Float[np.ndarray, "n n"]:
    return (x * items) @ y.T.astype(float)
