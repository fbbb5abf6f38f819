"""Pictures of two agents in a grid world and people's ratings of them (Wu et al., 2023).

Read from a checkout of https://github.com/lsbuschoff/multimodal, whole or a sample with the same layout:

    data/agents_intention.csv         who (workerid) rated which picture (trial) how (int): 0 hinders, 100 helps
    data/agents_counterfactual.csv    the same for whether red would have succeeded without blue (cf), 0-100
    eval/images/agents/N.png          the pictures

Rows that name no trial (practice) are left out, and a note counts them. Worker ids are replaced by numbers.
"""

import pathlib

import numpy as np
import pandas as pd

from vlmcog.errors import UserError
from vlmcog.humans import judgments, pictures
from vlmcog.humans.numbers import empty, to_numbers
from vlmcog.humans.reading import columns_left_out, oddities
from vlmcog.humans.release import MULTIMODAL, Release, Stimulus, nobody_judged, numbered_pictures, require
from vlmcog.humans.rows import cells, read_rows, require_columns
from vlmcog.tasks.agents import AGENTS_COUNTERFACTUAL, AGENTS_INTENTION
from vlmcog.tasks.task import Task

HUMANS = {
    AGENTS_INTENTION: ("data/agents_intention.csv", "int"),
    AGENTS_COUNTERFACTUAL: ("data/agents_counterfactual.csv", "cf"),
}
IMAGES = "eval/images/agents"
PATTERN = "*.png"


def read(release: pathlib.Path) -> Release:
    """Reads the pictures of a checkout and every rating of them.

    Raises:
      UserError: anything missing, malformed or inconsistent; names the file, the row, the column and the value.
    """
    require(release, (*(file for file, _ in HUMANS.values()), IMAGES), MULTIMODAL)
    paths = numbered_pictures(release / IMAGES, PATTERN)
    tables, notes = [], []
    for task, (file, column) in HUMANS.items():
        table, said = _read_judgments(release / file, column, task, set(paths))
        tables.append(table)
        notes += [f"{file}: {note}" for note in said]
    table, note = _numbered_people(pd.concat(tables, ignore_index=True))
    stimuli = []
    for item, path in paths.items():
        png = pictures.read(path, modes=("RGB", "RGBA"))
        stimuli += [Stimulus(item, task, png) for task in HUMANS]
    return Release(tuple(stimuli), table, notes=(*notes, note, *nobody_judged(stimuli, table)))


def _read_judgments(path: pathlib.Path, column: str, task: Task, items: set[str]) -> tuple[pd.DataFrame, list[str]]:
    given = read_rows(path)
    require_columns(given, ("workerid", column, "trial"), path)
    nameless = empty(cells(given, "trial"))
    kept = given.loc[~nameless]
    names = [_picture(text) for text in kept["trial"]]
    for row, text, name in zip(kept.index, kept["trial"], names, strict=True):
        if name not in items:
            raise UserError(f"{path}, row {row}, column trial: {text!r}; no such picture in {IMAGES}; restore both")
    table = pd.DataFrame({"participant": kept["workerid"], "item": names, "response": kept[column]})
    table = judgments.check(table.assign(task=task.name), source=str(path), rows=kept.index.tolist())
    gone = set(given["workerid"]) - set(kept["workerid"])
    notes = columns_left_out(name for name in given.columns if name not in ("workerid", column, "trial"))
    if nameless.any():
        notes.append(f"{nameless.sum()} of {len(given)} rows left out, which name no trial")
    if gone:
        notes.append(f"{len(gone)} people have no other rows")
    return table, [*notes, *oddities(table.assign(participant=""))]


def _picture(trial: str) -> str:
    number = to_numbers(pd.Series([trial]), source="")[0]
    return f"{number:.0f}" if not np.isnan(number) and number % 1 == 0 else trial


def _numbered_people(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Returns the table with numbers from 1 in place of ids; the numbers follow the ids' order, not the rows'."""
    ids = sorted(set(table["participant"]))
    numbers = {identifier: str(number) for number, identifier in enumerate(ids, 1)}
    people = pd.Series([numbers[identifier] for identifier in table["participant"]], index=table.index, dtype=object)
    return table.assign(participant=people), f"{len(ids)} worker ids replaced by numbers"
