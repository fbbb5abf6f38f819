import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from vlmcog.statistics import agreement
from vlmcog.statistics.multiple import holm
from vlmcog.statistics.permutation import accuracy_test, holm_matrix, paired_permutation_test


def mean(x):
    return x.mean(-1)


@hypothesis.settings(max_examples=30)
@hypothesis.given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_agrees_with_statsmodels(p_values):
    theirs = multipletests(p_values, method="holm")[1] if p_values else []
    np.testing.assert_allclose(holm(np.array(p_values, float)), theirs)


def test_holm_leaves_the_undefined_out():
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04])), [0.02, np.nan, 0.04])


@pytest.mark.parametrize("n", [5, 9, 12])
def test_few_items_are_tested_exactly_as_by_scipy(n):
    x, y = np.random.default_rng(n).normal([[0.0], [0.5]], 1.0, size=(2, n))
    theirs = stats.permutation_test(
        (x, y), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    ours = paired_permutation_test(mean, x, y)
    assert ours.value == pytest.approx(theirs.statistic)
    assert ours.p_value == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("seed", range(8))
def test_accuracies_are_tested_as_by_all_exchanges(seed):
    first, second = np.random.default_rng(seed).random((2, 11)) < [[0.4], [0.7]]
    exact, all_exchanges = accuracy_test(first, second), paired_permutation_test(agreement.accuracy, first, second)
    assert exact.value == pytest.approx(all_exchanges.value)
    assert exact.p_value == pytest.approx(all_exchanges.p_value)


def test_equal_correctness_is_no_evidence():
    same = np.array([True, False, True])
    assert accuracy_test(same, same).p_value == 1.0


def test_many_items_are_tested_as_by_scipy():
    x, y = np.random.default_rng(0).normal([[0.0], [0.3]], 1.0, size=(2, 80))
    assert paired_permutation_test(mean, x, y).p_value == pytest.approx(stats.ttest_rel(x, y).pvalue, abs=0.02)


def test_a_model_differs_from_itself_by_nothing():
    x = np.random.default_rng(0).normal(size=30)
    same = paired_permutation_test(mean, x, x)
    assert (same.value, same.p_value) == (0, 1)


def test_false_alarms_come_at_the_nominal_rate():
    rng = np.random.default_rng(0)
    people = rng.normal(size=(400, 30))
    p_values = [
        paired_permutation_test(agreement.pearson, *(row + rng.normal(size=(2, 30))), row, permutations=300).p_value
        for row in people
    ]
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.08


def test_a_real_difference_is_found():
    rng = np.random.default_rng(0)
    people = rng.normal(size=60)
    near, far = people + 0.5 * rng.normal(size=60), rng.normal(size=60)
    assert paired_permutation_test(agreement.pearson, near, far, people, permutations=999).p_value < 0.01


def test_the_undefined_is_not_tested():
    constant = np.zeros(20)
    assert np.isnan(paired_permutation_test(agreement.pearson, constant, np.arange(20.0), np.arange(20.0)).p_value)


def test_the_matrix_corrects_for_all_pairs():
    rng = np.random.default_rng(0)
    correct = (rng.random((4, 40)) < np.array([0.5, 0.55, 0.6, 0.95])[:, None]).astype(float)
    corrected = holm_matrix(agreement.accuracy, correct, permutations=999)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    alone = [
        paired_permutation_test(agreement.accuracy, correct[i], correct[j], permutations=999).p_value for i, j in pairs
    ]
    np.testing.assert_allclose([corrected[j, i] for i, j in pairs], multipletests(alone, method="holm")[1])
    assert np.isnan(np.diag(corrected)).all()
