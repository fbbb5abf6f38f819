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
_CONSTANT = 1e-10  # spread beside the mean, of a feature that is the same for all


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

    The interval is of what probes fitted to so many items reach on new ones. Resampling predictions as if they were
    given makes it too narrow (70-90 % of 95 % intervals hold it), for an item also moves, by the fits, what is
    predicted for others. So an item is resampled with both its error and its effect on theirs (the infinitesimal
    jackknife of Efron, 2014, JASA 109, 991-1007). Where a probe reads off next to nothing, it remains too narrow.

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
    errors, effects = _cross_validate(x, truths, (rng.permutation(n) % folds)[item])
    r_squared, control = (_RSquared(truths[:, k], errors[:, k], effects[:, k], item) for k in range(2))
    interval = weighted_bootstrap(r_squared, n, seed=seed, resamples=resamples)
    return Probe(r_squared.value, interval, control.value, n)


@dataclasses.dataclass(frozen=True, eq=False)
class _Ridge:
    """Ridge regressions of k quantities on standardised features, each with its own penalty, as scikit-learn's RidgeCV.

    Attributes:
      basis: u of the features' singular value decomposition, [n, m].
      directions: v over the singular values, so that `z @ directions` is the u of features z, [d, m].
      kept: what the penalty leaves of each direction, [m, k].
      slopes: of each direction, [m, k].
      residuals: of what it was fitted to, [n, k].
    """

    mean: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    basis: Float[np.ndarray, "n m"]
    directions: Float[np.ndarray, "d m"]
    kept: Float[np.ndarray, "m k"]
    intercept: Float[np.ndarray, " k"]
    slopes: Float[np.ndarray, "m k"]
    residuals: Float[np.ndarray, "n k"]

    def along(self, x: Float[np.ndarray, "q d"]) -> Float[np.ndarray, "q m"]:
        """Features in the directions of `basis`."""
        return (x - self.mean) / self.scale @ self.directions

    def predict(self, x: Float[np.ndarray, "q d"]) -> Float[np.ndarray, "q k"]:
        """The quantities at other features."""
        return self.intercept + self.along(x) @ self.slopes


def _fit(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]) -> _Ridge:
    """Left out, a row's residual is e / (1 - h), with e its residual and h its entry of the hat matrix's diagonal."""
    mean, scale, intercept = x.mean(axis=0), x.std(axis=0), y.mean(axis=0)
    scale = np.where(scale > _CONSTANT * np.abs(mean), scale, 1.0)
    u, s, vt = np.linalg.svd((x - mean) / scale, full_matrices=False)
    real = s > _CONSTANT * s.max(initial=1.0)
    u, s, vt = u[:, real], s[real], vt[real]
    kept = s[:, None] ** 2 / (s[:, None] ** 2 + PENALTIES[None])
    along = u.T @ (y - intercept)
    residuals = (y - intercept)[..., None] - np.einsum("nm,mk,mp->nkp", u, along, kept)
    left_out = residuals / (1 - 1 / len(x) - u**2 @ kept)[:, None]
    best = np.square(left_out).sum(axis=0).argmin(axis=-1)
    own = np.take_along_axis(residuals, best[None, :, None], axis=-1)[..., 0]
    return _Ridge(mean, scale, u, vt.T / s, kept[:, best], intercept, kept[:, best] * along, own)


def _cross_validate(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"], fold: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    """Returns the squared error of each row, and how much its weight in the fits changes the sum of the others'.

    With weights w, slopes b = (sum w x x' + penalty)^-1 sum w x y, so that db/dw_i = (...)^-1 x_i e_i; an error's
    square changes by -2 error (x db + d intercept). (The infinitesimal jackknife, the penalty held.)
    """
    errors, effects = np.empty_like(y), np.zeros_like(y)
    for held_out in range(fold.max() + 1):
        seen, new = fold != held_out, fold == held_out
        ridge = _fit(x[seen], y[seen])
        errors[new] = y[new] - ridge.predict(x[new])
        pull = ridge.basis @ (ridge.kept * (ridge.along(x[new]).T @ errors[new])) + errors[new].sum(axis=0) / seen.sum()
        effects[seen] -= 2 * ridge.residuals * pull
    return np.square(errors), effects


class _RSquared:
    """R^2 given how often each item was drawn, from sums over the rows of each."""

    def __init__(
        self,
        y: Float[np.ndarray, " n"],
        errors: Float[np.ndarray, " n"],
        effects: Float[np.ndarray, " n"],
        item: Int[np.ndarray, " n"],
    ):
        centred, errors = y - y.mean(), errors + effects - effects.mean()
        self._rows, self._sum, self._squares, self._errors = (
            np.bincount(item, values) for values in (np.ones_like(y), centred, centred**2, errors)
        )

    @property
    def value(self) -> float:
        """That of the items as they are."""
        return float(self(np.ones((1, len(self._rows))))[0])

    def __call__(self, weights: Weights) -> Float[np.ndarray, " r"]:
        total = weights @ self._squares - (weights @ self._sum) ** 2 / (weights @ self._rows)
        return 1 - weights @ self._errors / np.where(total > 0, total, np.nan)
