"""Calibration: of the items to which a model gives P(yes) = 0.7, is the answer yes for 70 %?

P(yes) is renormalised over the answer set before it comes here. Outcomes are 0 or 1 against the truth, or the share of
people who said yes to calibrate against people. The Brier score is in `agreement.py`.
"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int, Num

from vlmcog.statistics.intervals import LEVEL, RESAMPLES, Interval, percentiles, wilson

BINS = 10


@dataclasses.dataclass(frozen=True)
class Bin:
    """The items of one bin of P(yes).

    Attributes:
      low: the bin's lower edge, a probability; it belongs to the bin.
      high: its upper edge; it belongs to the next bin, if there is one.
      n: how many items.
      predicted: their mean P(yes); NaN without items.
      observed: their mean outcome.
      interval: of the mean outcome (Wilson's, which is wider than need be for outcomes between 0 and 1).
    """

    low: float
    high: float
    n: int
    predicted: float
    observed: float
    interval: Interval


@dataclasses.dataclass(frozen=True)
class CalibrationError:
    """The expected calibration error beside what a perfectly calibrated model would have shown.

    Attributes:
      value: the error.
      if_calibrated: its mean for a model with the same P(yes) whose probabilities are right.
      range_if_calibrated: the central 95 % of that.
      p_value: the share of calibrated models with at least this error.
    """

    value: float
    if_calibrated: float
    range_if_calibrated: Interval
    p_value: float


def reliability_curve(
    p_yes: Float[np.ndarray, " n"], outcome: Num[np.ndarray, " n"], *, bins: int = BINS, level: float = LEVEL
) -> list[Bin]:
    """Returns bins of equal width from 0 to 1 with their mean P(yes) and mean outcome; empty bins are there too."""
    index = _bin_of(p_yes, bins)
    curve = []
    for k in range(bins):
        inside, n = index == k, int((index == k).sum())
        predicted = float(p_yes[inside].mean()) if n else np.nan
        observed = float(np.mean(outcome[inside])) if n else np.nan
        interval = wilson(float(np.sum(outcome[inside])), n, level=level)
        curve.append(Bin(k / bins, (k + 1) / bins, n, predicted, observed, interval))
    return curve


def expected_calibration_error(
    p_yes: Float[np.ndarray, "*r n"], outcome: Num[np.ndarray, "*r n"], *, bins: int = BINS
) -> Float[np.ndarray, "*r"]:
    """The mean distance of P(yes) from the outcome, bin by bin (Naeini, Cooper & Hauskrecht, 2015, AAAI).

    sum_b (n_b / n) |mean outcome - mean P(yes)| over bins of equal width. Biased upward, the more the fewer items are
    in a bin (Kumar, Liang & Ma, 2019, NeurIPS 32): compare it with what `calibration_error` says of calibrated models.
    """
    gap = np.asarray(outcome, float) - p_yes
    index = _bin_of(p_yes, bins)
    sums = np.stack([np.where(index == k, gap, 0.0).sum(-1) for k in range(bins)])
    return np.asarray(np.abs(sums).sum(0) / p_yes.shape[-1])


def calibration_error(
    p_yes: Float[np.ndarray, " n"],
    outcome: Num[np.ndarray, " n"],
    *,
    n_people: Int[np.ndarray, " n"] | None = None,
    bins: int = BINS,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> CalibrationError:
    """The expected calibration error and its distribution if the model were calibrated.

    By consistency resampling (Bröcker & Smith, 2007, Weather and Forecasting 22, 651-661): outcomes are drawn from the
    model's own P(yes). There is no interval: a resampled error adds its bias to the sample's, so that no bootstrap
    interval of it holds its level.

    Args:
      p_yes: the model's probabilities.
      outcome: 0 or 1, or the share of people who said yes.
      n_people: how many people's share each outcome is; None for a truth.
      bins: how many, of equal width.
      seed: of the draws.
      resamples: how many.
      level: of the range.
    """
    n = np.ones(len(p_yes), int) if n_people is None else n_people
    drawn = np.random.default_rng(seed).binomial(n, p_yes, size=(resamples, len(p_yes))) / n
    value = float(expected_calibration_error(p_yes, outcome, bins=bins))
    null = expected_calibration_error(np.broadcast_to(p_yes, drawn.shape), drawn, bins=bins)
    p_value = (1 + (null >= value - 1e-12).sum()) / (1 + resamples)
    return CalibrationError(value, float(null.mean()), percentiles(null, level=level), float(p_value))


def _bin_of(p_yes: Float[np.ndarray, "*r n"], bins: int) -> Int[np.ndarray, "*r n"]:
    return np.minimum((p_yes * bins).astype(int), bins - 1)
