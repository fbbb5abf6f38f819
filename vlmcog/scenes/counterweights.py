"""Counterweights: a beam that reaches too far over a column, and a block on its other end.

Stated ranges: side 0.14-0.20 m; a column of aligned cubes; on it a beam 2.4-3.2 sides long and 0.5 thick, its centre
0.60-1.0 sides to one side of the column's, so that it would fall by itself; on the beam a block of 0.7-1.3 sides,
its centre anywhere on the beam on the other side of the column's centre. The margin (see `statics.py`) is at least
0.06 sides. All blocks have one density, so that what is seen decides.
"""

import numpy as np

from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import tower_margin

_SIDE = (0.14, 0.20)
_LENGTH = (2.4, 3.2)
_REACH = (0.60, 1.0)
_WEIGHT = (0.7, 1.3)
_MARGIN = 0.06
_TRIES = 10_000


def sample_counterweight(rng: np.random.Generator, *, n_cubes: int, falls: bool) -> tuple[Block, ...]:
    """Returns `n_cubes` cubes, the beam and the counterweight, from the ground up, which fall or stand as asked."""
    for _ in range(_TRIES):
        blocks = _draw(rng, n_cubes)
        margin = tower_margin(blocks)
        if abs(margin) > _MARGIN and (margin < 0) == falls:
            return blocks
    raise AssertionError("both truths are common")


def _draw(rng: np.random.Generator, n_cubes: int) -> tuple[Block, ...]:
    side, direction = rng.uniform(*_SIDE), int(rng.choice((-1, 1)))
    length, reach, edge = (rng.uniform(*bounds) for bounds in (_LENGTH, _REACH, _WEIGHT))
    end = max(0.0, length / 2 - reach - edge / 2)
    place = -rng.uniform(0, end)
    cubes = [_box((1, 1, 1), 0.0, level, side) for level in range(n_cubes)]
    beam = _box((length, 0.8, 0.5), direction * reach, n_cubes, side)
    weight = _box((edge, 0.8, edge), direction * place, n_cubes + 0.5, side)
    return (*cubes, beam, weight)


def _box(size: tuple[float, float, float], x: float, bottom: float, side: float) -> Block:
    length, depth, height = (float(extent * side) for extent in size)
    return Block(size=(length, depth, height), position=(float(x * side), 0.0, float(bottom * side + height / 2)))


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    return (Proposal(sample_counterweight(rng, n_cubes=size, falls=bool(truth))),)


def _obstacle(n_cubes: int, truth: int) -> str | None:
    del truth
    return "the beam needs a cube to lie on" if n_cubes < 1 else None


COUNTERWEIGHTS = Kind(
    scene_kind="counterweight", sizes={"small": (1, 2), "large": (3, 4)}, propose=_propose, obstacle=_obstacle
)
