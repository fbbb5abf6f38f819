"""Displaced tops: aligned cubes of which the topmost alone is out of place, by a drawn offset.

Stated ranges: side 0.16-0.24 m; the offset is 0.5 sides (where the block falls) less the margin, which is uniform in
0.05-0.40 sides to either side of falling; its direction is left or right, up to 20 degrees out of the picture's plane,
and the offset is its larger component. The design is the displaced-top one of the follow-up study (arXiv:2602.06033);
ranges are ours.
"""

import numpy as np

from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.scene import Block

_SIDE = (0.16, 0.24)
_MARGIN = (0.05, 0.40)
_OUT_OF_PLANE = np.radians(20)


def sample_top(rng: np.random.Generator, *, n_blocks: int, falls: bool) -> tuple[Block, ...]:
    """Returns a column of cubes from the ground up whose top block falls or stays as asked."""
    side = rng.uniform(*_SIDE)
    margin = rng.uniform(*_MARGIN)
    across = (0.5 + margin if falls else 0.5 - margin) * side * rng.choice((-1, 1))
    along = across * np.tan(rng.uniform(-_OUT_OF_PLANE, _OUT_OF_PLANE))
    places = [(0.0, 0.0)] * (n_blocks - 1) + [(float(across), float(along))]
    return tuple(
        Block(size=(side, side, side), position=(x, y, (level + 0.5) * side)) for level, (x, y) in enumerate(places)
    )


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    return (Proposal(sample_top(rng, n_blocks=size, falls=bool(truth))),)


def _obstacle(n_blocks: int, truth: int) -> str | None:
    del truth
    return "it takes two blocks or more to have a displaced top" if n_blocks < 2 else None


TOPS = Kind(scene_kind="top", sizes={"small": (2, 3, 4), "large": (5, 6, 7)}, propose=_propose, obstacle=_obstacle)
