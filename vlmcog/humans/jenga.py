"""Pictures of bricks on a table and people's judgments of them (Zhou et al., 2023, experiment 1).

Read from a checkout of https://github.com/lsbuschoff/multimodal, whole or a sample with the same layout:

    data/exp1_prediction.RData        who (participant) said of which picture (trial) that how many bricks would fall
                                      (response), and how many there are and fall (nbricks, nfall)
    data/exp1_responsibility.RData    the same for how responsible the grey brick is, 0-100
    data/JENGA_RESULTS_REV2.csv       GT: red bricks (Experiment 1) and how many of them fall (Experiment 2) in each
                                      picture (Image)
    eval/images/jenga/initial_trial_T_*.png    the pictures

One picture of the whole release, trial 5, has neither a truth nor judgments; it is kept, without an answer.
"""

import pathlib

import numpy as np
import pandas as pd

from vlmcog.errors import UserError
from vlmcog.humans import judgments, pictures, rdata_file
from vlmcog.humans.numbers import empty
from vlmcog.humans.reading import columns_left_out, oddities
from vlmcog.humans.release import MULTIMODAL, Release, Stimulus, nobody_judged, numbered_pictures, require
from vlmcog.humans.rows import cells, column_numbers, read_rows, require_columns
from vlmcog.tasks.jenga import JENGA_COUNT, JENGA_RESPONSIBILITY
from vlmcog.tasks.task import Task

RESULTS = "data/JENGA_RESULTS_REV2.csv"
HUMANS = {
    JENGA_COUNT: ("data/exp1_prediction.RData", "df.exp1.prediction"),
    JENGA_RESPONSIBILITY: ("data/exp1_responsibility.RData", "df.exp1.responsibility"),
}
IMAGES = "eval/images/jenga"
PATTERN = "initial_trial_*_diff_*.png"
COUNTING, FALLING = "1", "2"
_COLUMNS = ("participant", "trial", "response", "order", "nbricks", "nfall")


def read(release: pathlib.Path) -> Release:
    """Reads the pictures of a checkout and every judgment of them.

    Raises:
      UserError: anything missing, malformed or inconsistent; names the file, the row, the column and the value.
    """
    require(release, (RESULTS, *(file for file, _ in HUMANS.values()), IMAGES), MULTIMODAL)
    paths = numbered_pictures(release / IMAGES, PATTERN)
    truths = {
        experiment: _read_truths(release / RESULTS, experiment, list(paths)) for experiment in (COUNTING, FALLING)
    }
    tables, notes = [], [f"not taken from {RESULTS}: the models' answers"]
    for task, (file, name) in HUMANS.items():
        table, said = _read_judgments(release / file, name, task, truths)
        tables.append(table)
        notes += [f"{file}: {note}" for note in said]
    stimuli = []
    for item, path in paths.items():
        png, red, fall = pictures.read(path, modes=("RGB", "RGBA")), truths[COUNTING][item], truths[FALLING][item]
        n_bricks = 0 if red is None else red + 1
        stimuli += [
            Stimulus(item, JENGA_COUNT, png, fall, n_bricks),
            Stimulus(item, JENGA_RESPONSIBILITY, png, None, n_bricks),
        ]
    unknown = [item for item, fall in truths[FALLING].items() if fall is None]
    if unknown:
        notes.append(f"{RESULTS}: no truth for picture {', '.join(unknown)}, kept without an answer")
    everyone = pd.concat(tables, ignore_index=True)
    return Release(tuple(stimuli), everyone, notes=(*notes, *nobody_judged(stimuli, everyone)))


def _read_truths(path: pathlib.Path, experiment: str, items: list[str]) -> dict[str, int | None]:
    """Returns each picture's GT in an experiment; None where the cell is empty."""
    rows = read_rows(path)
    require_columns(rows, ("Image", "Experiment", "GT"), path)
    rows = rows.loc[rows["Experiment"] == experiment]
    numbers = column_numbers(rows, "GT", path)
    truths: dict[str, int | None] = {}
    for (line, row), number, blank in zip(rows.iterrows(), numbers, empty(cells(rows, "GT")), strict=True):
        if not blank and (np.isnan(number) or number < 0 or number % 1):
            raise UserError(f"{path}, row {line}, column GT: {row['GT']!r}; a number of bricks, or empty")
        if row["Image"] in truths:
            raise UserError(
                f"{path}, row {line}, column Image: {row['Image']!r}; a second row of Experiment {experiment}"
            )
        truths[row["Image"]] = None if blank else int(number)
    for item in (*items, *truths):
        if item not in truths or item not in items:
            missing = f"no row of Experiment {experiment}" if item not in truths else f"no picture in {IMAGES}"
            raise UserError(f"{path}: {missing} for picture {item}; restore both")
    return truths


def _read_judgments(
    path: pathlib.Path, name: str, task: Task, truths: dict[str, dict[str, int | None]]
) -> tuple[pd.DataFrame, list[str]]:
    given = rdata_file.read_table(path, name)
    require_columns(given, _COLUMNS, path)
    rows = given.index.tolist()
    orders = column_numbers(given, "order", path) - 1  # ours are from 0
    table = given[["participant", "response"]].assign(item=given["trial"], order=orders, task=task.name)
    table = judgments.check(table, source=str(path), rows=rows)
    _check_truths(given.assign(item=table["item"].to_numpy()), truths, path)
    return table, [*columns_left_out(sorted(set(given.columns) - set(_COLUMNS))), *oddities(table)]


def _check_truths(given: pd.DataFrame, truths: dict[str, dict[str, int | None]], path: pathlib.Path) -> None:
    """The file says once more how many bricks there are and fall, and has to agree."""
    for column, experiment, grey in (("nbricks", COUNTING, 1), ("nfall", FALLING, 0)):
        numbers = column_numbers(given, column, path)
        for row, item, number in zip(given.index, given["item"], numbers, strict=True):
            if item not in truths[experiment]:
                raise UserError(f"{path}, row {row}, column trial: {item!r}; no such picture in {IMAGES}; restore both")
            truth = truths[experiment][item]
            if truth is not None and number != truth + grey:
                raise UserError(f"{path}, row {row}, column {column}: {number:g}; {RESULTS} says {truth + grey} of it")
