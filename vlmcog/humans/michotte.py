"""Pictures of two balls and a gate and people's ratings of them (Gerstenberg et al., 2017).

Read from a checkout of https://github.com/lsbuschoff/multimodal, whole or a sample with the same layout:

    dataframes/03_michotte/HUMAN_{outcome,counterfactual}.csv    a row for each person (Ind) and clip, people one after
                                                                 another, each in the order of the clips: the rating
                                                                 (Human), and the clip's mean rating (Model)
    eval/images/michotte_edit/clip_N.png                         the clips' pictures

Sliders overshot: outcome ratings reach 121. They are kept as they are, and a note counts them.
"""

import math
import pathlib

import pandas as pd

from vlmcog.errors import UserError
from vlmcog.humans import judgments, pictures
from vlmcog.humans.reading import oddities
from vlmcog.humans.release import MULTIMODAL, Release, Stimulus, numbered_pictures, require
from vlmcog.humans.rows import column_numbers, read_rows, require_columns
from vlmcog.tasks.michotte import MICHOTTE_COUNTERFACTUAL, MICHOTTE_OUTCOME, MISSED
from vlmcog.tasks.task import Task

HUMANS = {
    MICHOTTE_OUTCOME: "dataframes/03_michotte/HUMAN_outcome.csv",
    MICHOTTE_COUNTERFACTUAL: "dataframes/03_michotte/HUMAN_counterfactual.csv",
}
IMAGES = "eval/images/michotte_edit"
PATTERN = "clip_*.png"
MISSED_CLIPS = frozenset({"1", "2", "3", "4", "5", "6", "7", "9", "11"})
"""The clips of which people were asked whether B missed the gate, as the release's own prompts say."""

_TOLERANCE = 1e-6


def read(release: pathlib.Path) -> Release:
    """Reads the clips of a checkout and every rating of them.

    Raises:
      UserError: anything missing, malformed or inconsistent; names the file, the row, the column and the value.
    """
    require(release, (*HUMANS.values(), IMAGES), MULTIMODAL)
    paths = numbered_pictures(release / IMAGES, PATTERN)
    tables = [_read_judgments(release / file, list(paths), task) for task, file in HUMANS.items()]
    stimuli = []
    for item, path in paths.items():
        png = pictures.read(path, modes=("RGB", "RGBA"))
        rewording = MISSED if item in MISSED_CLIPS else ""
        stimuli += [Stimulus(item, MICHOTTE_OUTCOME, png, rewording=rewording)]
        stimuli += [Stimulus(item, MICHOTTE_COUNTERFACTUAL, png)]
    notes = [f"{file}: {note}" for file, table in zip(HUMANS.values(), tables, strict=True) for note in oddities(table)]
    return Release(tuple(stimuli), pd.concat(tables, ignore_index=True), notes=tuple(notes))


def _read_judgments(path: pathlib.Path, items: list[str], task: Task) -> pd.DataFrame:
    given = read_rows(path)
    require_columns(given, ("Model", "Human", "Ind"), path)
    people = [text.removesuffix(".0") for text in given["Ind"]]
    places = [people[:position].count(person) for position, person in enumerate(people)]
    _check_places(people, places, given.index.tolist(), items, path)
    table = pd.DataFrame(
        {"participant": people, "item": [items[place] for place in places], "response": given["Human"]}
    )
    table = judgments.check(table.assign(task=task.name), source=str(path), rows=given.index.tolist())
    _check_means(table, given, path)
    return table


def _check_places(people: list[str], places: list[int], rows: list[int], items: list[str], path: pathlib.Path) -> None:
    """Each person has one row for each clip, one after another."""
    if not people:
        raise UserError(f"{path}: no rows; restore the file")
    for position, (person, place) in enumerate(zip(people, places, strict=True)):
        if place != position % len(items):
            raise UserError(
                f"{path}, row {rows[position]}, column Ind: {person!r}; a person's rows follow one another, one for "
                f"each of the {len(items)} clips in {IMAGES}; restore both"
            )
    if len(people) % len(items):
        raise UserError(f"{path}: {len(people)} rows are not {len(items)} for each person; restore the file")


def _check_means(table: pd.DataFrame, given: pd.DataFrame, path: pathlib.Path) -> None:
    """The file says each clip's mean once more, which tells rows out of order."""
    means = table.groupby("item")["response"].transform("mean")
    stated = column_numbers(given, "Model", path)
    for row, item, mean, number in zip(given.index, table["item"], means, stated, strict=True):
        if not math.isclose(mean, number, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
            raise UserError(
                f"{path}, row {row}, column Model: {number:g}; the mean rating of clip {item} is {mean:g}; "
                "restore the file and its order"
            )
