"""Who took part, from Prolific's demographic export: joined to judgments by the participant's id, which then goes.

Prolific writes one row a submission. Kept are whether it was approved, how long it took, and those columns that are
asked for by name, such as `Age`; everything else is dropped, and said to be.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import pandas as pd

from vlmcog.errors import UserError, did_you_mean
from vlmcog.humans import privacy
from vlmcog.humans.reading import Reading, pseudonymised
from vlmcog.humans.rows import read_rows

PARTICIPANT = "Participant id"
STATUS = "Status"
KEPT = (STATUS, "Time taken")
COUNTED = ("APPROVED", "AWAITING REVIEW", "")


@dataclasses.dataclass(frozen=True, eq=False)
class People:
    """Everyone of the export, a row each, under pseudonyms.

    Attributes:
      table: `participant` and the columns that were kept, as text.
      notes: what was dropped, and whose judgments or submission are missing.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]


def join(reading: Reading, export: pathlib.Path, *, keep: Sequence[str] = (), key: str = "") -> tuple[Reading, People]:
    """Joins judgments, whose participants are Prolific ids, with the export; both come back under pseudonyms.

    Judgments of a submission that was returned, rejected or timed out are excluded with that reason. Judgments of a
    participant whom the export doesn't know, and people of the export without a judgment, stay and are noted.

    Args:
      reading: the judgments.
      export: Prolific's CSV.
      keep: further columns to keep; none that identifies people.
      key: a secret for the pseudonyms; see `privacy.pseudonym`.

    Raises:
      UserError: the file can't be read, lacks a column, or has two rows or none for one id; or a column to keep
        identifies people.
    """
    given = read_rows(export)
    wanted = _wanted(given, keep, export)
    ids = _ids(given, export)
    people = given.loc[:, wanted].astype(str)
    statuses = dict(zip(ids, people[STATUS] if STATUS in people else [""] * len(ids), strict=True))
    dropped = [column for column in given.columns if column not in wanted and column != PARTICIPANT]
    people.insert(0, "participant", [privacy.pseudonym(name, key=key) for name in ids])
    notes = [f"dropped: {', '.join([PARTICIPANT, *dropped])}", *_unmatched(set(ids), set(reading.table["participant"]))]
    joined = pseudonymised(_exclude_unfinished(reading, statuses), key=key)
    return joined, People(people.reset_index(drop=True), tuple(notes))


def _wanted(given: pd.DataFrame, keep: Sequence[str], export: pathlib.Path) -> list[str]:
    for column in (PARTICIPANT, *keep):
        if column not in given.columns:
            known = [str(name) for name in given.columns]
            raise UserError(f"{export}: no column {column!r}{did_you_mean(column, known)}; it has {', '.join(known)}")
    for column in keep:
        if column == PARTICIPANT or privacy.is_personal(column) or privacy.kind_of_identifier(given[column]):
            raise UserError(f"{export}: column {column!r} identifies people; it can't be kept")
    return [column for column in given.columns if column in (*KEPT, *keep)]


def _ids(given: pd.DataFrame, export: pathlib.Path) -> list[str]:
    ids = [str(value).strip() for value in given[PARTICIPANT]]
    seen: set[str] = set()
    for row, name in zip(given.index, ids, strict=True):
        if not name or name in seen:
            raise UserError(f"{export}, row {row}, column {PARTICIPANT}: {name!r}; every row has an id of its own")
        seen.add(name)
    return ids


def _unmatched(exported: set[str], judging: set[str]) -> list[str]:
    counts = {"people of the export have no judgment": exported - judging,
              "participants with judgments are not in the export": judging - exported}  # fmt: skip
    return [f"{len(people)} {said}" for said, people in counts.items() if people]


def _exclude_unfinished(reading: Reading, statuses: dict[str, str]) -> Reading:
    table = reading.table
    status = [statuses.get(name, "").strip().upper() for name in table["participant"]]
    excluded = [
        old or ("" if now in COUNTED else f"submission {now.lower()}")
        for old, now in zip(table["excluded"], status, strict=True)
    ]
    n = sum(new != old for new, old in zip(excluded, table["excluded"], strict=True))
    note = (f"{n} judgments of submissions that were not approved are excluded",) if n else ()
    column = pd.Series(excluded, index=table.index, dtype=object)
    return dataclasses.replace(reading, table=table.assign(excluded=column), notes=(*reading.notes, *note))
