"""Heaps of bricks on a table, one of them red, after Zhou et al. 2023 (Cognitive Psychology, "Mental Jenga").

Stated ranges: bricks of 2 x 1 x 1 short sides, the short side 0.10-0.14 m; a third to a half of them stand upright in
a row on the table, 0.03-0.15 short sides apart; each further one, flat or upright with equal probability, is let down
at a uniform place across the heap onto the highest bricks below it, where its centre lies at least 0.1 short sides
inside what carries it. The red brick is any of them. The table's top, on two legs, is a fixed block that reaches 1
short side beyond the row.

Truths are balanced by what falls without the red brick: nothing in half of the heaps; one, two, or three and more
bricks in a sixth each.
"""

import dataclasses

import numpy as np

from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.labelled import Outcome
from vlmcog.scenes.look_file import RED
from vlmcog.scenes.scene import Block

MOST_BRICKS = 12

_SIDE = (0.10, 0.14)
_GAP = (0.03, 0.15)
_BASE_SHARE = (1 / 3, 1 / 2)
_INSIDE = 0.1
_REACH = 1.0
_TABLE = (4.0, 0.3)
_TABLE_COLOUR = (0.16, 0.15, 0.16)
_TRIES = 200
_SLACK = 1e-9


@dataclasses.dataclass(frozen=True)
class _Brick:
    """A rectangle as seen from the front."""

    x: float
    bottom: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.bottom + self.height

    def overlap(self, other: "_Brick") -> tuple[float, float]:
        return max(self.left, other.left), min(self.right, other.right)


def sample_heap(rng: np.random.Generator, *, n_bricks: int) -> tuple[Block, ...]:
    """Returns `n_bricks` (4 or more) loose bricks from the table up, then the table's top and its two legs."""
    side = rng.uniform(*_SIDE)
    n_base = max(2, round(n_bricks * rng.uniform(*_BASE_SHARE)))
    pitch = side * (1 + rng.uniform(*_GAP))
    table_top = sum(_TABLE) * side
    bricks = [_Brick((column - (n_base - 1) / 2) * pitch, table_top, side, 2 * side) for column in range(n_base)]
    half_width = bricks[-1].right
    while len(bricks) < n_bricks:
        bricks.append(_let_down(bricks, side, half_width, rng))
    return (*(_block(brick, side) for brick in bricks), *_table(half_width + _REACH * side, side))


def _let_down(bricks: list[_Brick], side: float, half_width: float, rng: np.random.Generator) -> _Brick:
    """A brick at a random place that is carried on both sides of its centre; on the last one where none is found."""
    for _ in range(_TRIES):
        width, height = (2 * side, side) if rng.random() < 0.5 else (side, 2 * side)
        brick = _Brick(rng.uniform(-half_width, half_width), 0.0, width, height)
        below = [other for other in bricks if brick.left < other.right and other.left < brick.right]
        if not below:
            continue
        top = max(other.top for other in below)
        spans = [brick.overlap(other) for other in below if other.top > top - _SLACK]
        low, high = min(span[0] for span in spans), max(span[1] for span in spans)
        if low + _INSIDE * side < brick.x < high - _INSIDE * side:
            return dataclasses.replace(brick, bottom=top)
    highest = max(bricks, key=lambda brick: brick.top)
    return _Brick(highest.x, highest.top, 2 * side, side)


def _block(brick: _Brick, side: float) -> Block:
    return Block(size=(brick.width, side, brick.height), position=(brick.x, 0.0, brick.bottom + brick.height / 2))


def _table(half_width: float, side: float) -> tuple[Block, ...]:
    legs, thickness = (share * side for share in _TABLE)
    furniture = {"colour": _TABLE_COLOUR, "colour_name": "dark", "fixed": True}
    top = Block(size=(2 * half_width, 3 * side, thickness), position=(0.0, 0.0, legs + thickness / 2), **furniture)
    return (
        top,
        *(
            Block(size=(0.4 * side, 2 * side, legs), position=(x, 0.0, legs / 2), **furniture)
            for x in (-0.7 * half_width, 0.7 * half_width)
        ),
    )


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    del truth  # found by screening
    red = int(rng.integers(size))
    return (Proposal(sample_heap(rng, n_bricks=size), removed=red, named={red: RED}),)


def _truth(outcome: Outcome, size: int) -> int:
    del size
    return min(sum(outcome.fell), 3)


def _obstacle(n_bricks: int, truth: int) -> str | None:
    if not 4 <= n_bricks <= MOST_BRICKS:
        return f"a heap has 4 to {MOST_BRICKS} bricks"
    return "too few could fall" if truth > n_bricks - 1 else None


HEAPS = Kind(
    scene_kind="heap",
    sizes={"small": (5, 6, 7), "large": (9, 10, 11)},
    propose=_propose,
    truths=lambda size: (0, 1, 0, 2, 0, 3),
    truth=_truth,
    screened=True,
    counterfactuals=True,
    obstacle=_obstacle,
)
