"""Numbers as people's software writes them: with a decimal point, or with a decimal comma."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from vlmcog.errors import UserError

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA_NUMBER = re.compile(r"[+-]?[0-9]*,[0-9]+")
_MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_NOTHING = ("", "nan", "na", "n/a", "null", "none")


def to_numbers(
    column: pd.Series, *, source: str, rows: Sequence[int] | None = None, unit: float = 1.0
) -> Float[np.ndarray, " n"]:
    """Reads a column of numbers or their texts; NaN where a cell is empty (see `empty`) or is no number.

    `0,5` is a half. `1,250` alone could be 1.25 or 1250: it is 1.25 where another number of the column has a comma that
    can only be a decimal one, and an error otherwise.

    Args:
      column: the cells; its name is for messages.
      source: the file, for messages.
      rows: the cells' row numbers in that file; 2, 3, ... by default.
      unit: what one of the file's units is in ours: 0.001 for milliseconds as seconds.

    Raises:
      UserError: a number that could be read in two ways; names the source, the row, the column and the value.
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.to_numpy(float, na_value=np.nan) * unit
    texts = [_text(value) for value in column]
    if not any(_COMMA_NUMBER.fullmatch(text) and not _MAYBE_THOUSANDS.fullmatch(text) for text in texts):
        _refuse_ambiguous(texts, str(column.name), source, rows)
    return np.array([_number(text) for text in texts], float).reshape(len(texts)) * unit


def empty(column: pd.Series) -> Bool[np.ndarray, " n"]:
    """Says of each cell whether it has nothing: no value, no text, or a word for it such as `NA` or `null`."""
    return np.array([_text(value).lower() in _NOTHING for value in column], bool)


def decimal_commas(column: pd.Series) -> int:
    """Counts the cells whose number has a comma."""
    return sum(_COMMA_NUMBER.fullmatch(_text(value)) is not None for value in column)


def _text(value: Any) -> str:
    return "" if value is None or value is pd.NA or value is pd.NaT else str(value).strip()


def _number(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    return float(text.replace(",", ".")) if _COMMA_NUMBER.fullmatch(text) else np.nan


def _refuse_ambiguous(texts: list[str], column: str, source: str, rows: Sequence[int] | None) -> None:
    for position, text in enumerate(texts):
        if _MAYBE_THOUSANDS.fullmatch(text):
            row = position + 2 if rows is None else rows[position]
            raise UserError(
                f"{source}, row {row}, column {column}: {text!r} may be {text.replace(',', '.')} or "
                f"{text.replace(',', '')}; write a decimal point and no thousands separator"
            )
