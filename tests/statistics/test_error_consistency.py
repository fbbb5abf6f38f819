import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn import metrics

from vlmcog.statistics import agreement, error_consistency, pairs


def rows(rng, n_rows=6, n_items=30, holes=0.0):
    right = (rng.random((n_rows, n_items)) < rng.beta(2, 1, size=n_items)).astype(float)
    return np.where(rng.random(right.shape) < holes, np.nan, right)


@hypothesis.given(st.integers(0, 2**32 - 1), st.integers(4, 40))
def test_it_is_scikit_learn_s_kappa_of_correctness(seed, n):
    first, second = rows(np.random.default_rng(seed), 2, n)
    hypothesis.assume(np.ptp(first) > 0 and np.ptp(second) > 0)
    theirs = metrics.cohen_kappa_score(first, second)
    assert error_consistency.error_consistency(first == 1, second == 1) == pytest.approx(theirs)


@hypothesis.given(st.integers(0, 2**32 - 1), st.integers(4, 40))
def test_it_lies_within_its_bounds(seed, n):
    first, second = rows(np.random.default_rng(seed), 2, n) == 1
    compared = error_consistency.compare(first, second, resamples=50)
    if compared.undefined:
        assert np.isnan([compared.kappa, compared.lowest, compared.highest, compared.interval.low]).all()
    else:
        assert compared.lowest - 1e-12 <= compared.kappa <= compared.highest + 1e-12


@hypothesis.given(st.integers(1, 19), st.integers(1, 19))
def test_the_bounds_are_reached_by_nested_and_by_disjoint_errors(first, second):
    """Of 20 items: errors on the same items as far as possible, and on different ones as far as possible."""
    x, y = np.arange(20) < first, np.arange(20) < second
    lowest, highest = error_consistency.bounds(first / 20, second / 20)
    assert error_consistency.error_consistency(x, y) == pytest.approx(highest)
    assert error_consistency.error_consistency(x, y[::-1]) == pytest.approx(lowest)


def test_known_overlap_is_recovered():
    """With probability c two observers of accuracy 0.7 share their luck, else not: error consistency is c."""
    rng = np.random.default_rng(0)
    shared, first, second = rng.random((3, 40_000)) < 0.7
    together = rng.random(40_000) < 0.4
    compared = error_consistency.compare(
        np.where(together, shared, first), np.where(together, shared, second), resamples=5
    )
    assert compared.kappa == pytest.approx(0.4, abs=0.02)
    assert compared.expected == pytest.approx(0.7**2 + 0.3**2, abs=0.02)
    assert compared.observed == pytest.approx(0.4 + 0.6 * 0.58, abs=0.02)


def test_avoiding_each_other_s_errors_is_negative():
    assert error_consistency.error_consistency(np.array([1, 1, 0, 0]) == 1, np.array([0, 0, 1, 1]) == 1) == -1


@pytest.mark.parametrize("constant", [True, False])
def test_without_errors_or_successes_there_is_nothing_to_compare(constant):
    compared = error_consistency.compare(np.full(8, constant), np.arange(8) % 2 == 0)
    assert np.isnan(compared.kappa)
    assert compared.undefined.startswith("no variance")


@hypothesis.settings(max_examples=15)
@hypothesis.given(st.integers(0, 2**32 - 1))
def test_the_matrix_agrees_with_scikit_learn_on_common_items(seed):
    correct = rows(np.random.default_rng(seed), 5, 14, holes=0.3)
    for i, j in np.ndindex(5, 5):
        common = ~np.isnan(correct[[i, j]]).any(0)
        x, y = correct[i, common], correct[j, common]
        ours = error_consistency.matrix(correct)[i, j]
        if common.any() and np.ptp(x) and np.ptp(y):
            assert ours == pytest.approx(metrics.cohen_kappa_score(x, y))
        else:
            assert np.isnan(ours)


def test_kappa_of_several_options_agrees_with_scikit_learn():
    responses = np.random.default_rng(0).integers(5, size=(4, 60)).astype(float)
    theirs = [[metrics.cohen_kappa_score(x, y) for y in responses] for x in responses]
    np.testing.assert_allclose(pairs.kappa_matrix(responses), theirs)
    off_diagonal = np.array(theirs)[~np.eye(4, dtype=bool)]
    assert pairs.mean_kappa(responses) == pytest.approx(off_diagonal.mean())


def test_item_weights_count_items_several_times():
    rng = np.random.default_rng(0)
    responses = rng.integers(3, size=(5, 12)).astype(float)
    weights = rng.integers(3, size=12)
    np.testing.assert_allclose(
        pairs.kappa_matrix(responses, weights.astype(float)), pairs.kappa_matrix(np.repeat(responses, weights, axis=1))
    )


def test_a_person_drawn_twice_is_not_compared_with_themselves():
    values = np.array([[1.0, 0.2, np.nan], [0.2, 1.0, 0.4], [np.nan, 0.4, 1.0]])
    np.testing.assert_allclose(
        pairs.pair_mean(values, np.array([[1.0, 1, 1], [2, 1, 0], [3, 0, 0]])), [0.3, 0.2, np.nan]
    )


def test_resamples_all_at_once_are_the_mean_over_pairs_one_by_one(monkeypatch):
    """With holes, several options, people who always answer the same, and parts that don't come out even."""
    rng = np.random.default_rng(0)
    responses = rng.integers(3, size=(6, 11)).astype(float)
    responses[rng.random(responses.shape) < 0.2] = np.nan
    responses[2] = 1
    people, items = (rng.multinomial(n, np.full(n, 1 / n), size=25).astype(float) for n in responses.shape)
    monkeypatch.setattr(pairs, "_IN_CACHE", 40)
    for some, all_rows in ((people, people), (np.ones((1, 6)), np.ones((25, 6)))):
        expected = [_mean_over_pairs(responses, *drawn) for drawn in zip(all_rows, items, strict=True)]
        np.testing.assert_allclose(pairs._mean_kappas(responses, some, items), expected)


def _mean_over_pairs(responses, people, items):
    kappas, weights = [], []
    for first, second in itertools.combinations(range(len(responses)), 2):
        rows = np.repeat(responses[[first, second]], items.astype(int), axis=1)
        both = rows[:, ~np.isnan(rows).any(0)]
        kappa = np.nan if both.shape[1] == 0 else float(agreement.cohen_kappa(*both))
        if not np.isnan(kappa):
            kappas.append(kappa)
            weights.append(people[first] * people[second])
    return np.average(kappas, weights=weights) if sum(weights) else np.nan


def test_people_who_err_at_random_have_none():
    correct = (np.random.default_rng(0).random((20, 60)) < 0.7).astype(float)
    assert error_consistency.mean_of_pairs(correct) == pytest.approx(0, abs=0.03)
    assert 0 in error_consistency.mean_of_pairs_interval(correct, resamples=100)


def test_correctness_keeps_holes():
    correct = error_consistency.correctness(np.array([[0.0, 1.0, np.nan]]), np.array([0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(correct, [[1, 0, np.nan]])


def test_nobody_s_answers_have_no_kappa():
    assert np.isnan(pairs.mean_kappa(np.full((3, 4), np.nan)))
