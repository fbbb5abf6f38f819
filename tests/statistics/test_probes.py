import math

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vlmcog.statistics.probes import PENALTIES, probe

FEW = 200  # resamples where the interval is not the point


def states_of(rng, n, d=24):
    """Features of unequal size, off zero, one of them constant."""
    return np.c_[rng.normal(size=(n, d)) * np.geomspace(0.01, 100, d) + 3, np.ones(n)]


def signal(rng, n, *, r_squared, d=24):
    """States and a quantity whose variance they explain to that share, evenly over the features."""
    states = states_of(rng, n, d)
    told = (states[:, :d] - 3) / np.geomspace(0.01, 100, d) @ np.ones(d) / math.sqrt(d)
    return states, math.sqrt(r_squared) * told + math.sqrt(1 - r_squared) * rng.normal(size=n)


def theirs(states, y, **cv):
    """The same by scikit-learn."""
    ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    return r2_score(y, cross_val_predict(ridge, states, y, **cv))


@pytest.mark.parametrize("d", [6, 300], ids=["fewer features than items", "more"])
def test_it_is_scikit_learn_s_pipeline_on_the_same_folds(d):
    states, y = signal(np.random.default_rng(1), 60, r_squared=0.7, d=d)
    rng = np.random.default_rng(0)
    rng.permutation(60)  # the control's
    folds = PredefinedSplit(rng.permutation(60) % 5)
    assert probe(states, y, resamples=FEW).value == pytest.approx(theirs(states, y, cv=folds), abs=1e-8)


def test_over_folds_it_is_scikit_learn_s_too():
    states, y = signal(np.random.default_rng(0), 150, r_squared=0.6)
    items = np.arange(150)
    other = [theirs(states, y, groups=items, cv=GroupKFold(5, shuffle=True, random_state=seed)) for seed in range(12)]
    ours = [probe(states, y, seed=seed, resamples=2).value for seed in range(12)]
    assert np.std(other) < 0.02
    assert np.mean(ours) == pytest.approx(np.mean(other), abs=0.02)


@pytest.mark.parametrize("r_squared", [0.2, 0.5, 0.9])
def test_a_known_share_is_recovered(r_squared):
    """Of many items; from few, the map itself is known less well and the share is less."""
    many, few = (signal(np.random.default_rng(2), n, r_squared=r_squared) for n in (6000, 120))
    found = probe(*many, resamples=FEW)
    assert found.value == pytest.approx(r_squared, abs=0.03)
    assert found.control < 0.01
    assert probe(*few, resamples=FEW).value < r_squared + 0.1


def test_noise_is_worth_nothing():
    rng = np.random.default_rng(3)
    found = [probe(states_of(rng, 80, 100), rng.normal(size=80), seed=seed, resamples=2) for seed in range(8)]
    values = np.array([(one.value, one.control) for one in found])
    assert (values.mean(axis=0) < 0).all()
    assert (values.mean(axis=0) > -0.15).all()
    assert values.max() < 0.15


def test_what_an_item_shares_with_itself_is_not_rewarded():
    """States that tell each item by heart, shown three times: across folds of rows they would tell the quantity too."""
    rng = np.random.default_rng(4)
    items = np.repeat(np.arange(80), 3)
    states = rng.normal(size=(80, 300))[items] + 0.01 * rng.normal(size=(240, 300))
    y = rng.normal(size=80)[items]
    assert probe(states, y, resamples=FEW).value > 0.5
    by_item = probe(states, y, items, resamples=FEW)
    assert by_item.value < 0.05
    assert by_item.control < 0.05
    assert by_item.n == 80


def test_rows_of_one_item_don_t_narrow_the_interval():
    states, y = signal(np.random.default_rng(5), 200, r_squared=0.5)
    once = probe(states, y)
    thrice = probe(np.repeat(states, 3, 0), np.repeat(y, 3), np.repeat(np.arange(200), 3))
    widths = [found.interval.high - found.interval.low for found in (once, thrice)]
    assert 0.85 < widths[1] / widths[0] < 1.3  # counting each row, it would be 1 / sqrt(3)


def test_scale_and_place_of_features_and_quantity_change_nothing():
    states, y = signal(np.random.default_rng(6), 120, r_squared=0.5)
    one, other = probe(states, y), probe(states * np.geomspace(1e-3, 1e3, 25) - 7, 50 * y + 1e4)
    assert other.value == pytest.approx(one.value, abs=1e-6)
    assert (other.interval.low, other.interval.high) == pytest.approx((one.interval.low, one.interval.high), abs=1e-6)


def test_unknown_quantities_are_left_out():
    states, y = signal(np.random.default_rng(7), 150, r_squared=0.5)
    y[100:] = math.nan
    assert probe(states, y) == probe(states[:100], y[:100])


@pytest.mark.parametrize(
    ("quantity", "n", "reason"),
    [
        (np.full(100, 3.0), 100, "no variance"),
        (np.full(100, math.nan), 0, "too few items"),
        (np.r_[np.arange(19.0), np.full(81, math.nan)], 19, "too few items"),
    ],
)
def test_what_can_t_be_probed_says_why(quantity, n, reason):
    found = probe(states_of(np.random.default_rng(8), 100), quantity)
    assert math.isnan(found.value)
    assert math.isnan(found.control)
    assert math.isnan(found.interval.low)
    assert (found.n, found.reason) == (n, reason)


def test_the_same_seed_gives_the_same_probe():
    given = signal(np.random.default_rng(9), 100, r_squared=0.5)
    assert probe(*given, seed=1) == probe(*given, seed=1)
    assert probe(*given, seed=1) != probe(*given, seed=2)
