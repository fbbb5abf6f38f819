import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from vlmcog.evaluation.consistency import COLUMNS, consistency
from vlmcog.evaluation.people import People
from vlmcog.statistics import ceilings, error_consistency
from vlmcog.statistics.multiple import holm

NAMES = ("tiny", "observer: a", "observer: b")


@pytest.fixture
def answers(answers_table):
    rng = np.random.default_rng(0)
    truth = np.concatenate([rng.integers(2, size=50), [-1, -1]])
    tables = [answers_table(rng.dirichlet([1, 1], 52), truth).assign(model=name) for name in NAMES]
    return pd.concat(tables, ignore_index=True)


def correct(answers, name):
    rows = answers[(answers.model == name) & (answers.answer != -1)]
    return (rows.response == rows.answer).to_numpy()


def test_every_two_are_compared_over_the_items_that_have_a_truth(answers):
    table = consistency(answers, None)
    assert list(table.columns) == list(COLUMNS)
    assert list(zip(table["first"], table["second"], strict=True)) == [NAMES[:2], NAMES[::2], NAMES[1:]]
    assert set(table.n) == {50}
    first, second = correct(answers, "tiny"), correct(answers, "observer: a")
    row = table.iloc[0]
    assert row.error_consistency == pytest.approx(sklearn_metrics.cohen_kappa_score(first, second))
    assert row.ci_low < row.error_consistency < row.ci_high
    assert row.lowest <= row.error_consistency <= row.highest
    assert row.observed == (first == second).mean()
    assert row.accuracy_difference == pytest.approx(first.mean() - second.mean())


def test_differences_of_accuracy_are_tested_and_corrected(answers):
    pairs = [(a, b) for k, a in enumerate(NAMES) for b in NAMES[k + 1 :]]
    table = consistency(answers, None)
    raw = []
    for first, second in (map(lambda name: correct(answers, name), pair) for pair in pairs):
        gained, lost = (first & ~second).sum(), (~first & second).sum()
        raw.append(stats.binomtest(gained, gained + lost).pvalue)
    np.testing.assert_allclose(table.p_holm, holm(np.array(raw)))


def test_people_are_one_more(answers):
    rng = np.random.default_rng(1)
    responses = rng.integers(2, size=(6, 52)).astype(float)
    people = People(ceilings.item_means(responses), np.full(52, 6), responses)
    table = consistency(answers, people)
    with_people = table[table["first"] == "people"].set_index("second")
    assert list(with_people.index) == ["people", *NAMES]
    truth = answers.answer.to_numpy()[:50]
    theirs = (responses[:, :50] == truth).astype(float)
    assert with_people.error_consistency["people"] == error_consistency.mean_of_pairs(theirs)
    kappas = [sklearn_metrics.cohen_kappa_score(correct(answers, "tiny"), person) for person in theirs]
    assert with_people.error_consistency["tiny"] == pytest.approx(np.mean(kappas))


def test_without_a_truth_there_is_nothing_to_compare(answers):
    table = consistency(answers.assign(answer=-1), None)
    assert table.empty
    assert list(table.columns) == list(COLUMNS)


def test_one_that_is_always_right_has_no_value(answers):
    table = consistency(
        answers.assign(response=np.where(answers.model == "tiny", answers.answer, answers.response)), None
    )
    assert table.error_consistency.isna().tolist() == [True, True, False]
    assert table.accuracy_difference.notna().all()
