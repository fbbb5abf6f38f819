"""Pyramids: rows of cubes, each over the gaps of the row below, one of them red.

Stated ranges: side 0.16-0.24 m; gaps between the cubes of a row 0.10-0.30 sides; each cube turned by up to 4 degrees
and out of place by as much as keeps it clear of its turned neighbours, up to 0.115 sides across and 0.06 along the
view; each cube above the second row missing with probability 0.15, with those that lose all support.

Few falls dominate by nature, so that pyramids are stratified: in half of them, at each number of rows, no other block
would fall; in the others one or more up to four rows, then one, or two and more. (Of 700 proposals of four rows,
one is such that two or more certainly fall.)
"""

import dataclasses

import numpy as np

from vlmcog.scenes.geometry import turned
from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.labelled import Outcome
from vlmcog.scenes.look_file import RED
from vlmcog.scenes.scene import Block

_SIDE = (0.16, 0.24)
_GAP = (0.10, 0.30)
_JITTER_ALONG = 0.06
_TURNED_ROOM = 0.07  # what two neighbours turned by _TURN take of the gap, in sides
_TURN = np.radians(4)
_MISSING = 0.15


@dataclasses.dataclass(frozen=True)
class Pyramid:
    """Bare blocks, row by row from the ground up, and the index of the one to be red."""

    blocks: tuple[Block, ...]
    red: int


def sample_pyramid(rng: np.random.Generator, *, n_rows: int) -> Pyramid:
    """Returns a pyramid of up to `n_rows` rows (2 or more) on `n_rows` cubes; the red one is any of them."""
    side = rng.uniform(*_SIDE)
    gap = rng.uniform(*_GAP)
    pitch = side * (1 + gap)
    jitter = np.array([(gap - _TURNED_ROOM) / 2, _JITTER_ALONG]) * side
    row = [_cube(rng, (column - (n_rows - 1) / 2) * pitch, 0, side, jitter) for column in range(n_rows)]
    blocks = list(row)
    for level in range(1, n_rows):
        missing = _MISSING if level > 1 else 0.0
        places = [(column - (n_rows - 1 - level) / 2) * pitch for column in range(n_rows - level)]
        cubes = [_cube(rng, place, level, side, jitter) for place in places if rng.random() > missing]
        row = [cube for cube in cubes if _rests_on(cube, row, side)]
        blocks += row
    return Pyramid(tuple(blocks), red=int(rng.integers(len(blocks))))


def _cube(rng: np.random.Generator, place: float, level: int, side: float, jitter: np.ndarray) -> Block:
    across, along = rng.uniform(-1, 1, 2) * jitter
    return Block(
        size=(side, side, side),
        position=(float(place + across), float(along), float((level + 0.5) * side)),
        orientation=turned(float(rng.uniform(-_TURN, _TURN))),
    )


def _rests_on(cube: Block, row: list[Block], side: float) -> bool:
    return any(abs(cube.position[0] - below.position[0]) < side for below in row)


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    del truth  # found by screening
    pyramid = sample_pyramid(rng, n_rows=size)
    return (Proposal(pyramid.blocks, removed=pyramid.red, named={pyramid.red: RED}),)


def _most(n_rows: int) -> int:
    return max(1, n_rows - 3)


def _truths(n_rows: int) -> tuple[int, ...]:
    return tuple(truth for count in range(1, _most(n_rows) + 1) for truth in (0, count))


def _truth(outcome: Outcome, n_rows: int) -> int:
    return min(sum(outcome.fell), _most(n_rows))


def _obstacle(n_rows: int, truth: int) -> str | None:
    del truth
    return "a pyramid has two rows or more" if n_rows < 2 else None


PYRAMIDS = Kind(
    scene_kind="pyramid",
    sizes={"small": (2, 3), "large": (4, 5)},
    propose=_propose,
    truths=_truths,
    truth=_truth,
    screened=True,
    counterfactuals=True,
    obstacle=_obstacle,
)
