"""Exclusion rules: nothing is dropped, what is excluded has its reason, and the right ones are found."""

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmcog.humans import exclusions, judgments

TASK = "tower_falls"


def table_of(responses, times=None) -> pd.DataFrame:
    """People x items as a judgment table, in the order of the items; NaN is no answer."""
    rows = [
        {"participant": f"p{p}", "item": f"i{i}", "task": TASK, "response": answer, "order": i,
         "response_time": None if times is None else times[p][i]}
        for p, row in enumerate(responses) for i, answer in enumerate(row) if not np.isnan(answer)
    ]  # fmt: skip
    return judgments.check(pd.DataFrame(rows, columns=[c for c in judgments.COLUMNS if c != "excluded"]), source="made")


def out(table) -> set[str]:
    return set(table.participant[table.excluded != ""])


@pytest.fixture
def people():
    return np.random.default_rng(0).integers(2, size=(12, 20)).astype(float)


def test_constant_and_alternating_responders(people):
    people[3], people[5] = 1, np.arange(20) % 2
    table = exclusions.apply(table_of(people), (exclusions.constant_responders, exclusions.alternating_responders))
    assert out(table) == {"p3", "p5"}
    assert set(table.excluded) == {"", "gave the same answer to every item", "alternated between two answers"}


def test_order_of_trials_and_not_of_rows_makes_alternation(people):
    people[5] = np.arange(20) % 2
    table = table_of(people).sample(frac=1, random_state=0)
    assert out(exclusions.alternating_responders(table)) == {"p5"}
    assert out(exclusions.alternating_responders(table.assign(order=pd.NA))) == set()


def test_attention_checks(people):
    right = {("i0", TASK): 1.0, ("i1", TASK): 0.0}
    people[:, :2] = [1, 0]
    people[2, 0], people[4, :2] = 0, [0, 1]
    rule = functools.partial(exclusions.attention_checks, right=right)
    strict, lenient = rule(table_of(people)), rule(table_of(people), most_wrong=1)
    assert set(strict.participant[strict.excluded.str.startswith("failed")]) == {"p2", "p4"}
    assert set(lenient.participant[lenient.excluded.str.startswith("failed")]) == {"p4"}
    assert not set(judgments.counted(strict).item) & {"i0", "i1"}


def test_accuracy_outlier_is_the_one_who_guesses():
    rng = np.random.default_rng(1)
    truth = rng.integers(2, size=200)
    responses = np.where(rng.random((20, 200)) < np.linspace(0.8, 0.9, 20)[:, None], truth, 1 - truth).astype(float)
    responses[7] = rng.integers(2, size=200)
    table = exclusions.accuracy_outliers(table_of(responses), truth={(f"i{i}", TASK): t for i, t in enumerate(truth)})
    assert out(table) == {"p7"}
    assert table.excluded[table.participant == "p7"].str.match(r"right on \d+%").all()


def test_response_times(people):
    times = np.exp(np.random.default_rng(2).normal(0, 0.3, size=people.shape))
    times[2, 4], times[3, 5], times[6] = 300, 0, times[6] * 50
    trials = exclusions.response_time_outliers(table_of(people, times), deviations=5)
    assert set(zip(trials.participant, trials.item, strict=True)) >= {("p2", "i4")}
    assert {("p2", "i4"), ("p3", "i5")} == set(
        trials.loc[trials.excluded != "", ["participant", "item"]].itertuples(index=False, name=None)
    )
    assert "300 s" in trials.excluded[(trials.participant == "p2") & (trials.item == "i4")].iloc[0]
    slow = exclusions.response_time_outlier_people(table_of(people, times), deviations=5)
    assert "p6" in out(slow)
    assert out(exclusions.response_time_outliers(table_of(people))) == set()


def test_a_rule_looks_only_at_what_still_counts(people):
    """Without the one other answer a person is constant, once that answer is excluded."""
    people[3], people[3, 0] = 1, 0
    table = table_of(people)
    first = table.assign(excluded=np.where((table.participant == "p3") & (table.item == "i0"), "a pilot item", ""))
    both = exclusions.constant_responders(first)
    assert out(exclusions.constant_responders(table)) == set()
    assert out(both) == {"p3"}
    assert "a pilot item" in set(both.excluded)


def test_summary_counts_everything(people):
    people[3], people[4] = 1, 0
    summary = exclusions.summary(exclusions.constant_responders(table_of(people)))
    assert summary.answers.sum() == people.size
    assert summary.set_index("reason").people.to_dict() == {"counts": 10, "gave the same answer to every item": 2}


RULES = (
    functools.partial(exclusions.attention_checks, right={("i0", TASK): 1.0}),
    exclusions.constant_responders,
    exclusions.alternating_responders,
    functools.partial(exclusions.accuracy_outliers, truth={("i1", TASK): 1.0, ("i2", TASK): 0.0}),
    exclusions.response_time_outliers,
    exclusions.response_time_outlier_people,
)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.permutations(RULES), st.integers(0, 6), st.integers(0, 12))
def test_no_rule_drops_or_changes_anything_else(seed, rules, n_people, n_items):
    rng = np.random.default_rng(seed)
    responses = np.where(rng.random((n_people, n_items)) < 0.2, np.nan, rng.integers(2, size=(n_people, n_items)))
    times = np.where(rng.random(responses.shape) < 0.2, np.nan, rng.exponential(size=responses.shape))
    table = table_of(responses, times)
    ruled = exclusions.apply(table, rules)
    pd.testing.assert_frame_equal(ruled.drop(columns="excluded"), table.drop(columns="excluded"))
    settled = exclusions.apply(table.assign(excluded="before"), rules)
    assert settled.excluded.tolist() == ["before"] * len(table)
