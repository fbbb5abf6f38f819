"""Judgment tables from files, with an account of everything that was not taken as it stood."""

import dataclasses
import pathlib
from collections.abc import Iterable

import pandas as pd

from vlmcog.humans import judgments, privacy
from vlmcog.humans.numbers import decimal_commas
from vlmcog.humans.rows import read_rows

_MOST_NAMED = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """A checked judgment table and what has to be known of how it came about.

    Attributes:
      table: as `judgments.check` returns it.
      rows: how many rows the file has; each is in the table or counted in a note.
      notes: columns and rows that were left out, numbers that were read or kept although unusual, names replaced.
    """

    table: pd.DataFrame
    rows: int
    notes: tuple[str, ...]


def read(path: pathlib.Path) -> Reading:
    """Reads a judgment table from a CSV or a Parquet file with the columns of `judgments.py`; every row is taken.

    Raises:
      UserError: what `read_rows` and `judgments.check` raise.
    """
    given = read_rows(path)
    table = judgments.check(given, source=str(path), rows=given.index.tolist())
    extra = [column for column in given.columns if column not in judgments.COLUMNS]
    return Reading(table, len(given), tuple([*columns_left_out(extra), *commas(given), *oddities(table)]))


def read_aggregates(path: pathlib.Path) -> pd.DataFrame:
    """Reads an aggregate table from a CSV or a Parquet file; raises UserError as `judgments.check_aggregates` does."""
    given = read_rows(path)
    return judgments.check_aggregates(given, source=str(path), rows=given.index.tolist())


def pseudonymised(reading: Reading, *, key: str = "") -> Reading:
    """Returns the reading with pseudonyms for participants; see `privacy.pseudonym`."""
    names = [privacy.pseudonym(name, key=key) for name in reading.table["participant"]]
    how = "with the key" if key else "without a key, so that whoever holds an id can work out its pseudonym"
    note = f"{len(set(names))} participants' names replaced by pseudonyms {how}"
    column = pd.Series(names, index=reading.table.index, dtype=object)
    return dataclasses.replace(reading, table=reading.table.assign(participant=column), notes=(*reading.notes, note))


def columns_left_out(columns: Iterable[str]) -> list[str]:
    """A note that names columns left out, if there are any."""
    names = list(columns)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return [f"columns left out: {', '.join(names[:_MOST_NAMED])}{more}"] if names else []


def commas(given: pd.DataFrame) -> list[str]:
    """A note for each column whose numbers have decimal commas."""
    counts = {column: decimal_commas(pd.Series(given[column])) for column in ("response", "order", "response_time")
              if column in given.columns}  # fmt: skip
    return [f"column {column}: {n} decimal commas read as points" for column, n in counts.items() if n]


def oddities(table: pd.DataFrame) -> list[str]:
    """Notes on ratings beyond their scale and on ids that look as if they identified people."""
    beyond = int(judgments.overshoots(table).sum())
    notes = [f"{beyond} ratings beyond the end of their scale kept as they are"] if beyond else []
    if kind := privacy.kind_of_identifier(table["participant"]):
        notes.append(f"a participant is named by {kind}: use pseudonyms before passing the table on")
    return notes
