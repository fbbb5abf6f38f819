"""Towers: blocks stacked in one column, each offset and slightly turned on the one below.

Stated ranges: side 0.16-0.24 m; half of the towers are of cubes, half of cuboids whose edges are 0.75-1.25 sides; each
block turned by up to 15 degrees; each offset on the one below by up to `spread` sides across the view and a third of
that along it, `spread` being 0.2-1.0. The larger part of an offset lies across the view because a single picture hardly
shows the other. Margins (see `statics.py`) are uniform in 0.10-0.45 sides, to either side of falling.
"""

import dataclasses

import numpy as np

from vlmcog.errors import UserError
from vlmcog.scenes.geometry import turned
from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import column_margin

_SIDE = (0.16, 0.24)
_EDGE = (0.75, 1.25)
_MARGIN = (0.10, 0.45)
_SPREAD = (0.2, 1.0)
_DEPTH_SHARE = 1 / 3
_TURN = np.radians(15)
_PROPOSALS = 512
_MARGIN_TOLERANCE = 0.03
_OFFSET_TOLERANCE = 0.1


@dataclasses.dataclass(frozen=True)
class _Columns:
    """Proposed towers: sizes [p, n, 3], horizontal centres [p, n, 2] and turns [p, n]."""

    sizes: np.ndarray
    centres: np.ndarray
    yaws: np.ndarray

    def top_offsets(self) -> np.ndarray:
        """Horizontal distance [p] between the bottom and the top block, in sides of the bottom one."""
        between = np.linalg.norm(self.centres[:, -1] - self.centres[:, 0], axis=-1)
        return between / self.sizes[:, 0, :2].min(-1)

    def tower(self, index: int) -> tuple[Block, ...]:
        tops = np.cumsum(self.sizes[index, :, 2])
        heights = tops - self.sizes[index, :, 2] / 2
        return tuple(
            Block(size=tuple(size), position=(x, y, z), orientation=turned(yaw))
            for size, (x, y), z, yaw in zip(
                self.sizes[index].tolist(),
                self.centres[index].tolist(),
                heights.tolist(),
                self.yaws[index].tolist(),
                strict=True,
            )
        )


def sample_tower(rng: np.random.Generator, *, n_blocks: int, falls: bool) -> tuple[Block, ...]:
    """Returns a bare tower, from the ground up, whose static margin says that it falls or stands as asked.

    From three blocks on, margin and distance between top and bottom block are drawn from one distribution for both
    truths, so that neither gives the answer away. (With two blocks that distance is the answer.)

    Args:
      rng: the source of every draw.
      n_blocks: 2 or more.
      falls: whether the tower is to fall.

    Raises:
      UserError: fewer than two blocks, which have no joint to balance on.
    """
    if obstacle := _obstacle(n_blocks, int(falls)):
        raise UserError(f"a tower of {n_blocks} blocks cannot be made: {obstacle}")
    size = rng.uniform(*_MARGIN)
    margin = -size if falls else size
    offset = rng.uniform(0, _longest_top_offset(n_blocks, size))
    offset_tolerance = _OFFSET_TOLERANCE if n_blocks > 2 else np.inf
    while True:
        columns = _propose(rng, n_blocks)
        margins = column_margin(sizes=columns.sizes, centres=columns.centres, yaws=columns.yaws)
        near_margin = np.abs(margins - margin) < _MARGIN_TOLERANCE
        near_offset = np.abs(columns.top_offsets() - offset) < offset_tolerance
        found = np.flatnonzero(near_margin & near_offset)
        if found.size:
            return columns.tower(found[0])


def _propose(rng: np.random.Generator, n_blocks: int) -> _Columns:
    shape = (_PROPOSALS, n_blocks)
    side = rng.uniform(*_SIDE)
    cuboids = rng.random() < 0.5
    edges = rng.uniform(*_EDGE, (*shape, 3)) if cuboids else np.ones((*shape, 3))
    spread = rng.uniform(*_SPREAD, (_PROPOSALS, 1, 1)) * np.array([1.0, _DEPTH_SHARE])
    steps = rng.uniform(-1, 1, (*shape, 2)) * spread * side
    steps[:, 0] = 0
    return _Columns(sizes=side * edges, centres=np.cumsum(steps, 1), yaws=rng.uniform(-_TURN, _TURN, shape))


def _longest_top_offset(n_blocks: int, margin: float) -> float:
    """Nine tenths of the longest overhang, in sides, of cubes that stand with that margin: a harmonic sum."""
    return 0.9 * sum((0.5 - margin) / k for k in range(1, n_blocks))


def _propose_towers(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    return (Proposal(sample_tower(rng, n_blocks=size, falls=bool(truth))),)


def _obstacle(n_blocks: int, truth: int) -> str | None:
    del truth
    return "it takes two blocks or more to stand or fall" if n_blocks < 2 else None


TOWERS = Kind(
    scene_kind="tower",
    sizes={"small": (2, 3, 4), "large": (5, 6, 7)},
    propose=_propose_towers,
    obstacle=_obstacle,
)
