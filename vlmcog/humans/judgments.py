"""The judgment table: one row for each answer of one person to one task about one item.

| column | holds |
|---|---|
| `participant`, `item`, `task` | text; together they name the answer |
| `response` | the index of the option chosen in a binary or a choice task, the number itself in a count or a rating |
| `scale` | what the response lies on: `binary`, `choice`, `count`, or a rating's ends, such as `0-100` or `1-7` |
| `order` | the trial's place in the person's session, a whole number from 0; missing where unknown |
| `response_time` | seconds; missing where unknown |
| `excluded` | why the answer doesn't count (see `exclusions.py`); empty where it does |

Only the first four are needed. A set that publishes no single answers has the aggregate table instead: `item`, `task`,
`mean` and `n`, the number of people, with the interval `low`, `high` where there is one.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from vlmcog.errors import UserError
from vlmcog.humans.numbers import empty, to_numbers
from vlmcog.tasks.answer_space import AnswerSpace
from vlmcog.tasks.registry import get_task

KEYS = ("participant", "item", "task")
REQUIRED = (*KEYS, "response")
COLUMNS = (*REQUIRED, "scale", "order", "response_time", "excluded")
AGGREGATE_REQUIRED = ("item", "task", "mean", "n")
AGGREGATE_COLUMNS = (*AGGREGATE_REQUIRED, "low", "high")
OVERSHOOT = 0.25

_ENDS = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


def check(table: pd.DataFrame, *, source: str, rows: Sequence[int] | None = None) -> pd.DataFrame:
    """Returns the table with all its columns in order: numbers as numbers, what is optional filled in.

    No row is dropped and no answer changed: an empty or impossible response is an error. Real sliders overshoot, so a
    rating may exceed its scale's upper end by `OVERSHOOT` of its length; it may not fall below the lower one, since -1
    is how files say that there is no answer.

    Args:
      table: the rows; a number may be its text, with a decimal point or a decimal comma.
      source: the file that the rows come from, for messages.
      rows: the rows' numbers in that file; by default 2, 3, ..., as below a header.

    Raises:
      UserError: a missing column, an unknown task or scale, an empty key, a response that its task does not allow, a
        negative or fractional order, a negative response time, or a second response of one person to one item; names
        the source, the row, the column and the value.
    """
    _require(table, REQUIRED, "judgment", source)
    table, refuse = _prepared(table, source, rows)
    for column in KEYS:
        table[column] = _keys(table, column, refuse)
    _refuse_unknown_tasks(table, refuse)
    responses = table["response"] = _numbers(table, "response", source, rows)
    table["scale"] = _scales(table, refuse)
    for task, scale in table[["task", "scale"]].drop_duplicates().itertuples(index=False):
        answers = get_task(task).answers
        wrong = (table["task"] == task) & (table["scale"] == scale) & ~_allowed(responses, answers, scale)
        refuse(wrong, "response", f"{task} takes {_description(answers, scale)}")
    table["order"] = _orders(table, source, rows, refuse)
    table["response_time"] = _response_times(table, source, rows, refuse)
    table["excluded"] = _texts(table, "excluded")
    refuse(table.duplicated(list(KEYS)), "participant", "a second answer to one item; keep one")
    return table.loc[:, list(COLUMNS)]


def check_aggregates(table: pd.DataFrame, *, source: str, rows: Sequence[int] | None = None) -> pd.DataFrame:
    """Returns the aggregate table with all its columns in order and as numbers; `low` and `high` may be missing.

    Raises:
      UserError: a missing column, an unknown task, an empty key, a mean that its task does not allow, a number of
        people that is no whole number from 1, an interval that does not hold the mean, or a second row for one item
        and task; names the source, the row, the column and the value.
    """
    _require(table, AGGREGATE_REQUIRED, "aggregate", source)
    table, refuse = _prepared(table, source, rows)
    for column in ("item", "task"):
        table[column] = _keys(table, column, refuse)
    _refuse_unknown_tasks(table, refuse)
    for column in ("mean", "n", "low", "high"):
        numbers = _numbers(table, column, source, rows)
        if column in table.columns:
            refuse(np.isnan(numbers) & ~empty(_column(table, column)), column, "a number, or empty")
        table[column] = numbers
    for task in table["task"].unique():
        low, high = _mean_range(get_task(task).answers)
        wrong = (table["task"] == task) & ~table["mean"].between(low, high)
        refuse(wrong, "mean", f"the mean of {task} lies between {low:g} and {high:g}")
    refuse(~((table["n"] >= 1) & (table["n"] % 1 == 0)), "n", "the number of people is a whole number from 1")
    refuse(table["low"] > table["mean"], "low", "an interval holds its mean")
    refuse(table["high"] < table["mean"], "high", "an interval holds its mean")
    refuse(table["low"].isna() != table["high"].isna(), "low", "an interval has two ends, or neither")
    refuse(table.duplicated(["item", "task"]), "item", "a second mean of one item and task; keep one")
    return table.loc[:, list(AGGREGATE_COLUMNS)].astype({"n": int})


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows that no rule has excluded."""
    return table.loc[table["excluded"] == ""]


