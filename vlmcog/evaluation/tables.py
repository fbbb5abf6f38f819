"""The tables of a run: each as CSV and Parquet, whole or not at all.

answers/NAME.csv      what the model answered, a row an item
observers/NAME.csv    the same of the observers, one below the other
people/NAME.csv       people's mean response to each item and how far they differ, where people were asked
consistency/NAME.csv  every two of people, model and observers compared in their errors
metrics.csv           tidy: one number a row
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vlmcog.errors import UserError
from vlmcog.evaluation import answers as answers_lib
from vlmcog.evaluation import consistency as consistency_lib
from vlmcog.evaluation import metrics as metrics_lib
from vlmcog.evaluation import people as people_lib
from vlmcog.evaluation.ladder import Rung
from vlmcog.files import atomic_path

METRICS, MANIFEST = "metrics.csv", "manifest.json"
ANSWERS, OBSERVERS, PEOPLE, CONSISTENCY, EXAMPLES = "answers", "observers", "people", "consistency", "examples"
NUMBERS = {
    **dict.fromkeys(("value", "ci_low", "ci_high", "log_probability", "mean", "sd"), float),
    **dict.fromkeys(("error_consistency", "observed", "expected", "lowest", "highest"), float),
    **dict.fromkeys(("accuracy_difference", "p_holm"), float),
    **dict.fromkeys(("response", "answer", "n", "seed"), int),
}


def write(table: pd.DataFrame, path: pathlib.Path) -> None:
    """Writes a table to `path`, a CSV file, and as Parquet beside it; what is undefined is spelled NaN."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, na_rep="NaN")
    with atomic_path(path.with_suffix(".parquet")) as temporary:
        table.to_parquet(temporary, index=False)


def read(path: pathlib.Path, columns: Sequence[str], *, make_it: str) -> pd.DataFrame:
    """Reads what `write` wrote. Text stays text: an item may be called NA or 007.

    Args:
      path: the CSV file.
      columns: those it must have.
      make_it: the command that makes the file, for messages.

    Raises:
      UserError: the file is missing, is no such table, or a number in it is none.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; make it with: {make_it}") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}; make it anew with: {make_it}") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}; make it anew with: {make_it}")
    return _with_numbers(table.loc[:, list(columns)], path, make_it)


def rows(table: pd.DataFrame) -> list[Any]:
    """Returns the rows of a table, each with its columns as attributes."""
    return list(table.itertuples())


def answers_path(workdir: pathlib.Path, rung: Rung) -> pathlib.Path:
    """Where the answers on a rung lie."""
    return workdir / ANSWERS / f"{rung.stem}.csv"


def people_path(workdir: pathlib.Path, rung: Rung) -> pathlib.Path:
    """Where the means of people's answers to each item lie, if people were asked."""
    return workdir / PEOPLE / f"{rung.stem}.csv"


def observers_path(workdir: pathlib.Path, rung: Rung) -> pathlib.Path:
    """Where the observers' answers on a rung lie."""
    return workdir / OBSERVERS / f"{rung.stem}.csv"


def consistency_path(workdir: pathlib.Path, rung: Rung) -> pathlib.Path:
    """Where the comparison of errors on a rung lies."""
    return workdir / CONSISTENCY / f"{rung.stem}.csv"


def examples_path(workdir: pathlib.Path, rung: Rung) -> pathlib.Path:
    """Where the example stimuli of a rung lie."""
    return workdir / EXAMPLES / f"{rung.stem}.json"


def differing_path(workdir: pathlib.Path, rung: Rung) -> pathlib.Path:
    """Where the stimuli lie on which model and people differ most."""
    return workdir / EXAMPLES / f"{rung.stem}.differing.json"


def read_answers(path: pathlib.Path, *, run: str, make_it: str) -> pd.DataFrame:
    """Reads an answers table; raises UserError, too, where it is another run's."""
    table = read(path, answers_lib.COLUMNS, make_it=make_it)
    _check_run(table, path, run, make_it)
    return table


def read_metrics(workdir: pathlib.Path, *, run: str, make_it: str) -> pd.DataFrame:
    """Reads a run's metrics; raises UserError where they are missing or another run's."""
    table = read(workdir / METRICS, metrics_lib.COLUMNS, make_it=make_it)
    _check_run(table, workdir / METRICS, run, make_it)
    return table


def read_people(path: pathlib.Path, *, make_it: str) -> pd.DataFrame:
    """Reads what people said of each item."""
    return read(path, people_lib.COLUMNS, make_it=make_it)


def read_consistency(path: pathlib.Path, *, make_it: str) -> pd.DataFrame:
    """Reads the comparison of errors."""
    return read(path, consistency_lib.COLUMNS, make_it=make_it)


def update_metrics(workdir: pathlib.Path, rows: pd.DataFrame, *, run: str, make_it: str) -> None:
    """Adds rows to a run's metrics, in place of those evaluated on the same sets."""
    if (workdir / METRICS).exists():
        old = read_metrics(workdir, run=run, make_it=make_it)
        kept = old.loc[~old.evaluated_on.isin(rows.evaluated_on)]
        rows = pd.concat([kept, rows], ignore_index=True) if len(kept) else rows
    write(rows, workdir / METRICS)


def _with_numbers(table: pd.DataFrame, path: pathlib.Path, make_it: str) -> pd.DataFrame:
    for column in table.columns.intersection(list(NUMBERS)):
        try:
            table[column] = table[column].astype(NUMBERS[column])
        except ValueError as error:
            raise UserError(f"{path}, column {column}: {error}; make it anew with: {make_it}") from None
    return table


def _check_run(table: pd.DataFrame, path: pathlib.Path, run: str, make_it: str) -> None:
    others = sorted(set(table.run) - {run})
    if others:
        raise UserError(f"{path} is of run {others[0]!r}, not {run!r}; make it anew with: {make_it}")
