import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from vlmcog.evaluation.alignment import alignment_metrics
from vlmcog.evaluation.people import People
from vlmcog.statistics import ceilings


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def yes_no(p_yes):
    return np.stack([1 - np.asarray(p_yes), np.asarray(p_yes)], -1)


def everyone(responses):
    return People(ceilings.item_means(responses), (~np.isnan(responses)).sum(0), responses)


def score(answers, responses):
    return {metric.name: metric for metric in alignment_metrics(answers, everyone(responses))}


def test_alignment_is_with_item_means_and_the_majority(answers_table, rng):
    responses = (rng.random((9, 30)) < rng.random(30)).astype(float)
    p_yes = rng.random(30)
    found = score(answers_table(yes_no(p_yes), np.full(30, -1)), responses)
    assert set(found) == {
        "pearson", "spearman", "kappa", "rmse_people", "kl_people",
        "calibration_error_people", "calibration_error_people_if_calibrated",
    }  # no truth, so no errors to be consistent in  # fmt: skip
    means = responses.mean(0)
    assert found["pearson"].value == pytest.approx(stats.pearsonr(p_yes, means).statistic)
    assert found["spearman"].value == pytest.approx(stats.spearmanr(p_yes, means).statistic)
    assert found["kappa"].value == pytest.approx(sklearn_metrics.cohen_kappa_score(p_yes > 0.5, means > 0.5))
    assert found["rmse_people"].value == pytest.approx(math.sqrt(np.mean((p_yes - means) ** 2)))
    entropy = stats.entropy(yes_no(means), yes_no(p_yes), axis=1).mean()
    assert found["kl_people"].value == pytest.approx(entropy)
    assert all(metric.n == 30 for metric in found.values())
    assert all(found[name].value in found[name].interval for name in ("pearson", "spearman", "kappa", "rmse_people"))


def test_a_model_that_answers_like_people_agrees_perfectly(answers_table, rng):
    responses = (rng.random((7, 20)) < rng.random(20)).astype(float)
    found = score(answers_table(yes_no(responses.mean(0)), np.zeros(20)), responses)
    assert [found[name].value for name in ("pearson", "spearman", "kappa")] == pytest.approx([1, 1, 1])
    distances = [found[name].value for name in ("rmse_people", "kl_people", "calibration_error_people")]
    assert distances == pytest.approx([0, 0, 0], abs=1e-5)


def test_errors_are_compared_with_each_person_s(answers_table, rng):
    truth = rng.integers(2, size=60)
    responses = np.where(rng.random((5, 60)) < 0.7, truth, 1 - truth).astype(float)
    responses[0, :9] = np.nan
    p_yes = rng.random(60)
    found = score(answers_table(yes_no(p_yes), truth), responses)["error_consistency"]
    own = (p_yes > 0.5) == truth
    kappas = [
        sklearn_metrics.cohen_kappa_score(own[~np.isnan(person)], (person == truth)[~np.isnan(person)])
        for person in responses
    ]
    assert found.value == pytest.approx(np.mean(kappas))
    assert found.value in found.interval


def test_a_constant_answer_has_no_alignment_and_says_why(answers_table, rng):
    responses = (rng.random((7, 20)) < rng.random(20)).astype(float)
    found = score(answers_table(yes_no(np.full(20, 0.7)), np.zeros(20)), responses)
    for name in ("pearson", "spearman", "kappa", "error_consistency"):
        assert math.isnan(found[name].value)
        assert math.isnan(found[name].interval.low)
        assert found[name].undefined == "no variance"
    assert found["rmse_people"].undefined == ""


def test_items_without_people_or_majority_are_left_out(answers_table, rng):
    responses = (rng.random((4, 20)) < rng.random(20)).astype(float)
    responses[:, :3] = np.nan
    responses[:, 3] = [0, 0, 1, 1]
    found = score(answers_table(yes_no(rng.random(20)), np.zeros(20)), responses)
    assert found["pearson"].n == found["rmse_people"].n == found["calibration_error_people"].n == 17
    assert found["kappa"].n == (~np.isnan(ceilings.majority(responses))).sum() < 17


def test_counts_have_a_distance_in_blocks(answers_table):
    answers = answers_table(np.eye(15)[[2, 5, 7]], [-1, -1, -1], task="red_block_count")
    found = score(answers, np.array([[2.0, 4, 7], [3, 4, 7]]))
    assert found["mae_people"].value == pytest.approx((0.5 + 1 + 0) / 3)
    assert set(found) == {"pearson", "spearman", "mae_people"}


def test_published_means_allow_what_needs_no_single_answers(answers_table, rng):
    people = People(rng.random(30), np.full(30, 50))
    found = alignment_metrics(answers_table(yes_no(rng.random(30)), rng.integers(2, size=30)), people)
    assert {metric.name for metric in found} == {
        "pearson", "spearman", "rmse_people", "kl_people",
        "calibration_error_people", "calibration_error_people_if_calibrated",
    }  # fmt: skip
