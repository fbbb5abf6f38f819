import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from vlmcog.evaluation import metrics
from vlmcog.statistics import ceilings
from vlmcog.statistics.intervals import wilson


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def yes_no(p_yes):
    return np.stack([1 - np.asarray(p_yes), np.asarray(p_yes)], -1)


def by_name(found):
    return {metric.name: metric for metric in found}


def test_accuracy_and_brier_without_people(answers_table, rng):
    p_yes, truth = rng.random(50), rng.integers(2, size=50)
    found = by_name(metrics.model_metrics(answers_table(yes_no(p_yes), truth)))
    assert set(found) == {"accuracy", "brier"}
    right = int(((p_yes > 0.5) == truth).sum())
    assert found["accuracy"].value == right / 50
    assert found["accuracy"].interval == wilson(right, 50)
    assert found["brier"].value == pytest.approx(sklearn_metrics.brier_score_loss(truth, p_yes))
    assert found["brier"].value in found["brier"].interval


def test_alignment_is_with_item_means_and_the_majority(answers_table, rng):
    responses = (rng.random((9, 30)) < rng.random(30)).astype(float)
    p_yes = rng.random(30)
    found = by_name(metrics.model_metrics(answers_table(yes_no(p_yes), np.full(30, -1)), responses))
    assert set(found) == {"pearson", "spearman", "kappa"}  # no truth, so neither accuracy nor Brier
    means = responses.mean(0)
    assert found["pearson"].value == pytest.approx(stats.pearsonr(p_yes, means).statistic)
    assert found["spearman"].value == pytest.approx(stats.spearmanr(p_yes, means).statistic)
    assert found["kappa"].value == pytest.approx(sklearn_metrics.cohen_kappa_score(p_yes > 0.5, means > 0.5))
    assert all(metric.value in metric.interval and metric.n == 30 for metric in found.values())


def test_a_model_that_answers_like_people_agrees_perfectly(answers_table, rng):
    responses = (rng.random((7, 20)) < rng.random(20)).astype(float)
    found = by_name(metrics.model_metrics(answers_table(yes_no(responses.mean(0)), np.zeros(20)), responses))
    assert [found[name].value for name in ("pearson", "spearman", "kappa")] == pytest.approx([1, 1, 1])


def test_a_constant_answer_has_no_alignment_and_says_why(answers_table, rng):
    responses = (rng.random((7, 20)) < rng.random(20)).astype(float)
    found = by_name(metrics.model_metrics(answers_table(yes_no(np.full(20, 0.7)), np.zeros(20)), responses))
    for name in ("pearson", "spearman", "kappa"):
        assert math.isnan(found[name].value)
        assert math.isnan(found[name].interval.low)
        assert found[name].undefined == "no variance"
    assert found["accuracy"].undefined == ""


def test_items_without_people_or_majority_are_left_out(answers_table, rng):
    responses = (rng.random((4, 20)) < rng.random(20)).astype(float)
    responses[:, :3] = np.nan
    responses[:, 3] = [0, 0, 1, 1]
    found = by_name(metrics.model_metrics(answers_table(yes_no(rng.random(20)), np.zeros(20)), responses))
    assert found["pearson"].n == 17
    assert found["kappa"].n == (~np.isnan(ceilings.majority(responses))).sum() < 17
    assert found["accuracy"].n == 20


def test_items_without_truth_are_left_out(answers_table):
    found = by_name(metrics.model_metrics(answers_table(yes_no([0.9, 0.9, 0.1]), [1, -1, 1])))
    assert (found["accuracy"].value, found["accuracy"].n) == (0.5, 2)


def test_a_count_has_an_absolute_error_in_blocks(answers_table):
    probabilities = np.eye(15)[[2, 5, 7]]
    found = by_name(metrics.model_metrics(answers_table(probabilities, [2, 7, 4], task="red_block_count")))
    assert set(found) == {"accuracy", "mean_absolute_error"}
    assert found["mean_absolute_error"].value == pytest.approx((0 + 2 + 3) / 3)


def test_people_are_scored_person_by_person_and_as_a_vote(answers_table, rng):
    truth = rng.integers(2, size=40)
    responses = np.where(rng.random((15, 40)) < 0.7, truth, 1 - truth).astype(float)
    found = by_name(metrics.people_metrics(answers_table(yes_no(rng.random(40)), truth), responses))
    assert found["accuracy"].value == pytest.approx((responses == truth).mean())
    assert found["majority_accuracy"].value == pytest.approx(((responses.mean(0) > 0.5) == truth).mean())
    assert found["leave_one_out_pearson"].value == ceilings.leave_one_out(responses)
    assert found["pearson_ceiling"].value == pytest.approx(math.sqrt(found["split_half_reliability"].value))
    assert {metric.model for metric in found.values()} == {"people"}
    assert all(metric.value in metric.interval for metric in found.values())


def test_people_without_a_truth_have_ceilings_alone(answers_table, rng):
    responses = (rng.random((9, 30)) < rng.random(30)).astype(float)
    found = by_name(metrics.people_metrics(answers_table(yes_no(rng.random(30)), np.full(30, -1)), responses))
    assert set(found) == {"leave_one_out_pearson", "split_half_reliability", "pearson_ceiling"}


def test_the_table_is_tidy(answers_table):
    found = metrics.model_metrics(answers_table(yes_no([0.9, 0.2]), [1, 1]))
    table = metrics.table(found, run="r", tuned_on="a", evaluated_on="b", seed=3)
    columns = "run model tuned_on evaluated_on metric value ci_low ci_high n seed"
    assert list(table.columns) == columns.split()
    assert table.iloc[0].to_dict() == {
        **{"run": "r", "model": "tiny", "tuned_on": "a", "evaluated_on": "b", "metric": "accuracy"},
        **{"value": 0.5, "ci_low": wilson(1, 2).low, "ci_high": wilson(1, 2).high, "n": 2, "seed": 3},
    }
