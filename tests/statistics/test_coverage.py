"""Do 95 % intervals hold the truth in 93-97 % of 1,000 simulated studies, at the sizes that this field has?

The truth is that of two million items, or of many large samples. Monte Carlo error of a share of 1,000 is 0.7 %.
"""

import math

import numpy as np
import pytest
from scipy import special, stats

from vlmcog.statistics import agreement, ceilings, distributions, pairs
from vlmcog.statistics.intervals import bootstrap, two_way_bootstrap, weighted_bootstrap, wilson

pytestmark = pytest.mark.slow
SIMULATIONS = 1000
RESAMPLES = 600


def covered(truth, intervals) -> float:
    return float(np.mean([truth in interval for interval in intervals]))


def graded(rng, n):
    """P(yes) that piles up at 0 and 1, and the share of 50 people."""
    latent = rng.normal(size=n)
    return special.expit(6 * (latent + rng.normal(size=n))), rng.binomial(50, special.expit(latent)) / 50


def ratings(rng, n):
    latent = rng.normal(size=n)
    return np.clip(50 + 40 * (latent + 0.5 * rng.normal(size=n)), 0, 100), np.clip(50 + 30 * latent, 0, 100)


def choices(rng, n):
    latent = rng.normal(size=n)
    return (latent + rng.normal(size=n) > 0.3).astype(int), (latent + rng.normal(size=n) > 0).astype(int)


def forecasts(rng, n):
    latent = rng.normal(size=n)
    yes = special.expit(4 * (latent + 0.7 * rng.normal(size=n)))
    return np.stack([1 - yes, yes], -1), (rng.random(n) < special.expit(2 * latent)).astype(int)


def counts(rng, n):
    fell = rng.binomial(8, rng.beta(1, 2, size=n))
    return np.maximum(fell + rng.poisson(1.0, size=n) - 1, 0), fell


def shares(rng, n):
    yes, people = (np.stack([1 - x, x], -1) for x in graded(rng, n))
    return people, yes * 0.9 + 0.05


@pytest.mark.parametrize("n", [20, 40, 100])
@pytest.mark.parametrize("p", [0.5, 0.65, 0.9])
def test_wilson(n, p):
    """Summed over all outcomes, not simulated. The interval is for whole successes, so its coverage jumps with p."""
    near = np.linspace(p - 0.03, p + 0.03, 41)
    k = np.arange(n + 1)
    inside = np.array([[q in wilson(int(x), n) for x in k] for q in near])
    assert 0.93 <= np.mean((inside * stats.binom.pmf(k, n, near[:, None])).sum(1)) <= 0.97


@pytest.mark.parametrize("n", [20, 40, 100])
@pytest.mark.parametrize(
    ("statistic", "draw"),
    [
        (agreement.pearson, graded),
        (agreement.pearson, ratings),
        (agreement.spearman, graded),
        (agreement.cohen_kappa, choices),
        (agreement.brier, forecasts),
        (agreement.mean_absolute_error, counts),
        (distributions.kl_divergence, shares),
        (distributions.root_mean_square_error, shares),
    ],
    ids=lambda value: value.__name__,
)
def test_item_bootstrap(statistic, draw, n):
    truth = float(statistic(*draw(np.random.default_rng(0), 2_000_000)))
    rng = np.random.default_rng(n)
    intervals = [bootstrap(statistic, *draw(rng, n), resamples=RESAMPLES) for _ in range(SIMULATIONS)]
    low, high = (0.93, 0.97) if n > 20 else (0.92, 0.98)
    assert low <= covered(truth, intervals) <= high


def people(rng, n_people, n_items):
    """Right or wrong: people differ, and items more."""
    latent = 0.3 + 0.4 * rng.normal(size=(n_people, 1)) + 0.8 * rng.normal(size=n_items)
    return (rng.random((n_people, n_items)) < stats.norm.cdf(latent)).astype(float)


@pytest.mark.parametrize("shape", [(107, 40), (50, 24), (31, 41), (14, 18)])
def test_accuracy_of_people(shape):
    rng = np.random.default_rng(sum(shape))
    truth = stats.norm.cdf(0.3 / math.sqrt(1 + 0.4**2 + 0.8**2))
    right = np.ones(shape[1])
    samples = (people(rng, *shape) for _ in range(SIMULATIONS))
    intervals = [ceilings.individual_accuracy_interval(x, right, resamples=RESAMPLES) for x in samples]
    assert 0.93 <= covered(truth, intervals) <= 0.97


def test_resampling_both_ways_uncorrected_would_be_too_wide():
    """With nothing but noise, three times its variance (Owen, 2007): what the correction is for."""
    rng = np.random.default_rng(0)
    replicates, widths = [], []
    for _ in range(100):
        x = rng.normal(size=(30, 40))

        def mean(people, items, x=x):
            return ((people @ x) * items).sum(-1) / (people.sum(-1) * items.sum(-1))

        draws = (rng.multinomial(n, np.full(n, 1 / n), size=500).astype(float) for n in x.shape)
        replicates.append(mean(*draws).var() * x.size)
        interval = two_way_bootstrap(mean, *x.shape, resamples=500)
        widths.append(interval.high - interval.low)
    assert np.mean(replicates) == pytest.approx(3, abs=0.25)
    assert np.mean(widths) < 1.3 * 2 * 1.96 / math.sqrt(30 * 40)


@pytest.mark.parametrize("shape", [(107, 40), (50, 24), (31, 41), (14, 18)])
def test_majority_accuracy_is_covered_but_not_tightly(shape):
    """A vote changes by whole items, so the interval is too wide: up to 99 %."""
    big = np.random.default_rng(1)
    truth = np.mean([ceilings.majority_accuracy(people(big, shape[0], 300), np.ones(300)) for _ in range(1000)])
    rng = np.random.default_rng(sum(shape))
    samples = (people(rng, *shape) for _ in range(SIMULATIONS))
    intervals = [ceilings.majority_accuracy_interval(x, np.ones(shape[1]), resamples=RESAMPLES) for x in samples]
    assert 0.93 <= covered(truth, intervals) <= 0.995


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (ceilings.leave_one_out, ceilings.leave_one_out_interval),
        (ceilings.split_half_reliability, ceilings.split_half_interval),
        (pairs.mean_kappa, pairs.mean_kappa_interval),
        (lambda x: ceilings.binary_cap(ceilings.item_means(x)), lambda x, **k: cap_interval(x, **k)),
    ],
    ids=["leave_one_out", "split_half", "mean_kappa", "cap"],
)
def test_ceilings(value, interval):
    big = np.random.default_rng(1)
    truth = np.mean([value(people(big, 31, 2000)) for _ in range(12)])
    rng = np.random.default_rng(2)
    intervals = [interval(people(rng, 31, 41), resamples=400) for _ in range(SIMULATIONS)]
    assert 0.93 <= covered(truth, intervals) <= 0.97


def cap_interval(x, **options):
    return bootstrap(ceilings.binary_cap, ceilings.item_means(x), **options)


def test_an_interval_of_weights_covers_as_one_of_samples():
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(SIMULATIONS, 40))
    intervals = [weighted_bootstrap(lambda w, x=x: w @ x / w.sum(-1), 40, resamples=RESAMPLES) for x in samples]
    assert 0.93 <= covered(1.0, intervals) <= 0.97
