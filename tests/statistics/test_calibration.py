import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from vlmcog.statistics import calibration


@pytest.fixture
def calibrated():
    rng = np.random.default_rng(0)
    p_yes = rng.random(2000)
    return p_yes, (rng.random(2000) < p_yes).astype(int)


def test_the_curve_agrees_with_scikit_learn(calibrated):
    p_yes, outcome = calibrated
    observed, predicted = calibration_curve(outcome, p_yes, n_bins=10)
    curve = calibration.reliability_curve(p_yes, outcome)
    np.testing.assert_allclose([b.observed for b in curve], observed)
    np.testing.assert_allclose([b.predicted for b in curve], predicted)
    assert sum(b.n for b in curve) == 2000


def test_the_error_is_the_weighted_distance_from_the_diagonal(calibrated):
    p_yes, outcome = calibrated
    p_yes = p_yes**2
    by_hand = sum(b.n * abs(b.observed - b.predicted) for b in calibration.reliability_curve(p_yes, outcome)) / 2000
    assert calibration.expected_calibration_error(p_yes, outcome) == pytest.approx(by_hand)
    both = calibration.expected_calibration_error(np.stack([p_yes, 1 - p_yes]), np.stack([outcome, outcome]))
    assert both[0] == pytest.approx(by_hand)


def test_known_miscalibration_is_recovered():
    """Who says 0.9 and is right half of the time is 0.4 off."""
    rng = np.random.default_rng(0)
    error = calibration.calibration_error(np.full(5000, 0.9), rng.integers(2, size=5000), resamples=1000)
    assert error.value == pytest.approx(0.4, abs=0.02)
    assert error.p_value < 0.002


def test_few_items_bias_the_error_upward_and_it_is_said_how_far():
    rng = np.random.default_rng(1)
    p_yes = rng.random((300, 40))
    errors = calibration.expected_calibration_error(p_yes, rng.random(p_yes.shape) < p_yes)
    said = calibration.calibration_error(p_yes[0], rng.random(40) < p_yes[0])
    assert errors.mean() > 0.1
    assert said.if_calibrated == pytest.approx(errors.mean(), abs=0.02)


def test_a_calibrated_model_is_found_wanting_at_the_nominal_rate():
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(400):
        p_yes = rng.beta(0.5, 0.5, size=40)
        p_values.append(calibration.calibration_error(p_yes, rng.random(40) < p_yes, resamples=200).p_value)
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.08


def test_against_people_noise_is_less_with_more_of_them():
    p_yes = np.random.default_rng(0).random(60)
    few, many = (calibration.calibration_error(p_yes, p_yes, n_people=np.full(60, n)).if_calibrated for n in (2, 200))
    assert many < few / 5


def test_edges_and_empty_bins():
    curve = calibration.reliability_curve(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.25, 1.0]), bins=2)
    assert [b.n for b in curve] == [1, 2]
    assert curve[1].observed == pytest.approx(0.625)
    empty = calibration.reliability_curve(np.array([0.9]), np.array([1]), bins=2)[0]
    assert np.isnan([empty.predicted, empty.observed, empty.interval.low]).all()
