"""Mixed towers: blocks of unequal sizes and weights in one column, the heavy ones red.

Stated ranges: side 0.14-0.20 m; edges 0.6-1.6 sides, each by itself; each block turned by up to 15 degrees; each
offset on the one below by up to `spread` sides across the view and a third of that along it, `spread` being 0.2-1.0. A
block is heavy, `HEAVY` times as dense as the others, with probability 0.4; a tower has blocks of both weights. Margins
(see `statics.py`) are uniform in 0.06-0.16 sides, to either side of falling. In half of the towers, at random, the
answer would be the other one if all were equally dense, by 0.05 sides or more: whoever sees no weights is right as
often as not. That takes three blocks.
"""

import numpy as np
from jaxtyping import Bool, Float

from vlmcog.scenes.geometry import turned
from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.look_file import RED
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import column_margin

HEAVY = 5
"""How many times denser a red block is than the others."""

_LIGHT_DENSITY = 400.0
_SIDE = (0.14, 0.20)
_EDGE = (0.6, 1.6)
_TURN = np.radians(15)
_SPREAD = (0.2, 1.0)
_DEPTH_SHARE = 1 / 3
_HEAVY_SHARE = 0.4
_MARGIN = (0.08, 0.14)
_MARGIN_TOLERANCE = 0.02
_EQUAL_MARGIN = 0.05
_PROPOSALS = 4096


def sample_mixed(rng: np.random.Generator, *, n_blocks: int, falls: bool) -> tuple[Block, ...]:
    """Returns `n_blocks` (3 or more) blocks from the ground up, which fall or stand as asked."""
    margin = rng.uniform(*_MARGIN) * (-1 if falls else 1)
    would_fall = falls ^ bool(rng.integers(2))
    while True:
        shape = (_PROPOSALS, n_blocks)
        sizes = rng.uniform(*_EDGE, (*shape, 3)) * rng.uniform(*_SIDE)
        spread = rng.uniform(*_SPREAD, (_PROPOSALS, 1, 1)) * np.array([1.0, _DEPTH_SHARE])
        steps = rng.uniform(-1, 1, (*shape, 2)) * spread * sizes[..., :2].mean((1, 2), keepdims=True)
        column = {"sizes": sizes, "centres": np.cumsum(steps, 1), "yaws": rng.uniform(-_TURN, _TURN, shape)}
        is_heavy = rng.random(shape) < _HEAVY_SHARE
        found = np.flatnonzero(_is_wanted(column, is_heavy, margin, would_fall))
        if found.size:
            chosen = found[0]
            return _tower({name: rows[chosen] for name, rows in column.items()}, is_heavy[chosen])


def _is_wanted(
    column: dict[str, np.ndarray], is_heavy: Bool[np.ndarray, "p n"], margin: float, would_fall: bool
) -> Bool[np.ndarray, " p"]:
    near = np.abs(column_margin(**column, densities=_densities(is_heavy)) - margin) < _MARGIN_TOLERANCE
    equal = column_margin(**column)
    as_wanted = (np.abs(equal) > _EQUAL_MARGIN) & ((equal < 0) == would_fall)
    return near & as_wanted & is_heavy.any(1) & ~is_heavy.all(1)


def _densities(is_heavy: Bool[np.ndarray, "*p"]) -> Float[np.ndarray, "*p"]:
    return np.where(is_heavy, HEAVY * _LIGHT_DENSITY, _LIGHT_DENSITY)


def _tower(column: dict[str, np.ndarray], is_heavy: Bool[np.ndarray, " n"]) -> tuple[Block, ...]:
    heights = np.cumsum(column["sizes"][:, 2]) - column["sizes"][:, 2] / 2
    rows = zip(
        column["sizes"].tolist(),
        column["centres"].tolist(),
        heights.tolist(),
        column["yaws"].tolist(),
        _densities(is_heavy).tolist(),
        strict=True,
    )
    return tuple(Block(tuple(size), (x, y, z), turned(yaw), density=density) for size, (x, y), z, yaw, density in rows)


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    blocks = sample_mixed(rng, n_blocks=size, falls=bool(truth))
    heavy = [index for index, block in enumerate(blocks) if block.density > _LIGHT_DENSITY]
    return (Proposal(blocks, named=dict.fromkeys(heavy, RED)),)


def _obstacle(n_blocks: int, truth: int) -> str | None:
    del truth
    return "weights make no difference below three blocks" if n_blocks < 3 else None


MIXED = Kind(
    scene_kind="mixed tower", sizes={"small": (3, 4), "large": (5, 6, 7)}, propose=_propose, obstacle=_obstacle
)
