"""Boards: a board on two supports, flat or round, and a column of cubes on the board that may tip it over.

Stated ranges, in sides of 0.16-0.24 m: the two supports are as high as wide, 0.6-0.8, and of two kinds drawn with equal
probability: a box, an upright cylinder, a cylinder lying across the board, or two balls one behind the other. The board
is 2.6-3.4 long, 1.2 deep and 0.2 thick; the cubes, of side 1 and aligned, stand 0.4 sides or more from its middle. The
centre of mass of all that is carried lies 0.06-0.35 inside or beyond the edge of what carries it on the nearer side,
uniformly: that edge is a flat support's outer edge, and the middle of a round one. The farther support is 0.3-0.9
beyond the middle of the board. All bodies have one density.
"""

import dataclasses
import math

import numpy as np

from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.scene import BOX, CYLINDER, SPHERE, Block, Quaternion

LYING: Quaternion = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)
"""Turns a cylinder's axis to lie along y."""

_SIDE = (0.16, 0.24)
_HEIGHT = (0.6, 0.8)
_LENGTH = (2.6, 3.4)
_DEPTH = 1.2
_THICKNESS = 0.2
_LEAST_OFFSET = 0.4
_MARGIN = (0.06, 0.35)
_FARTHER = (0.3, 0.9)
_BETWEEN = 0.15
_BALLS_APART = 0.85
_TRIES = 10_000
_SUPPORTS = ("box", "upright cylinder", "lying cylinder", "balls")
_FLAT = _SUPPORTS[:2]


def sample_board(rng: np.random.Generator, *, n_cubes: int, falls: bool) -> tuple[Block, ...]:
    """Returns the two supports, the board and `n_cubes` cubes on it, which tip or stay as asked."""
    near, far = map(str, rng.choice(_SUPPORTS, 2))  # once, so that neither truth has more of one kind
    for _ in range(_TRIES):
        blocks = _draw(rng, n_cubes, falls, near, far)
        if blocks is not None:
            return blocks
    raise AssertionError("both truths are common")


def _draw(rng: np.random.Generator, n_cubes: int, falls: bool, near: str, far: str) -> tuple[Block, ...] | None:
    """None where the supports would touch, or one of them reach beyond the board."""
    side, direction, height = rng.uniform(*_SIDE), int(rng.choice((-1, 1))), rng.uniform(*_HEIGHT)
    length = rng.uniform(*_LENGTH)
    place = rng.uniform(_LEAST_OFFSET, length / 2 - 0.5)
    board = length * _DEPTH * _THICKNESS
    centre_of_mass = place * n_cubes / (n_cubes + board)
    edge = centre_of_mass + rng.uniform(*_MARGIN) * (-1 if falls else 1)
    nearer = edge - (height / 2 if near in _FLAT else 0.0)
    farther = -rng.uniform(*_FARTHER)
    if nearer - farther < height + _BETWEEN or nearer + height / 2 > length / 2 or height / 2 - farther > length / 2:
        return None
    rows = [
        *_support(near, nearer, height),
        *_support(far, farther, height),
        Block((length, _DEPTH, _THICKNESS), (0.0, 0.0, height + _THICKNESS / 2)),
        *(Block((1, 1, 1), (place, 0.0, height + _THICKNESS + level + 0.5)) for level in range(n_cubes)),
    ]
    return tuple(_placed(block, direction, side) for block in rows)


def _support(name: str, x: float, height: float) -> tuple[Block, ...]:
    """The bodies of a support, in sides."""
    size, middle = (height, height, height), (x, 0.0, height / 2)
    if name == "balls":
        return tuple(Block(size, (x, y * _BALLS_APART / 2, height / 2), shape=SPHERE) for y in (-1, 1))
    if name == "lying cylinder":
        return (Block((height, height, 1.0), middle, LYING, shape=CYLINDER),)
    return (Block(size, middle, shape=CYLINDER if name == "upright cylinder" else BOX),)


def _placed(block: Block, direction: int, side: float) -> Block:
    """The block in metres, the scene mirrored where the direction is -1."""
    x, y, z = block.position
    a, b, c = block.size
    size = (float(a * side), float(b * side), float(c * side))
    return dataclasses.replace(block, size=size, position=(float(direction * x * side), y * side, float(z * side)))


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    return (Proposal(sample_board(rng, n_cubes=size, falls=bool(truth))),)


def _obstacle(n_cubes: int, truth: int) -> str | None:
    del truth
    return "the board needs a cube to tip it" if n_cubes < 1 else None


BOARDS = Kind(scene_kind="board", sizes={"small": (1, 2), "large": (3, 4)}, propose=_propose, obstacle=_obstacle)
