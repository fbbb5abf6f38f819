"""How well answers agree with the truth, or with other people's answers.

Every function takes items on the last axis and broadcasts over the rest, so that a bootstrap resamples all at once.
What is undefined is NaN, never 0: above all, an answer that is the same for every item ("no variance").
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy import stats


def accuracy(correct: Bool[np.ndarray, "*r n"]) -> Float[np.ndarray, "*r"]:
    """The share of items answered rightly."""
    return np.asarray(np.mean(correct, axis=-1))


def brier(probabilities: Float[np.ndarray, "*r n o"], answer: Int[np.ndarray, "*r n"]) -> Float[np.ndarray, "*r"]:
    """Half of Brier's (1950, Monthly Weather Review 78, 1-3) score: mean of `sum_o (p_o - [o is the answer])^2 / 2`.

    The half puts it in [0, 1] and, for two options, makes it the familiar mean of `(P(yes) - yes)^2`: 0 is perfect,
    0.25 is P = 0.5 throughout. Brier's own score is twice this.
    """
    truth = np.arange(probabilities.shape[-1]) == answer[..., None]
    return np.asarray(np.square(probabilities - truth).sum(-1).mean(-1) / 2)


def expected_value(probabilities: Float[np.ndarray, "*n o"], values: Num[np.ndarray, " o"]) -> Float[np.ndarray, "*n"]:
    """The mean of the options' values under their probabilities: for no = 0 and yes = 1 it is P(yes)."""
    return probabilities @ np.asarray(values, float)


def mean_absolute_error(x: Num[np.ndarray, "*r n"], y: Num[np.ndarray, "*r n"]) -> Float[np.ndarray, "*r"]:
    """The mean of |x - y|, in the unit of the answers."""
    return np.asarray(np.abs(np.subtract(x, y, dtype=float)).mean(-1))


def pearson(
    x: Num[np.ndarray, "*r n"], y: Num[np.ndarray, "*r n"], *, where: Bool[np.ndarray, "*r n"] | None = None
) -> Float[np.ndarray, "*r"]:
    """Pearson's correlation over the items `where` holds (all by default); NaN where x or y has no variance."""
    where = np.ones_like(x, bool) if where is None else where
    x, y = _centred(x, where), _centred(y, where)
    norm = np.sqrt(np.square(x).sum(-1) * np.square(y).sum(-1))
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is meant
        return np.asarray(np.clip((x * y).sum(-1) / norm, -1.0, 1.0))


def spearman(x: Num[np.ndarray, "*r n"], y: Num[np.ndarray, "*r n"]) -> Float[np.ndarray, "*r"]:
    """Spearman's rank correlation, ties sharing their mean rank; NaN where x or y has no variance."""
    return pearson(stats.rankdata(x, axis=-1), stats.rankdata(y, axis=-1))


def cohen_kappa(x: Num[np.ndarray, "*r n"], y: Num[np.ndarray, "*r n"]) -> Float[np.ndarray, "*r"]:
    """Cohen's (1960, Educational and Psychological Measurement 20, 37-46) kappa of two raters' choices.

    Agreement beyond what the raters' base rates give by chance: 1 is perfect, 0 is chance, less than 0 is below it.
    NaN where a rater always chooses the same: the formula's 0 (or 0 / 0) there says nothing of agreement.
    """
    observed = np.mean(x == y, axis=-1)
    chance = sum(np.mean(x == k, axis=-1) * np.mean(y == k, axis=-1) for k in np.unique(np.concatenate((x, y), -1)))
    constant = (x.min(-1) == x.max(-1)) | (y.min(-1) == y.max(-1))
    return np.asarray(np.where(constant, np.nan, (observed - chance) / np.where(constant, 1.0, 1.0 - chance)))


def reason_undefined(x: Num[np.ndarray, " n"], y: Num[np.ndarray, " n"]) -> str:
    """Says why a correlation or kappa of x and y is NaN: `too few items` or `no variance`; empty where it is not."""
    if len(x) < 2:
        return "too few items"
    return "no variance" if np.ptp(x) == 0 or np.ptp(y) == 0 else ""


def _centred(x: Num[np.ndarray, "*r n"], where: Bool[np.ndarray, "*r n"]) -> Float[np.ndarray, "*r n"]:
    """Deviations from the mean, 0 elsewhere; exactly 0 where all values are equal, whatever the mean's rounding."""
    count = where.sum(-1, keepdims=True)
    centred = np.where(where, x - np.where(where, x, 0.0).sum(-1, keepdims=True) / np.maximum(count, 1), 0.0)
    low, high = np.where(where, x, np.inf).min(-1, keepdims=True), np.where(where, x, -np.inf).max(-1, keepdims=True)
    return np.where(high > low, centred, 0.0)
