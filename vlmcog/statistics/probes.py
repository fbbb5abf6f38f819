"""Linear probes: how much of a quantity a linear map reads off states, on items that it was not fitted to.

A probe says what a layer holds in linear form (Alain & Bengio 2016, https://arxiv.org/abs/1610.01644), not that the
model uses it. Whether it is the states or the probe that is able needs a control (Hewitt & Liang 2019,
https://arxiv.org/abs/1909.03368): here, the same probe of the quantity dealt out anew among the items.

Letters: n rows, d features, g items, r resamples.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from vlmcog.statistics.intervals import RESAMPLES, UNDEFINED, Interval, Weights, weighted_bootstrap

FOLDS = 5
PENALTIES = np.logspace(-2, 8, 21)
NO_VARIANCE, TOO_FEW = "no variance", "too few items"
_FEWEST = 4  # items a fold


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a probe reached.

    Attributes:
      value: R^2 = 1 - sum (y - p)^2 / sum (y - mean y)^2 of predictions p for rows of folds that the probe was not
        fitted to: 1 is perfect, 0 as good as always saying the mean, and less is worse than that. NaN where undefined.
      interval: its 95 % interval over items.
      control: R^2 of the same probe of the quantity dealt out among the items anew.
      n: items whose quantity is known.
      reason: why there is no value; empty where there is one.
    """

    value: float
    interval: Interval
    control: float
    n: int
    reason: str = ""


def probe(
    states: Float[np.ndarray, "n d"],
    quantity: Num[np.ndarray, " n"],
    items: Shaped[np.ndarray, " n"] | None = None,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Probe:
    """Fits ridge regressions to all folds but one and predicts that one, for each fold.

    Features are standardised, and the penalty chosen by leaving out one row at a time, in the folds fitted to alone.
    Rows of one item share a fold, or what was seen of one would be rewarded at the other.

    Args:
      states: a row for each time that an item was shown.
      quantity: what the item has; NaN where unknown, and such rows are left out.
      items: which item a row shows; by default, each another.
      folds: how many.
      seed: of the folds, the control and the resamples.
      resamples: of the interval.
    """
    items = np.arange(len(states)) if items is None else items
    known = ~np.isnan(quantity)
    _, first, item = np.unique(items[known], return_index=True, return_inverse=True)
    x, y, n = np.asarray(states[known], float), np.asarray(quantity[known], float), len(first)
    if n < _FEWEST * folds or np.ptp(y) == 0:
        return Probe(math.nan, UNDEFINED, math.nan, n, TOO_FEW if n < _FEWEST * folds else NO_VARIANCE)
    rng = np.random.default_rng(seed)
    dealt = y[first][rng.permutation(n)][item]
    truths = np.stack([y, dealt], axis=-1)
    predictions = _out_of_fold(x, truths, fold=(rng.permutation(n) % folds)[item])
    r_squared, control = (_RSquared(truths[:, k], predictions[:, k], item) for k in range(2))
    interval = weighted_bootstrap(r_squared, n, seed=seed, resamples=resamples)
    return Probe(r_squared.value, interval, control.value, n)


def _out_of_fold(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n 2"], fold: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n 2"]:
    from sklearn.linear_model import RidgeCV  # slow to import
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES, alpha_per_target=True))
    return np.asarray(cross_val_predict(ridge, x, y, cv=PredefinedSplit(fold)))


class _RSquared:
    """R^2 given how often each item was drawn, from sums over the rows of each."""

    def __init__(self, y: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"], item: Int[np.ndarray, " n"]):
        centred = y - y.mean()
        self._rows, self._sum, self._squares, self._errors = (
            np.bincount(item, values) for values in (np.ones_like(y), centred, centred**2, (y - predicted) ** 2)
        )

    @property
    def value(self) -> float:
        """That of the items as they are."""
        return float(self(np.ones((1, len(self._rows))))[0])

    def __call__(self, weights: Weights) -> Float[np.ndarray, " r"]:
        total = weights @ self._squares - (weights @ self._sum) ** 2 / (weights @ self._rows)
        return 1 - weights @ self._errors / np.where(total > 0, total, np.nan)
