import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from vlmcog.statistics import ceilings


def people(rng, n_people=40, n_items=60, noise=2.0):
    """Graded responses: the item's own value and everyone's noise. True reliability of the mean is known."""
    value = rng.normal(size=n_items)
    return value, value + noise * rng.normal(size=(n_people, n_items))


def yes_no(rng, n_people=40, n_items=60):
    return (rng.random((n_people, n_items)) < rng.beta(0.7, 0.7, size=n_items)).astype(float)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def with_holes(rng, responses, share=0.3):
    return np.where(rng.random(responses.shape) < share, np.nan, responses)


def test_leave_one_out_agrees_with_the_loop(rng):
    responses = with_holes(rng, yes_no(rng))
    theirs = []
    for person in range(len(responses)):
        others = np.nanmean(np.delete(responses, person, axis=0), axis=0)
        given = ~np.isnan(responses[person])
        theirs.append(stats.pearsonr(responses[person, given], others[given]).statistic)
    np.testing.assert_allclose(ceilings.leave_one_out_correlations(responses), theirs)
    assert ceilings.leave_one_out(responses) == pytest.approx(np.mean(theirs))


def test_leaving_the_person_in_would_inflate(rng):
    """People who answer at random agree with nobody, but do with a mean that holds themselves."""
    responses = rng.integers(2, size=(8, 400)).astype(float)
    inflated = np.mean([stats.pearsonr(row, responses.mean(0)).statistic for row in responses])
    assert inflated > 0.3
    assert abs(ceilings.leave_one_out(responses)) < 0.05


def test_split_half_recovers_the_known_reliability(rng):
    _, responses = people(rng, n_people=20, n_items=4000, noise=3.0)
    known = 1 / (1 + 3.0**2 / 20)
    assert ceilings.split_half_reliability(responses, halves=50) == pytest.approx(known, abs=0.02)


def test_the_root_of_the_reliability_is_what_the_true_values_reach(rng):
    value, responses = people(rng, n_people=10, n_items=4000, noise=4.0)
    reached = stats.pearsonr(value, responses.mean(0)).statistic
    ceiling = ceilings.correlation_ceiling(ceilings.split_half_reliability(responses, halves=50))
    assert ceiling == pytest.approx(reached, abs=0.02)
    assert ceiling > ceilings.leave_one_out(responses)


def test_split_half_agrees_with_the_loop_on_an_odd_number_with_holes(rng):
    responses = with_holes(rng, yes_no(rng, n_people=7), share=0.1)
    order = np.random.default_rng(5).permutation(7)
    halves = [np.nanmean(responses[half], axis=0) for half in (order[:3], order[3:])]
    given = ~np.isnan(halves).any(0)
    r = stats.pearsonr(halves[0][given], halves[1][given]).statistic
    assert ceilings.split_half_reliability(responses, seed=5, halves=1) == pytest.approx(2 * r / (1 + r))


@hypothesis.given(st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=20, deadline=None)
def test_neither_the_order_of_items_nor_a_linear_scale_matters(seed):
    rng = np.random.default_rng(seed)
    responses = yes_no(rng, 8, 12)
    moved = 3 * responses[:, rng.permutation(12)] + 1
    for ceiling in (ceilings.leave_one_out, ceilings.split_half_reliability):
        np.testing.assert_allclose(ceiling(moved), ceiling(responses), atol=1e-9)


def test_identical_people_are_perfectly_reliable():
    responses = np.tile([0.0, 1.0, 1.0, 0.0], (6, 1))
    assert ceilings.leave_one_out(responses) == pytest.approx(1)
    assert ceilings.split_half_reliability(responses) == pytest.approx(1)


def test_people_who_always_answer_the_same_have_no_ceiling():
    assert math.isnan(ceilings.leave_one_out(np.ones((5, 8))))
    assert math.isnan(ceilings.split_half_reliability(np.ones((5, 8))))
    assert math.isnan(ceilings.split_half_interval(np.ones((5, 8))).low)
    assert math.isnan(ceilings.correlation_ceiling(-0.1))


def test_one_person_has_no_ceiling():
    alone = np.array([[0.0, 1.0, 1.0, 0.0]])
    assert math.isnan(ceilings.leave_one_out(alone))
    assert math.isnan(ceilings.split_half_reliability(alone))


@pytest.mark.parametrize("seed", range(5))
def test_few_items_have_a_wide_interval_but_a_bounded_one(seed):
    """In resamples of 6 items some halves correlate near -1, where the formula of Spearman and Brown has no bound."""
    rng = np.random.default_rng(seed)
    responses = (rng.random((12, 6)) < rng.random(6)).astype(float)
    interval = ceilings.split_half_interval(responses)
    assert -1 <= interval.low < ceilings.split_half_reliability(responses) <= interval.high <= 1


def test_opposite_halves_have_a_negative_reliability():
    opposite = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]])
    assert ceilings.split_half_reliability(opposite) == pytest.approx(-1)


