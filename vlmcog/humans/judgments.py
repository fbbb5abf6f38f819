"""The judgment table: one row for each answer of one person to one task about one item.

Columns: `participant`, `item`, `task` (text) and `response`: the index of the option chosen in a binary or a choice
task, the number itself in a count or a rating task.
"""

import pathlib
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from vlmcog.errors import UserError
from vlmcog.tasks.answer_space import AnswerSpace
from vlmcog.tasks.registry import get_task

KEYS = ("participant", "item", "task")
COLUMNS = (*KEYS, "response")


def read_csv(path: pathlib.Path) -> pd.DataFrame:
    """Reads a judgment table from a CSV file with the columns above; further columns are left out.

    Raises:
      UserError: what `check` raises, or the file is missing or is not CSV.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot read {path}: {reason}; give a CSV file with {', '.join(COLUMNS)}") from None
    return check(table, source=str(path))


def check(table: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """Returns the table with its columns in order and numeric responses.

    Nothing is dropped or filled in: an empty or impossible response is an error.

    Args:
      table: the rows; a response may be a number or its text.
      source: the file that the rows come from, for messages; row 1 is its header.

    Raises:
      UserError: a missing column, an unknown task, an empty key, a response that its task does not allow, or a second
        response of one person to one item; names the source, the row, the column and the value.
    """
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise UserError(f"{source}: no column {missing[0]!r}; a judgment table has {', '.join(COLUMNS)}")
    for column in KEYS:
        _refuse(table[column].isna() | (table[column] == ""), table, column, source, "every row needs one")
    responses = np.asarray(pd.to_numeric(table["response"], errors="coerce"), float)
    for task in table["task"].unique():
        answers = get_task(task).answers
        wrong = (table["task"] == task) & ~_allowed(responses, answers)
        _refuse(wrong, table, "response", source, f"{task} takes {_description(answers)}")
    _refuse(table.duplicated(list(KEYS)), table, "participant", source, "a second answer to one item; keep one")
    return table.loc[:, list(COLUMNS)].assign(response=responses)


def _allowed(responses: Float[np.ndarray, " n"], answers: AnswerSpace) -> Bool[np.ndarray, " n"]:
    if answers.kind == "rating":
        return (responses >= 0) & (responses < np.inf)  # real sliders overshoot 100
    return np.isin(responses, range(len(answers.options)))


def _description(answers: AnswerSpace) -> str:
    if answers.kind == "rating":
        return "a number from 0 to 100"
    if answers.kind == "count":
        return f"a whole number from 0 to {len(answers.options) - 1}"
    return " or ".join(f"{index} ({option})" for index, option in enumerate(answers.options))


def _refuse(wrong: Any, table: pd.DataFrame, column: str, source: str, advice: str) -> None:
    if np.any(wrong):
        position = int(np.argmax(wrong))
        value = table[column].iloc[position]
        raise UserError(f"{source}, row {position + 2}, column {column}: {value!r}; {advice}")
