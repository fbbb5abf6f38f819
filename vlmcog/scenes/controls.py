"""Matched controls: pairs of towers of opposite truth that are alike in what a shortcut would look at.

Both kinds are of equal, unturned cubes, side 0.16-0.24 m, and both members have the same colours, camera and light.

- A *matched* pair has the same offsets between blocks in another order. All offsets lean one way, so that height, the
  place of the bottom and top block, and the extents of the silhouette are equal. Offsets are up to 0.8 sides across the
  view and a quarter of that along it; margins (see `statics.py`) are 0.04 sides or more. It takes three blocks.
- A *minimal* pair differs in where one block is, the red one: any but the bottom one. Offsets are up to 0.5 sides to
  either side where it stands; where it falls, the red block is up to 0.9 sides from the block below it, and still
  touches both neighbours. Margins are 0.06 sides or more.
"""

import numpy as np
from jaxtyping import Float

from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.look_file import RED
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import column_margin

_SIDE = (0.16, 0.24)
_PROPOSALS = 4096
_DEPTH_SHARE = 0.25
_MATCHED_STEP = 0.8
_MATCHED_MARGIN = 0.04
_MINIMAL_STEP = 0.5
_MINIMAL_MOVE = 0.9
_MINIMAL_MARGIN = 0.06


def matched_pair(
    rng: np.random.Generator, *, n_blocks: int, falls: bool
) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """Returns two towers with the same offsets in another order; the first one falls, or else the second."""
    while True:
        steps = rng.uniform(0, 1, (_PROPOSALS, n_blocks - 1, 2)) * rng.uniform(0, _MATCHED_STEP, (_PROPOSALS, 1, 1))
        steps *= rng.choice((-1, 1), (_PROPOSALS, 1, 2)) * np.array([1.0, _DEPTH_SHARE])
        pair = _columns(steps), _columns(steps[:, rng.permutation(n_blocks - 1)])
        found = _opposite(pair, falls, _MATCHED_MARGIN)
        if found.size:
            side = rng.uniform(*_SIDE)
            return _tower(pair[0][found[0]], side), _tower(pair[1][found[0]], side)


def minimal_pair(
    rng: np.random.Generator, *, n_blocks: int, red: int, falls: bool
) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """Returns two towers that differ in the place of block `red`; the first one falls, or else the second."""
    while True:
        steps = rng.uniform(-1, 1, (_PROPOSALS, n_blocks - 1, 2)) * _MINIMAL_STEP * np.array([1.0, _DEPTH_SHARE])
        first = _columns(steps)
        second = first.copy()
        second[:, red] = first[:, red - 1]
        second[:, red] += rng.uniform(-1, 1, (_PROPOSALS, 2)) * _MINIMAL_MOVE * np.array([1.0, _DEPTH_SHARE])
        apart = np.abs(np.diff(second, axis=1)).max((1, 2))
        found = [index for index in _opposite((first, second), False, _MINIMAL_MARGIN) if apart[index] < _MINIMAL_MOVE]
        if found:
            side = rng.uniform(*_SIDE)
            standing, falling = _tower(first[found[0]], side), _tower(second[found[0]], side)
            return (falling, standing) if falls else (standing, falling)


def _columns(steps: Float[np.ndarray, "p m 2"]) -> Float[np.ndarray, "p n 2"]:
    """Centres of the blocks of each tower in sides, the bottom one at the origin."""
    return np.concatenate([np.zeros_like(steps[:, :1]), np.cumsum(steps, 1)], 1)


def _opposite(pair: tuple[np.ndarray, np.ndarray], first_falls: bool, least: float) -> np.ndarray:
    margins = [
        column_margin(sizes=np.ones((*centres.shape[:2], 3)), centres=centres, yaws=np.zeros(centres.shape[:2]))
        for centres in pair
    ]
    falling, standing = margins if first_falls else margins[::-1]
    return np.flatnonzero((falling < -least) & (standing > least))


def _tower(centres: np.ndarray, side: float) -> tuple[Block, ...]:
    return tuple(
        Block(size=(side, side, side), position=(x, y, (level + 0.5) * side))
        for level, (x, y) in enumerate((centres * side).tolist())
    )


def _propose_matched(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal, ...]:
    return tuple(map(Proposal, matched_pair(rng, n_blocks=size, falls=bool(truth))))


def _propose_minimal(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal, ...]:
    red = int(rng.integers(1, size))
    pair = minimal_pair(rng, n_blocks=size, red=red, falls=bool(truth))
    return tuple(Proposal(tower, named={red: RED}) for tower in pair)


def _matched_obstacle(n_blocks: int, truth: int) -> str | None:
    del truth
    return "two offsets to exchange take three blocks" if n_blocks < 3 else None


def _minimal_obstacle(n_blocks: int, truth: int) -> str | None:
    del truth
    return "it takes two blocks or more to stand or fall" if n_blocks < 2 else None


PAIRS = Kind(
    scene_kind="tower",
    sizes={"small": (3, 4), "large": (5, 6, 7)},
    propose=_propose_matched,
    members=2,
    obstacle=_matched_obstacle,
)
MINIMAL = Kind(
    scene_kind="tower",
    sizes={"small": (2, 3, 4), "large": (5, 6, 7)},
    propose=_propose_minimal,
    members=2,
    obstacle=_minimal_obstacle,
)
