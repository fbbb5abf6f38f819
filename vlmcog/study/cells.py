"""The work of a study as cells: each is done once, whoever does it, and known by what its result depends on.

A cell's fingerprint is a digest of its recipe and of the fingerprints of the cells that it needs. Its results lie in a
folder of that name, so that a changed config makes new cells and never spoils old ones.
"""

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import vlmcog

DIGITS = 10


@dataclasses.dataclass(frozen=True)
class Cell:
    """A piece of work.

    Attributes:
      name: what it does, such as `tune IP small, seed 0`.
      fingerprint: of all that its result depends on.
      needs: the names of the cells that come before it.
      work: does it, given the name of its files; what was cut off is gone on with.
    """

    name: str
    fingerprint: str
    needs: tuple[str, ...]
    work: Callable[[str], None]

    @property
    def stem(self) -> str:
        """The name of its files."""
        return f"{slug(self.name)}-{self.fingerprint}"


class Plan(dict[str, Cell]):
    """Cells by name, each after those that it needs."""

    def fingerprint(self, recipe: Mapping[str, Any], needs: Sequence[str]) -> str:
        """Returns the fingerprint of a cell of such a recipe, JSON-like and free of paths."""
        parts = [vlmcog.__version__, recipe, [self[need].fingerprint for need in needs]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:DIGITS]

    def add(self, name: str, recipe: Mapping[str, Any], needs: Sequence[str], work: Callable[[str], None]) -> str:
        """Adds a cell, unless it is there, and returns its name."""
        if name not in self:
            fingerprint = self.fingerprint({"name": name, **recipe}, needs)
            self[name] = Cell(name, fingerprint, tuple(needs), work)
        return name


def slug(name: str) -> str:
    """Returns a name as part of a file's: lower case, its words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def done_path(workdir: pathlib.Path, cell: Cell) -> pathlib.Path:
    """The file that says that a cell is done."""
    return workdir / "cells" / f"{cell.stem}.json"


def is_done(workdir: pathlib.Path, cell: Cell) -> bool:
    """Whether a cell is done."""
    return done_path(workdir, cell).is_file()
