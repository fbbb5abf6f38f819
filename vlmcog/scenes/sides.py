"""Side blocks: a block that overhangs its column, and a second column beside the first that may or may not hold it.

The follow-up study (arXiv:2602.06033) has a block standing beside another; this reading of it is ours. Stated ranges:
side 0.16-0.24 m; a column of aligned cubes; on it a block of 1.4-1.8 x 1 x 0.5 sides that overhangs by its centre's
distance from the column's edge; beside the column, under the overhang, 0.05-0.25 sides away, a block as deep as
the cubes that is as high as the column, or 0.4-0.7 sides lower. The centre is 0.08-0.30 sides beyond the column's edge
or as much inside it. It falls where it is beyond and the side block is low; of those that stand, half are beyond with
a high side block, and a quarter each inside with a low and with a high one.
"""

import numpy as np

from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.scene import Block

_SIDE = (0.16, 0.24)
_LENGTH = (1.4, 1.8)
_BEYOND = (0.08, 0.30)
_GAP = (0.05, 0.25)
_WIDTH = (0.5, 0.8)
_LOWER = (0.4, 0.7)


def sample_side(rng: np.random.Generator, *, n_cubes: int, falls: bool) -> tuple[Block, ...]:
    """Returns `n_cubes` cubes from the ground up, the block on them, and the side block."""
    side, direction = rng.uniform(*_SIDE), int(rng.choice((-1, 1)))
    beyond = falls or rng.random() < 0.5
    low = falls or (not beyond and rng.random() < 0.5)
    length, gap, width = rng.uniform(*_LENGTH), rng.uniform(*_GAP), rng.uniform(*_WIDTH)
    centre = 0.5 + rng.uniform(*_BEYOND) * (1 if beyond else -1)
    height = n_cubes - (rng.uniform(*_LOWER) if low else 0.0)
    cubes = [_box((1, 1, 1), 0.0, level, side) for level in range(n_cubes)]
    over = _box((length, 1, 0.5), direction * centre, n_cubes, side)
    beside = _box((width, 1, height), direction * (0.5 + gap + width / 2), 0, side)
    return (*cubes, over, beside)


def _box(size: tuple[float, float, float], x: float, bottom: float, side: float) -> Block:
    length, depth, height = (float(extent * side) for extent in size)
    return Block(size=(length, depth, height), position=(float(x * side), 0.0, float(bottom * side + height / 2)))


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    return (Proposal(sample_side(rng, n_cubes=size, falls=bool(truth))),)


def _obstacle(n_cubes: int, truth: int) -> str | None:
    del truth
    return "a column has one cube or more" if n_cubes < 1 else None


SIDES = Kind(scene_kind="side", sizes={"small": (1, 2), "large": (3, 4)}, propose=_propose, obstacle=_obstacle)