def fingerprint(table: pd.DataFrame) -> str:
    """Returns a digest of a table: equal for equal judgments in equal order, whether read from CSV or Parquet."""
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()


def overshoots(table: pd.DataFrame) -> Bool[np.ndarray, " n"]:
    """Says of each row of a checked table whether it is a rating beyond its scale's upper end."""
    highs = np.array([(_ends(scale) or (0.0, np.inf))[1] for scale in table["scale"]])
    return table["response"].to_numpy(float) > highs


def on_task_scale(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a checked table whose ratings are mapped linearly from their own scale onto their task's.

    Datasets and item means need one scale a task. A middle stays a middle: 4 on `1-7` is 50 on `0-100`.
    """
    table = table.copy()
    for task, scale in table[["task", "scale"]].drop_duplicates().itertuples(index=False):
        own, common = _ends(scale), _ends(scale_of(get_task(task).answers))
        if own and common and own != common:
            rows = (table["task"] == task) & (table["scale"] == scale)
            share = (table.loc[rows, "response"] - own[0]) / (own[1] - own[0])
            table.loc[rows, "response"] = common[0] + share * (common[1] - common[0])
            table.loc[rows, "scale"] = scale_of(get_task(task).answers)
    return table


def scale_of(answers: AnswerSpace) -> str:
    """Returns the name of the scale on which a task's own answers lie."""
    return f"{answers.options[0]}-{answers.options[-1]}" if answers.kind == "rating" else answers.kind


def _prepared(table: pd.DataFrame, source: str, rows: Sequence[int] | None) -> tuple[pd.DataFrame, "_Refuse"]:
    table = table.reset_index(drop=True)
    return table, _Refuse(table.copy(), source, rows)


class _Refuse:
    """Raises for the first row that is wrong, quoting the table as it was given."""

    def __init__(self, given: pd.DataFrame, source: str, rows: Sequence[int] | None):
        self.given, self.source, self.rows = given, source, rows

    def __call__(self, wrong: Any, column: str, advice: str) -> None:
        if np.any(wrong):
            position = int(np.argmax(wrong))
            row = position + 2 if self.rows is None else self.rows[position]
            value = self.given[column].iloc[position]
            raise UserError(f"{self.source}, row {row}, column {column}: {value!r}; {advice}")


def _require(table: pd.DataFrame, columns: Sequence[str], kind: str, source: str) -> None:
    for column in columns:
        if column not in table.columns:
            article = "an" if kind[0] in "aeiou" else "a"
            raise UserError(f"{source}: no column {column!r}; {article} {kind} table has {', '.join(columns)}")
    for column in table.columns[table.columns.duplicated()]:
        raise UserError(f"{source}: two columns are named {column!r}; keep one")


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return pd.Series(table[name])


def _keys(table: pd.DataFrame, column: str, refuse: _Refuse) -> pd.Series:
    texts = _texts(table, column)
    refuse(texts.str.strip() == "", column, "every row needs one")
    return texts


def _refuse_unknown_tasks(table: pd.DataFrame, refuse: _Refuse) -> None:
    for task in table["task"].unique():
        try:
            get_task(task)
        except UserError as error:
            refuse(table["task"] == task, "task", str(error))


def _texts(table: pd.DataFrame, column: str) -> pd.Series:
    """A column as text, empty where it has nothing; whole numbers without a point, however they are stored."""
    if column not in table.columns:
        return pd.Series("", index=table.index, dtype=object)
    return pd.Series([_text(value) for value in table[column]], index=table.index, dtype=object)


def _text(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _numbers(table: pd.DataFrame, column: str, source: str, rows: Sequence[int] | None) -> Float[np.ndarray, " n"]:
    if column not in table.columns:
        return np.full(len(table), np.nan)
    return to_numbers(_column(table, column), source=source, rows=rows)


def _scales(table: pd.DataFrame, refuse: _Refuse) -> pd.Series:
    """Each row's scale; its task's own where none is given."""
    answers = {task: get_task(task).answers for task in table["task"].unique()}
    own = [scale_of(answers[task]) for task in table["task"]]
    scales = [given or scale for given, scale in zip(_texts(table, "scale"), own, strict=True)]
    allowed = [scale == mine or bool(_ends(scale) and _ends(mine)) for scale, mine in zip(scales, own, strict=True)]
    refuse(
        ~np.array(allowed, bool), "scale", "a rating's scale is its two ends, such as 1-7; other tasks have their own"
    )
    return pd.Series(scales, index=table.index, dtype=object)


def _ends(scale: str) -> tuple[float, float] | None:
    match = _ENDS.fullmatch(scale)
    low, high = map(float, match.groups()) if match else (0.0, 0.0)
    return (low, high) if low < high else None


def _allowed(responses: Float[np.ndarray, " n"], answers: AnswerSpace, scale: str) -> Bool[np.ndarray, " n"]:
    if ends := _ends(scale):
        low, high = ends
        return (responses >= low) & (responses <= high + OVERSHOOT * (high - low))
    return np.isin(responses, range(len(answers.options)))


def _description(answers: AnswerSpace, scale: str) -> str:
    if ends := _ends(scale):
        return f"a number from {ends[0]:g} to {ends[1]:g} (or {OVERSHOOT:.0%} beyond, where a slider overshot)"
    if answers.kind == "count":
        return f"a whole number from 0 to {len(answers.options) - 1}"
    return " or ".join(f"{index} ({option})" for index, option in enumerate(answers.options))


def _mean_range(answers: AnswerSpace) -> tuple[float, float]:
    ends = _ends(scale_of(answers)) or (0.0, len(answers.options) - 1.0)
    return ends[0], ends[1] * (1 + OVERSHOOT) if answers.kind == "rating" else ends[1]


def _orders(table: pd.DataFrame, source: str, rows: Sequence[int] | None, refuse: _Refuse) -> pd.Series:
    orders = _numbers(table, "order", source, rows)
    if "order" in table.columns:
        right = (orders >= 0) & (orders < 2**53) & (orders % 1 == 0)
        refuse(~right & ~empty(_column(table, "order")), "order", "a trial's place is a whole number from 0, or empty")
    return pd.Series(orders, index=table.index).astype("Int64")


def _response_times(
    table: pd.DataFrame, source: str, rows: Sequence[int] | None, refuse: _Refuse
) -> Float[np.ndarray, " n"]:
    seconds = _numbers(table, "response_time", source, rows)
    if "response_time" in table.columns:
        right = (seconds >= 0) & (seconds < np.inf)
        refuse(
            ~right & ~empty(_column(table, "response_time")), "response_time", "a time is in seconds from 0, or empty"
        )
    return seconds
