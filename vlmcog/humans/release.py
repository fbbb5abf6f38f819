"""What a public release holds, whichever it is: questions about pictures, and what people said to them."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from vlmcog.errors import UserError
from vlmcog.humans import judgments, pictures
from vlmcog.tasks.task import Task

MULTIMODAL = "https://github.com/lsbuschoff/multimodal"
"""The release of Schulze Buschoff et al. (2025), from which four sets are read."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stimulus:
    """One question about one picture.

    Attributes:
      item: the picture's name; two questions about it share it.
      task: what is asked.
      png: the picture as an RGB PNG file.
      answer: the index of the right option; None where there is none, or none is known.
      n_blocks: number of blocks; 0 where there are none, or it is unknown.
      rewording: what is asked about this picture in place of the task's own question.
    """

    item: str
    task: Task
    png: bytes
    answer: int | None = None
    n_blocks: int = 0
    rewording: str = ""

    @property
    def image(self) -> UInt8[np.ndarray, "h w 3"]:
        """The picture's pixels."""
        return pictures.decode(self.png)

    @property
    def question(self) -> str:
        """The text put to people and models."""
        return self.rewording or self.task.question


NO_JUDGMENTS = pd.DataFrame(columns=list(judgments.COLUMNS))
NO_AGGREGATES = pd.DataFrame(columns=list(judgments.AGGREGATE_COLUMNS))


@dataclasses.dataclass(frozen=True, eq=False)
class Release:
    """The questions of a release and what people said.

    Attributes:
      stimuli: the questions in a fixed order.
      judgments: the judgment table, as `judgments.check` returns it.
      aggregates: the aggregate table of a release that publishes no single judgments.
      notes: what was not taken, and what was kept although unusual, in words.
    """

    stimuli: tuple[Stimulus, ...]
    judgments: pd.DataFrame = dataclasses.field(default_factory=NO_JUDGMENTS.copy)
    aggregates: pd.DataFrame = dataclasses.field(default_factory=NO_AGGREGATES.copy)
    notes: tuple[str, ...] = ()

    def digest(self) -> str:
        """Returns a digest of everything read, which tells one release, or sample of it, from another."""
        digest = hashlib.sha256(self.judgments.to_csv(index=False).encode())
        digest.update(b"" if self.aggregates.empty else self.aggregates.to_csv(index=False).encode())
        for stimulus in self.stimuli:
            digest.update(f"{stimulus.item} {stimulus.answer} {stimulus.n_blocks}".encode() + stimulus.png)
        return digest.hexdigest()


def require(checkout: pathlib.Path, names: Iterable[str], repository: str) -> None:
    """Raises a UserError that says what was expected where, unless a checkout holds all the files and folders."""
    for name in names:
        if not (checkout / name).exists():
            raise UserError(f"{checkout}: no {name}; a release is a checkout of {repository}")


def numbered_pictures(folder: pathlib.Path, pattern: str) -> dict[str, pathlib.Path]:
    """Returns the pictures of a folder by their number, in the order of their numbers.

    Args:
      folder: where they are.
      pattern: their names, `*` standing for the number, such as `clip_*.png`; what follows a second `*` is free.

    Raises:
      UserError: a name whose number can't be read, two pictures of one number, or no picture at all.
    """
    before = pattern.index("*")
    found: dict[int, pathlib.Path] = {}
    for path in sorted(folder.glob(pattern)):
        number = _leading_number(path.name[before:])
        if number is None or number in found:
            problem = "no number" if number is None else f"a second picture {number}"
            raise UserError(f"{path}: {problem} in its name; pictures are named {pattern}")
        found[number] = path
    if not found:
        raise UserError(f"{folder}: no picture {pattern}; restore the folder")
    return {str(number): found[number] for number in sorted(found)}


def _leading_number(text: str) -> int | None:
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    return int(digits) if digits else None


def nobody_judged(stimuli: Iterable[Stimulus], table: pd.DataFrame) -> list[str]:
    """A note that names the questions to which there is no answer in the judgment table, if there are any."""
    answered = set(zip(table["item"], table["task"], strict=True))
    alone = [f"{one.item} ({one.task.name})" for one in stimuli if (one.item, one.task.name) not in answered]
    return [f"nobody judged {', '.join(alone)}"] if alone else []
