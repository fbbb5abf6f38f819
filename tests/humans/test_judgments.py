"""The judgment table: what is right comes back unchanged, what is wrong is named and never dropped."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.errors import UserError
from vlmcog.humans import judgments
from vlmcog.tasks import answer_space
from vlmcog.tasks.registry import TASKS
from vlmcog.tasks.task import Task

_rows = st.lists(
    st.tuples(st.text("abc", min_size=1), st.text("123", min_size=1), st.sampled_from(sorted(TASKS))).flatmap(
        lambda keys: st.tuples(*map(st.just, keys), st.integers(0, len(TASKS[keys[2]].answers.options) - 1))
    ),
    unique_by=lambda row: row[:3],
)


def _table(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["participant", "item", "task", "response"], dtype=object)


@given(_rows)
def test_every_row_comes_back(rows):
    checked = judgments.check(_table(*rows), source="memory")
    assert list(checked[[*judgments.REQUIRED]].itertuples(index=False, name=None)) == rows
    assert checked.response.dtype == float


@pytest.mark.parametrize("response", ["", "nan", None, float("nan"), "2", "-1", "0.5", "yes", float("inf")])
def test_response_that_the_task_does_not_allow(response):
    table = _table(("a", "1", "tower_falls", 1), ("b", "1", "tower_falls", response))
    with pytest.raises(UserError, match=r"people\.csv, row 3, column response: .* takes 0 \(no\) or 1 \(yes\)"):
        judgments.check(table, source="people.csv")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("", "1", "tower_falls", 1), "row 2, column participant"),
        (("a", None, "tower_falls", 1), "row 2, column item"),
        (("a", "1", "tower_fall", 1), "did you mean 'tower_falls'"),
        (("a", "1", "red_block_count", 15), "whole number from 0 to 14"),
    ],
)
def test_wrong_row_is_named(row, message):
    with pytest.raises(UserError, match=message):
        judgments.check(_table(row), source="people.csv")


def test_second_answer_is_named():
    table = _table(("a", "1", "tower_falls", 1), ("b", "1", "tower_falls", 1), ("a", "1", "tower_falls", 0))
    with pytest.raises(UserError, match="row 4, column participant: 'a'"):
        judgments.check(table, source="people.csv")


def test_missing_column_is_named():
    with pytest.raises(UserError, match="no column 'response'"):
        judgments.check(_table().drop(columns="response"), source="people.csv")


def test_what_is_optional_is_filled_in():
    checked = judgments.check(_table(("a", 7, "tower_falls", "1"), ("b", 7.0, "red_block_count", 3)), source="memory")
    assert tuple(checked.columns) == judgments.COLUMNS
    assert checked.item.tolist() == ["7", "7"]
    assert checked.scale.tolist() == ["binary", "count"]
    assert checked.order.isna().all()
    assert checked.response_time.isna().all()
    assert checked.excluded.tolist() == ["", ""]


def test_what_is_optional_is_kept():
    table = _table(("a", "1", "tower_falls", 1), ("a", "2", "tower_falls", 0))
    table = table.assign(order=["0", ""], response_time=["1.5", "NA"], excluded=[None, "asleep"])
    checked = judgments.check(table, source="memory")
    assert checked.order.tolist() == [0, pd.NA]
    assert checked.response_time.tolist() == [1.5, pytest.approx(float("nan"), nan_ok=True)]
    assert judgments.counted(checked).item.tolist() == ["1"]
    pd.testing.assert_frame_equal(judgments.check(checked, source="again"), checked)


@pytest.mark.parametrize(
    ("column", "value"),
    [("order", "-1"), ("order", "1.5"), ("order", "first"), ("response_time", "-2"), ("response_time", "inf"),
     ("response_time", "slow"), ("scale", "7"), ("scale", "0-100")],
)  # fmt: skip
def test_wrong_optional_value_is_named(column, value):
    table = _table(("a", "1", "tower_falls", 1)).assign(**{column: value})
    with pytest.raises(UserError, match=f"row 2, column {column}: '{value}'"):
        judgments.check(table, source="people.csv")


def test_an_unknown_task_is_named_with_its_row():
    table = _table(("a", "1", "tower_falls", 1), ("a", "2", "tower_fals", 0))
    with pytest.raises(UserError, match=r"people\.csv, row 3, column task: 'tower_fals'.*did you mean 'tower_falls'"):
        judgments.check(table, source="people.csv")


@pytest.fixture
def rating(monkeypatch):
    task = Task("how_responsible", "causal_reasoning", "How responsible is it?", answer_space.rating())
    monkeypatch.setitem(TASKS, task.name, task)
    return task.name


def test_a_slider_may_overshoot_and_is_said_to(rating):
    checked = judgments.check(_table(("a", "1", rating, 100), ("b", "1", rating, "120,9")), source="memory")
    assert checked.response.tolist() == [100, 120.9]
    assert judgments.overshoots(checked).tolist() == [False, True]


@pytest.mark.parametrize("response", [-1, 126, 999, float("inf")])
def test_codes_for_no_answer_are_no_ratings(rating, response):
    with pytest.raises(UserError, match="takes a number from 0 to 100"):
        judgments.check(_table(("a", "1", rating, response)), source="memory")


def test_ratings_move_from_their_own_scale_to_the_task_s(rating):
    table = _table(("a", "1", rating, 1), ("b", "1", rating, 4), ("c", "1", rating, 7), ("d", "1", rating, 4))
    checked = judgments.check(table.assign(scale=["1-7"] * 3 + [""]), source="memory")
    moved = judgments.on_task_scale(checked)
    assert moved.response.tolist() == [0, 50, 100, 4]
    assert set(moved.scale) == {"0-100"}
    assert checked.response.tolist() == [1, 4, 7, 4]


def test_a_response_off_its_own_scale_is_named(rating):
    table = _table(("a", "1", rating, 50)).assign(scale="1-7")
    with pytest.raises(UserError, match="column response: 50; how_responsible takes a number from 1 to 7"):
        judgments.check(table, source="memory")


def test_aggregates_come_back():
    table = pd.DataFrame([("1", "tower_falls", "0,5", 12, None, None), ("2", "tower_falls", "0.25", "9", "0.1", "0.5")])
    checked = judgments.check_aggregates(table.set_axis(judgments.AGGREGATE_COLUMNS, axis=1), source="memory")
    assert checked["mean"].tolist() == [0.5, 0.25]
    assert checked.n.tolist() == [12, 9]
    assert checked.low.isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (("1", "tower_falls", 1.2, 5, 0, 2), "mean"),
        (("1", "tower_falls", None, 5, 0, 1), "mean"),
        (("1", "tower_falls", 0.5, 0, 0, 1), "n"),
        (("1", "tower_falls", 0.5, 2.5, 0, 1), "n"),
        (("1", "tower_falls", 0.5, 5, 0.6, 1), "low"),
        (("1", "tower_falls", 0.5, 5, 0, 0.4), "high"),
        (("1", "tower_falls", 0.5, 5, None, 1), "low"),
        ((" ", "tower_falls", 0.5, 5, 0, 1), "item"),
    ],
)
def test_wrong_aggregate_is_named(row, column):
    table = pd.DataFrame([row], columns=list(judgments.AGGREGATE_COLUMNS))
    with pytest.raises(UserError, match=f"row 2, column {column}"):
        judgments.check_aggregates(table, source="means.csv")


def test_second_aggregate_is_named():
    rows = [("1", "tower_falls", 0.5, 5)] * 2
    with pytest.raises(UserError, match="row 3, column item"):
        judgments.check_aggregates(pd.DataFrame(rows, columns=list(judgments.AGGREGATE_REQUIRED)), source="means.csv")
