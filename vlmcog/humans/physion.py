"""Physion's published human judgments (Bear et al., 2021) about clips whose frames are given by the user.

Read from a checkout of https://github.com/cogtoolslab/physics-benchmarking-neurips2021, whole or a part of it:

    results/csv/humans/human_accuracy-SCENARIO_*.csv    a row for each clip (stim_ID): the share of people who answered
                                                        rightly (correct) and their number (c)
    data/readout_labels.csv                             whether the red object touches the yellow one in each clip

These are means: no single answers were published. Clips without a label are left out, and a note counts them.

The clips are published elsewhere. A folder of frames holds STIM_ID.png (or .jpg, .jpeg) for each clip, or a folder
STIM_ID with such pictures, of which the first by name is taken: of a whole clip the last would show what happens.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from vlmcog.errors import UserError
from vlmcog.humans import judgments, pictures
from vlmcog.humans.reading import columns_left_out
from vlmcog.humans.release import Release, Stimulus, require
from vlmcog.humans.rows import column_numbers, read_rows, require_columns
from vlmcog.tasks.physion import PHYSION_CONTACT

REPOSITORY = "https://github.com/cogtoolslab/physics-benchmarking-neurips2021"
LABELS = "data/readout_labels.csv"
HUMANS = "results/csv/humans"
PATTERN = "human_accuracy-*.csv"
FRAMES = "frames"
SUFFIXES = (".png", ".jpg", ".jpeg")

_OUTCOME = "ground truth outcome"
_TRUTHS = {"False": 0, "True": 1}


def read(release: pathlib.Path, frames: pathlib.Path | None = None) -> Release:
    """Reads the clips that people judged, of the scenarios that a checkout has.

    Args:
      release: the checkout.
      frames: the folder of frames; by default `frames` in the checkout.

    Raises:
      UserError: anything missing, malformed or inconsistent; names the file, the row, the column and the value.
    """
    require(release, (LABELS, HUMANS), REPOSITORY)
    truths = _read_truths(release / LABELS)
    paths = sorted((release / HUMANS).glob(PATTERN))
    if not paths:
        raise UserError(f"{release / HUMANS}: no file {PATTERN}; a release is a checkout of {REPOSITORY}")
    tables, notes = [], []
    for path in paths:
        table, said = _read_aggregates(path, truths)
        tables.append(table)
        notes += [f"{HUMANS}/{path.name}: {note}" for note in said]
    aggregates = judgments.check_aggregates(pd.concat(tables, ignore_index=True), source=str(release / HUMANS))
    frames = frames or release / FRAMES
    stimuli = tuple(
        Stimulus(item, PHYSION_CONTACT, _read_frame(frames, item), truths[item]) for item in aggregates["item"]
    )
    unused = len(truths) - len(stimuli)
    notes.append(f"{LABELS}: {unused} of {len(truths)} clips left out, which nobody judged")
    return Release(stimuli, aggregates=aggregates, notes=tuple(notes))


def _read_truths(path: pathlib.Path) -> dict[str, int]:
    rows = read_rows(path, first_column="clip")
    require_columns(rows, ("clip", _OUTCOME), path)
    truths: dict[str, int] = {}
    for line, clip, outcome in zip(rows.index, rows["clip"], rows[_OUTCOME], strict=True):
        if outcome not in _TRUTHS:
            raise UserError(f"{path}, row {line}, column {_OUTCOME}: {outcome!r}; it is True or False")
        if clip in truths:
            raise UserError(f"{path}, row {line}, column clip: {clip!r}; a second row of this clip")
        truths[clip] = _TRUTHS[outcome]
    return truths


def _read_aggregates(path: pathlib.Path, truths: dict[str, int]) -> tuple[pd.DataFrame, list[str]]:
    """Returns the share of yes to each clip of a scenario: of right answers where yes is right, else of wrong ones."""
    given = read_rows(path)
    require_columns(given, ("stim_ID", "correct", "c"), path)
    rows = given.index.tolist()
    shares, people = (column_numbers(given, name, path) for name in ("correct", "c"))
    for position, row in enumerate(rows):
        _check_counts(given, position, row, shares[position], people[position], path)
    clips = given["stim_ID"].tolist()
    labelled = np.array([clip in truths for clip in clips], bool)
    yes = [share if truths.get(clip) else 1 - share for clip, share in zip(clips, shares, strict=True)]
    table = pd.DataFrame({"item": clips, "task": PHYSION_CONTACT.name, "mean": yes, "n": people}).loc[labelled]
    kept = [row for row, has_label in zip(rows, labelled, strict=True) if has_label]
    notes = columns_left_out(name for name in given.columns if name not in ("stim_ID", "correct", "c"))
    if not labelled.all():
        first = clips[int(np.argmin(labelled))]
        notes.append(f"{(~labelled).sum()} of {len(given)} clips left out, which have no label, such as {first}")
    return judgments.check_aggregates(table, source=str(path), rows=kept), notes


def _check_counts(
    given: pd.DataFrame, position: int, row: int, share: float, people: float, path: pathlib.Path
) -> None:
    if not (people >= 1 and people % 1 == 0):
        value = given["c"].iloc[position]
        raise UserError(f"{path}, row {row}, column c: {value!r}; the number of people is a whole number from 1")
    if not (0 <= share <= 1 and np.isclose(share * people, round(share * people), atol=1e-3)):
        value = given["correct"].iloc[position]
        raise UserError(
            f"{path}, row {row}, column correct: {value!r}; it is a share of {people:g} people, from 0 to 1"
        )


def _read_frame(frames: pathlib.Path, item: str) -> bytes:
    if not frames.is_dir():
        raise UserError(
            f"no folder {frames}; give one that holds a picture STIM_ID.png, or a folder of them, of each clip"
        )
    path = next(_candidates(frames, item), None)
    if path is None:
        raise UserError(f"{frames}: neither {item}.png (or .jpg) nor a folder {item} of frames; add it")
    return pictures.read(path, modes=("RGB", "RGBA", "L", "P"), formats=("png", "jpeg"))


def _candidates(frames: pathlib.Path, item: str) -> Iterator[pathlib.Path]:
    yield from (path for suffix in SUFFIXES if (path := frames / f"{item}{suffix}").is_file())
    folder = frames / item
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
