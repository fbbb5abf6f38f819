import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from vlmcog.evaluation import metrics
from vlmcog.statistics.intervals import wilson


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def yes_no(p_yes):
    return np.stack([1 - np.asarray(p_yes), np.asarray(p_yes)], -1)


def by_name(found):
    return {metric.name: metric for metric in found}


def test_against_the_truth(answers_table, rng):
    p_yes, truth = rng.random(50), rng.integers(2, size=50)
    found = by_name(metrics.model_metrics(answers_table(yes_no(p_yes), truth)))
    assert set(found) == {"accuracy", "brier", "calibration_error", "calibration_error_if_calibrated"}
    right = int(((p_yes > 0.5) == truth).sum())
    assert found["accuracy"].value == right / 50
    assert found["accuracy"].interval == wilson(right, 50)
    assert found["brier"].value == pytest.approx(sklearn_metrics.brier_score_loss(truth, p_yes))
    assert found["brier"].value in found["brier"].interval


def test_the_calibration_error_stands_beside_that_of_a_calibrated_model(answers_table, rng):
    p_yes = rng.random(400)
    right = by_name(metrics.model_metrics(answers_table(yes_no(p_yes), rng.random(400) < p_yes)))
    wrong = by_name(metrics.model_metrics(answers_table(yes_no(p_yes), rng.random(400) < 1 - p_yes)))
    null = right["calibration_error_if_calibrated"]
    assert right["calibration_error"].value in null.interval
    assert wrong["calibration_error"].value > null.interval.high
    assert math.isnan(right["calibration_error"].interval.low)  # a bootstrap's would not hold its level


def test_without_a_truth_there_is_nothing_to_score(answers_table):
    assert metrics.model_metrics(answers_table(yes_no([0.9]), [-1])) == []


def test_an_undefined_number_gives_its_reason():
    assert metrics.Metric("m", "pearson", math.nan, 9).undefined == "no variance"
    assert metrics.Metric("m", "pearson", math.nan, 1).undefined == "too few items"
    assert metrics.Metric("m", "fit", math.nan, 9, reason="did not converge").undefined == "did not converge"
    assert metrics.Metric("m", "pearson", 0.0, 9, reason="unused").undefined == ""


def test_items_without_truth_are_left_out(answers_table):
    found = by_name(metrics.model_metrics(answers_table(yes_no([0.9, 0.9, 0.1]), [1, -1, 1])))
    assert (found["accuracy"].value, found["accuracy"].n) == (0.5, 2)


def test_a_count_has_an_absolute_error_in_blocks(answers_table):
    probabilities = np.eye(15)[[2, 5, 7]]
    found = by_name(metrics.model_metrics(answers_table(probabilities, [2, 7, 4], task="red_block_count")))
    assert set(found) == {"accuracy", "mean_absolute_error"}
    assert found["mean_absolute_error"].value == pytest.approx((0 + 2 + 3) / 3)


def test_the_table_is_tidy(answers_table):
    found = metrics.model_metrics(answers_table(yes_no([0.9, 0.2]), [1, 1]))
    table = metrics.table(found, run="r", tuned_on="a", evaluated_on="b", seed=3)
    columns = "run model tuned_on evaluated_on metric value ci_low ci_high n seed"
    assert list(table.columns) == columns.split()
    assert table.iloc[0].to_dict() == {
        **{"run": "r", "model": "tiny", "tuned_on": "a", "evaluated_on": "b", "metric": "accuracy"},
        **{"value": 0.5, "ci_low": wilson(1, 2).low, "ci_high": wilson(1, 2).high, "n": 2, "seed": 3},
    }
