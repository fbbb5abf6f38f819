"""Means over seeds and items at once: is a gain above nothing, and is it as good as nothing?

A gain is measured on every item by every seed's run. Both are samples: another seed would have moved all items, another
item all seeds. Pooling seed x item as if they were independent would make any gain significant.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float
from scipy import stats

from vlmcog.statistics.intervals import LEVEL, UNDEFINED, Interval


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean with its standard error and degrees of freedom; all NaN where it is undefined."""

    value: float
    standard_error: float
    freedom: float

    def interval(self, level: float = LEVEL) -> Interval:
        """The two-sided interval by Student's t."""
        if math.isnan(self.standard_error):
            return UNDEFINED
        half = self.standard_error * float(stats.t.ppf((1 + level) / 2, self.freedom))
        return Interval(self.value - half, self.value + half)

    def p_not_above(self, bound: float) -> float:
        """The one-sided p-value of the mean being at most `bound`."""
        return self._tail(self.value - bound)

    def p_not_below(self, bound: float) -> float:
        """The one-sided p-value of the mean being at least `bound`."""
        return self._tail(bound - self.value)

    def p_not_equivalent(self, bound: float) -> float:
        """The p-value of the mean being `bound` or more from zero, to either side.

        Two one-sided tests (Schuirmann, 1987, J. Pharmacokinetics and Biopharmaceutics 15, 657-680): the larger of the
        two is below 0.05 where the 90 % interval lies within the bounds.
        """
        return max(self.p_not_above(-bound), self.p_not_below(bound))

    def _tail(self, distance: float) -> float:
        if math.isnan(self.standard_error):
            return math.nan
        return float(stats.t.sf(distance / self.standard_error, self.freedom))


NOTHING = Estimate(math.nan, math.nan, math.nan)
_ROUNDING = 1e-12


def crossed_mean(values: Float[np.ndarray, "seeds items"]) -> Estimate:
    """Returns the mean of a full table of two crossed samples.

    With mean squares S of the rows, I of the columns and E of what is left (two-way analysis of variance without
    replication), the variance of the mean is (S + I - E) / n, and never taken below what either sample alone makes it,
    S / n or I / n. Degrees of freedom are Satterthwaite's (1946, Biometrics Bulletin 2, 110-114). In simulations 95 %
    intervals of three seeds cover in 93.5-94 % where seeds differ and in up to 99 % where they don't, of ten in
    95-98 %, of two in 90-98 %. One seed is a plain sample of items.

    Of scores that are all the same, such as right on every item, n items still tell little: an interval of 4 / n to
    either side is then about Wilson's of a share of 1.
    """
    n_seeds, n_items = values.shape
    if n_items < 2 or n_seeds < 1 or np.isnan(values).any():
        return NOTHING
    mean, error, freedom = float(values.mean()), *_error(values)
    return Estimate(mean, error, freedom) if error > _ROUNDING else Estimate(mean, 2 / n_items, n_items - 1)


def pearson_values(x: Float[np.ndarray, "*r items"], y: Float[np.ndarray, " items"]) -> Float[np.ndarray, "*r items"]:
    """Returns a value for each item whose mean is Pearson's r, and whose spread is that of r over samples of items.

    r + influence, where with standardised x and y an item's influence on r is x y - r (x^2 + y^2) / 2 (Devlin,
    Gnanadesikan & Kettenring, 1975, Biometrika 62, 531-545). NaN where either has no variance.
    """
    u, v = _standardised(x), _standardised(y)
    r = (u * v).mean(-1, keepdims=True)
    return r + u * v - r * (np.square(u) + np.square(v)) / 2


def _error(values: Float[np.ndarray, "seeds items"]) -> tuple[float, float]:
    """The standard error of the mean with its degrees of freedom."""
    n_seeds, n_items = values.shape
    if n_seeds == 1:
        return float(values.std(ddof=1)) / math.sqrt(n_items), n_items - 1
    mean, rows, columns = values.mean(), values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    of_rows = float(n_items * np.square(rows - mean).sum()) / (n_seeds - 1)
    of_columns = float(n_seeds * np.square(columns - mean).sum()) / (n_items - 1)
    left = float(np.square(values - rows - columns + mean).sum()) / ((n_seeds - 1) * (n_items - 1))
    spread = max(of_rows + of_columns - left, of_rows, of_columns)
    weight = of_rows**2 / (n_seeds - 1) + of_columns**2 / (n_items - 1) + left**2 / ((n_seeds - 1) * (n_items - 1))
    return math.sqrt(spread / values.size), spread**2 / weight if weight > 0 else math.inf


def _standardised(x: Float[np.ndarray, "*r items"]) -> Float[np.ndarray, "*r items"]:
    spread = x.std(-1, keepdims=True)
    return (x - x.mean(-1, keepdims=True)) / np.where(spread > 0, spread, np.nan)
