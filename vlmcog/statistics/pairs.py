"""Agreement of every two of many: people with each other, or people, models and observers together.

Responses are a matrix with one row each and NaN where there is no answer; a pair is compared on the items that both
answered.
"""

import numpy as np
from jaxtyping import Bool, Float

from vlmcog.statistics.intervals import LEVEL, RESAMPLES, Interval, Weights, two_way_bootstrap

Rows = Float[np.ndarray, "people items"]


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
    both = _product(given, given, items)
    total = np.where(both > 0, both, 1.0)
    shares = [_product(option, given, items) / total for option in chosen]
    observed = sum((_product(option, option, items) for option in chosen), np.zeros_like(total)) / total
    expected = sum((share * share.T for share in shares), np.zeros_like(total))
    constant = np.max([np.maximum(share, share.T) for share in shares] or [np.ones_like(total)], axis=0) >= 1 - 1e-12
    undefined = constant | (both == 0)
    return np.where(undefined, np.nan, (observed - expected) / np.where(undefined, 1.0, 1 - expected))


def mean_kappa(responses: Rows) -> float:
    """The mean kappa over pairs of different people; NaN where no pair has one."""
    return float(_mean_kappas(responses, *map(np.ones, ((1, n) for n in responses.shape)))[0])


def mean_kappa_interval(
    responses: Rows, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """The interval of `mean_kappa` over people and items; nobody drawn twice is compared with themselves."""

    def statistic(people: Weights, items: Weights) -> Float[np.ndarray, " r"]:
        return _mean_kappas(responses, people, items)

    return two_way_bootstrap(statistic, *responses.shape, seed=seed, resamples=resamples, level=level)


def pair_mean(values: Float[np.ndarray, "n n"], weights: Weights) -> Float[np.ndarray, " r"]:
    """The mean of a symmetric matrix over pairs of different members, each pair counted by its weights' product."""
    defined = ~np.isnan(values) & ~np.eye(len(values), dtype=bool)
    total = ((weights @ np.where(defined, values, 0.0)) * weights).sum(-1)
    count = ((weights @ defined.astype(float)) * weights).sum(-1)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _mean_kappas(responses: Rows, people: Weights, items: Weights) -> Float[np.ndarray, " r"]:
    if len(items) == 1:
        return pair_mean(kappa_matrix(responses, items[0]), people)
    return np.array(
        [pair_mean(kappa_matrix(responses, row), people[k % len(people)][None])[0] for k, row in enumerate(items)]
    )


def _product(
    x: Bool[np.ndarray, "n items"], y: Bool[np.ndarray, "n items"], items: Float[np.ndarray, " items"]
) -> Float[np.ndarray, "n n"]:
    return (x * items) @ y.T.astype(float)
