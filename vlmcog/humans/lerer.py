"""The photographs of block towers and people's judgments of them, from the release of Schulze Buschoff et al. (2025).

Read from a checkout of https://github.com/lsbuschoff/multimodal, whole or a sample with the same layout:

    data/LERER_RESULTS_NEW.csv    rows with Experiment 3 hold an image's id and whether the tower fell (GT)
    data/tower_human_data.csv     its k-th row holds every person's answer (1: will fall) to the k-th of those images
    eval/blocks_metadata.txt      a row for each tower: column 1 the id, 15-18 the blocks' colours (0: none), 19 fell
    eval/images/lerer100/ID.png   the photographs
"""

import pathlib

import pandas as pd

from vlmcog.errors import UserError
from vlmcog.humans import judgments, pictures
from vlmcog.humans.release import MULTIMODAL, Release, Stimulus, require
from vlmcog.humans.rows import read_rows, read_text, require_columns
from vlmcog.tasks.towers import TOWER_FALLS

RESULTS = "data/LERER_RESULTS_NEW.csv"
HUMANS = "data/tower_human_data.csv"
BLOCKS = "eval/blocks_metadata.txt"
PHOTOS = "eval/images/lerer100"
STABILITY_EXPERIMENT = "3"
NOTES = (
    f"not taken from {RESULTS}: the colour and counting experiments (1, 2) and the models' answers",
    f"not taken from {BLOCKS}: everything but the number of blocks",
)

_ROW = "row number"
_BINARY = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}
_BLOCK_COLUMNS = 19


def read(release: pathlib.Path) -> Release:
    """Reads the towers of a checkout and every judgment of them (response 1: will fall).

    Raises:
      UserError: anything missing, malformed or inconsistent; names the file, the row, the column and the value.
    """
    require(release, (RESULTS, HUMANS, BLOCKS, PHOTOS), MULTIMODAL)
    truths = _read_truths(release / RESULTS)
    n_blocks = _read_n_blocks(release / BLOCKS, truths)
    table = _read_judgments(release / HUMANS, list(truths))
    stimuli = []
    for item, fell in truths.items():
        path = release / PHOTOS / f"{item}.png"
        if not path.is_file():
            raise UserError(f"no photograph {path} for image {item} of {RESULTS}; restore it from {MULTIMODAL}")
        stimuli.append(Stimulus(item, TOWER_FALLS, pictures.read(path), fell, n_blocks[item]))
    _refuse_extra_photos(release / PHOTOS, truths)
    return Release(tuple(stimuli), table, notes=NOTES)


def _read_truths(path: pathlib.Path) -> dict[str, int]:
    """Returns whether each tower fell, in the file's order, which is that of the rows of the judgments."""
    truths: dict[str, int] = {}
    rows = read_rows(path)
    require_columns(rows, ("Image", "Experiment", "GT"), path)
    for line, row in rows.loc[rows["Experiment"] == STABILITY_EXPERIMENT].iterrows():
        item = row["Image"]
        if not item.isdecimal() or item in truths:
            raise _wrong(path, line, "Image", item, "each tower has one row with a number of its own")
        truths[item] = _binary(row["GT"], path, line, "GT")
    if not truths:
        raise UserError(
            f"{path}: no row of Experiment {STABILITY_EXPERIMENT}, the stability question; restore the file"
        )
    return truths


def _read_judgments(path: pathlib.Path, items: list[str]) -> pd.DataFrame:
    """Returns the long table of a file with a row for each item and a column for each participant."""
    rows = read_rows(path, first_column=_ROW)
    require_columns(rows, (_ROW,), path)
    if len(rows) != len(items):
        raise UserError(f"{path}: {len(rows)} rows of judgments for the {len(items)} towers of {RESULTS}; restore both")
    answers = []
    for index, (item, (line, row)) in enumerate(zip(items, rows.iterrows(), strict=True)):
        label = row.pop(_ROW)
        if label != str(index):
            raise _wrong(path, line, "1", label, f"rows are numbered from 0, so this one is {index}; restore the order")
        answers += [(person, item, _binary(cell, path, line, str(person))) for person, cell in row.items()]
    table = pd.DataFrame(answers, columns=["participant", "item", "response"])
    return judgments.check(table.assign(task=TOWER_FALLS.name), source=str(path))


def _read_n_blocks(path: pathlib.Path, truths: dict[str, int]) -> dict[str, int]:
    """Returns the number of blocks of each tower; the file says once more whether it fell, and has to agree."""
    n_blocks = {}
    for line, text in enumerate(read_text(path).splitlines(), 1):
        columns = text.split()
        if columns and len(columns) != _BLOCK_COLUMNS:
            raise UserError(f"{path}, row {line}: {len(columns)} columns instead of {_BLOCK_COLUMNS}; restore the file")
        if columns and columns[0] in truths:
            item, fell = columns[0], truths[columns[0]]
            if columns[-1] != str(fell):
                raise _wrong(path, line, "19", columns[-1], f"{RESULTS} says {fell} for image {item}; restore both")
            n_blocks[item] = sum(colour != "0" for colour in columns[14:18])
    missing = [item for item in truths if item not in n_blocks]
    if missing:
        raise UserError(f"{path}: no row for image {missing[0]} of {RESULTS}; restore the file")
    return n_blocks


def _refuse_extra_photos(folder: pathlib.Path, truths: dict[str, int]) -> None:
    extra = sorted(path.name for path in folder.glob("*.png") if path.stem not in truths)
    if extra:
        raise UserError(
            f"{folder}: {extra[0]} has no row of Experiment {STABILITY_EXPERIMENT} in {RESULTS}; restore both"
        )


def _binary(cell: str, path: pathlib.Path, line: object, column: str) -> int:
    if cell not in _BINARY:
        raise _wrong(path, line, column, cell, "it is 1 (falls) or 0 (stands); correct it or restore the file")
    return _BINARY[cell]


def _wrong(path: pathlib.Path, line: object, column: str, value: object, advice: str) -> UserError:
    return UserError(f"{path}, row {line}, column {column}: {value!r}; {advice}")
