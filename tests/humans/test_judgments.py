"""The judgment table: what is right comes back unchanged, what is wrong is named and never dropped."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.errors import UserError
from vlmcog.humans import judgments
from vlmcog.tasks.registry import TASKS

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
    assert list(checked.itertuples(index=False, name=None)) == rows
    assert checked.response.dtype == float


def test_csv_round_trip(tmp_path):
    table = _table(("0", "007", "tower_falls", 1.0), ("NA", "007", "red_block_count", 3.0))
    table.assign(worker_ip="1.2.3.4").to_csv(tmp_path / "judgments.csv", index=False)
    checked = judgments.read_csv(tmp_path / "judgments.csv")
    assert list(checked.columns) == list(judgments.COLUMNS)
    assert checked.participant.tolist() == ["0", "NA"]
    assert checked.item.tolist() == ["007", "007"]


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


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b'participant,item\n"a,b\n'])
def test_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "people.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"people\.csv"):
        judgments.read_csv(path)
