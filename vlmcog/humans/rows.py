"""Rows of CSV and Parquet files as text, each with its number in the file; nothing is guessed and no row is lost."""

import csv
import io
import pathlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from jaxtyping import Float

from vlmcog.errors import UserError
from vlmcog.humans.numbers import to_numbers

DELIMITERS = (",", ";", "\t")
_PARQUET_SUFFIXES = (".parquet", ".pq")


def read_rows(path: pathlib.Path, *, first_column: str = "") -> pd.DataFrame:
    """Returns the rows of a CSV file, all cells as text, or of a Parquet file, as they are, with a header.

    The index holds each row's number in the file: of a CSV file that of the line on which it ends, so that the first
    below the header is 2; of a Parquet file 1, 2, .... A byte-order mark, CRLF, and semicolons or tabs between cells
    (as where the comma is decimal) are understood. Empty lines are no rows.

    Args:
      path: the file.
      first_column: what to call the first column of a CSV file where it has no name but is needed.

    Raises:
      UserError: the file can't be read, is empty or isn't UTF-8, has quotes that don't close, a column without a name
        that holds something, two columns of one name, or a row with too many or too few cells.
    """
    return _read_parquet(path) if path.suffix.lower() in _PARQUET_SUFFIXES else _read_csv(path, first_column)


def read_text(path: pathlib.Path) -> str:
    """Returns the text of a UTF-8 file without its byte-order mark; raises UserError where it is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; name a file that is there") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None


def require_columns(table: pd.DataFrame, columns: Iterable[str], path: pathlib.Path) -> None:
    """Raises a UserError that names the first column that a table of a file lacks."""
    for column in columns:
        if column not in table.columns:
            raise UserError(
                f"{path}: no column {column!r} among {', '.join(map(str, table.columns))}; restore the file"
            )


def cells(table: pd.DataFrame, column: str) -> pd.Series:
    """Returns a column of a table of rows."""
    return pd.Series(table[column])


def column_numbers(table: pd.DataFrame, column: str, path: pathlib.Path) -> Float[np.ndarray, " n"]:
    """Returns a column of a file's table of rows as numbers; see `to_numbers`."""
    return to_numbers(cells(table, column), source=str(path), rows=table.index.tolist())


def _read_csv(path: pathlib.Path, first_column: str) -> pd.DataFrame:
    text = read_text(path)
    numbered = _split(text, path)
    if not numbered:
        raise UserError(f"{path}: no header; give a CSV file whose first row names its columns")
    (_, header), *rows = numbered
    header = [name.strip() for name in header]
    header[0] = header[0] or first_column
    _check_names(header, path)
    for line, cells in rows:
        if len(cells) != len(header):
            raise UserError(f"{path}, row {line}: {len(cells)} cells for {len(header)} columns; mend the row")
    table = pd.DataFrame([cells for _, cells in rows], columns=header, index=[line for line, _ in rows], dtype=object)
    return _without_nameless(table, path)


def _split(text: str, path: pathlib.Path) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise UserError(f"{path}, row {reader.line_num}: not CSV ({error}); check its quotes") from None


def _delimiter(text: str) -> str:
    header = next(iter(text.lstrip("\r\n").splitlines()), "")
    return max(DELIMITERS, key=lambda delimiter: (header.count(delimiter), -DELIMITERS.index(delimiter)))


def _check_names(header: list[str], path: pathlib.Path) -> None:
    for name in filter(None, header):
        if header.count(name) > 1:
            raise UserError(f"{path}: two columns are named {name!r}; rename or remove one")


def _without_nameless(table: pd.DataFrame, path: pathlib.Path) -> pd.DataFrame:
    """Leaves out columns without a name: spreadsheets and pandas write them for row numbers, or for nothing."""
    named = [bool(name) for name in table.columns]
    nameless = table.loc[:, [not name for name in named]]
    for position in range(nameless.shape[1]):
        cells = nameless.iloc[:, position].tolist()
        if any(cells) and cells != [str(k) for k in range(len(cells))]:
            raise UserError(f"{path}: a column without a name holds {next(filter(None, cells))!r}; name or remove it")
    return table.loc[:, named]


def _read_parquet(path: pathlib.Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error}; give a whole Parquet file") from None
    except (ValueError, NotImplementedError, KeyError) as error:  # pyarrow.ArrowInvalid is a ValueError
        raise UserError(f"{path}: not a Parquet file ({str(error).splitlines()[0]}); write it again") from None
    _check_names([str(name) for name in table.columns], path)
    _refuse_nested(table, path)
    return table.set_axis(range(1, len(table) + 1)).set_axis([str(name) for name in table.columns], axis=1)


def _refuse_nested(table: pd.DataFrame, path: pathlib.Path) -> None:
    for name in table.columns:
        for position, value in enumerate(table[name]):
            if not (value is None or pd.api.types.is_scalar(value)):
                raise UserError(f"{path}, row {position + 1}, column {name}: {value!r}; a cell holds one value")
