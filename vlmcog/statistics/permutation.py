"""Paired permutation tests: could two models that are one and the same differ this much on the same items?"""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy import stats

from vlmcog.statistics.multiple import holm

PERMUTATIONS = 10_000
_EXACT_UP_TO = 13
_CHUNK = 4_000_000


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far two models differ, and the two-sided p-value of that; both NaN where the statistic is undefined."""

    value: float
    p_value: float


def paired_permutation_test(
    statistic: Callable[..., Float[np.ndarray, "*r"]],
    first: Num[np.ndarray, " n"],
    second: Num[np.ndarray, " n"],
    *others: Num[np.ndarray, " n"],
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Difference:
    """Tests statistic(first, *others) - statistic(second, *others) by exchanging the two models' values of items.

    If the models are exchangeable, each item's two values might as well have been swapped (Fisher, 1935, The Design of
    Experiments, section 21). All 2^n exchanges are made for up to 13 items, else `permutations` random ones, with
    p = (1 + as large) / (1 + permutations), which is never 0 (Phipson & Smyth, 2010).

    The values must be on one scale: standardise two models' graded answers before their correlations are compared.

    Args:
      statistic: over items on the last axis; see `agreement.py`.
      first: one model's values, such as its correctness.
      second: the other's, of the same items.
      *others: what the statistic compares both with, such as people's item means.
      seed: of the exchanges.
      permutations: how many.
    """

    def difference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        others_too = [np.broadcast_to(other, x.shape) for other in others]
        return statistic(x, *others_too) - statistic(y, *others_too)

    value = float(difference(first, second))
    if np.isnan(value):
        return Difference(np.nan, np.nan)
    swaps = _swaps(len(first), permutations, seed)
    parts = np.array_split(swaps, max(1, swaps.size // _CHUNK))
    null = np.concatenate([difference(np.where(s, second, first), np.where(s, first, second)) for s in parts])
    as_large = np.abs(null[~np.isnan(null)]) >= abs(value) - 1e-12  # sums in another order differ by rounding
    is_exact = len(first) <= _EXACT_UP_TO
    p_value = as_large.mean() if is_exact else (1 + as_large.sum()) / (1 + len(as_large))
    return Difference(value, float(p_value))


def accuracy_test(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> Difference:
    """The paired permutation test of two accuracies over all exchanges at once, whatever the number of items.

    Exchanging an item's two values matters where one is right and the other wrong, so it is the sign test of those
    items (McNemar, 1947, Psychometrika 12, 153-157, exact).
    """
    gained, lost = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    p_value = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return Difference((gained - lost) / len(first) if len(first) else np.nan, float(p_value))


def holm_matrix(
    statistic: Callable[..., Float[np.ndarray, "*r"]],
    values: Num[np.ndarray, "models n"],
    *others: Num[np.ndarray, " n"],
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Float[np.ndarray, "models models"]:
    """The p-values of all pairs of models, corrected by Holm's method over the matrix; the diagonal is NaN."""
    matrix = np.full((len(values), len(values)), np.nan)
    pairs = list(itertools.combinations(range(len(values)), 2))
    tests = [
        paired_permutation_test(statistic, values[i], values[j], *others, seed=seed, permutations=permutations)
        for i, j in pairs
    ]
    for (i, j), p_value in zip(pairs, holm(np.array([test.p_value for test in tests])), strict=True):
        matrix[i, j] = matrix[j, i] = p_value
    return matrix


def _swaps(n: int, permutations: int, seed: int) -> Bool[np.ndarray, "r n"]:
    if n <= _EXACT_UP_TO:
        return (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
    return np.random.default_rng(seed).random((permutations, n)) < 0.5