def test_a_person_without_variance_is_left_out_of_the_mean(rng):
    responses = yes_no(rng)
    correlations = ceilings.leave_one_out_correlations(np.vstack([responses, np.zeros(60)]))
    assert np.isnan(correlations[-1])
    assert ceilings.leave_one_out(np.vstack([responses, np.zeros(60)])) == pytest.approx(np.nanmean(correlations))


def test_intervals_hold_their_value_and_repeat(rng):
    responses = yes_no(rng)
    for value, interval in (
        (ceilings.leave_one_out, ceilings.leave_one_out_interval),
        (ceilings.split_half_reliability, ceilings.split_half_interval),
    ):
        once = interval(responses, resamples=300)
        assert value(responses) in once
        assert once == interval(responses, resamples=300)


def test_a_person_drawn_twice_is_not_compared_with_themselves(rng):
    """Random answers have a ceiling of 0, in the interval too, even with few people."""
    responses = rng.integers(2, size=(6, 300)).astype(float)
    interval = ceilings.leave_one_out_interval(responses, resamples=300)
    assert interval.high < 0.15


def test_majority_and_accuracies():
    responses = np.array([[0, 1, 1, 0], [0, 1, 0, np.nan], [1, 1, np.nan, 1]], float)
    answer = np.array([0.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(ceilings.majority(responses), [0, 1, np.nan, np.nan])
    assert ceilings.majority_accuracy(responses, answer) == (1 + 1 + 0.5 + 0.5) / 4
    assert ceilings.individual_accuracy(responses, answer) == pytest.approx((3 / 4 + 2 / 3 + 2 / 3) / 3)
    np.testing.assert_allclose(ceilings.item_means(responses), [1 / 3, 1, 0.5, 0.5])


def test_accuracies_have_intervals_that_hold_them(rng):
    responses, answer = with_holes(rng, yes_no(rng)), np.zeros(60)
    for value, interval in (
        (ceilings.individual_accuracy, ceilings.individual_accuracy_interval),
        (ceilings.majority_accuracy, ceilings.majority_accuracy_interval),
    ):
        assert value(responses, answer) in interval(responses, answer, resamples=300)
        everyone_right = interval(np.zeros((5, 8)), np.zeros(8), resamples=50)
        assert (everyone_right.low, everyone_right.high) == (1, 1)


def test_in_sample_is_the_correlation_with_a_mean_that_holds_the_person(rng):
    responses = yes_no(rng)
    theirs = np.mean([stats.pearsonr(row, responses.mean(0)).statistic for row in responses])
    assert ceilings.in_sample(responses) == pytest.approx(theirs)
    assert ceilings.in_sample(responses) > ceilings.leave_one_out(responses)


@hypothesis.settings(max_examples=30)
@hypothesis.given(st.lists(st.integers(0, 5), min_size=2, max_size=6))
def test_the_cap_is_the_best_of_all_yes_no_answers(shares):
    means = np.array(shares) / 5
    answers = (np.arange(1, 2 ** len(means) - 1)[:, None] >> np.arange(len(means))) % 2
    if np.ptp(means) == 0:
        assert np.isnan(ceilings.binary_cap(means))
    else:
        best = max(stats.pearsonr(row, means).statistic for row in answers)
        assert ceilings.binary_cap(means) == pytest.approx(best)
        np.testing.assert_allclose(ceilings.binary_cap(np.stack([means, 1 - means])), best)


def test_a_person_without_answers_counts_nowhere():
    responses = np.array([[0.0, 1.0], [np.nan, np.nan]])
    assert ceilings.individual_accuracy(responses, np.array([0.0, 1.0])) == 1


def test_the_photo_sample_has_its_known_values(release):
    """107 people on 40 photographs of real towers; accuracies computed here straight from the files."""
    import pandas as pd

    responses = pd.read_csv(release / "data/tower_human_data.csv", index_col=0).to_numpy().T
    table = pd.read_csv(release / "data/LERER_RESULTS_NEW.csv")
    answer = table[table.Experiment == 3].GT.astype(int).to_numpy()
    assert responses.shape == (107, 40)
    assert ceilings.individual_accuracy(responses, answer) == pytest.approx((responses == answer).mean())
    assert ceilings.majority_accuracy(responses, answer) == pytest.approx(0.7)
    reliability = ceilings.split_half_reliability(responses)
    assert ceilings.leave_one_out(responses) < ceilings.correlation_ceiling(reliability) < 1


def test_few_items_lead_no_interval_beyond_a_correlation():
    """Of 14 people's ratings of 6 items the interval reached 1.03."""
    rng = np.random.default_rng(1)
    responses = rng.normal(size=6) * [1, 1, 1, 1, 1, 4] + 0.6 * rng.normal(size=(14, 6))
    around = ceilings.leave_one_out_interval(responses)
    assert -1 <= around.low < ceilings.leave_one_out(responses) < around.high <= 1
