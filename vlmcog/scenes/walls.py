"""Walls: courses of bricks, each across the joints of the course below, one brick fewer a course, one of them red.

Stated ranges: bricks of 2 x 1 x 1 sides, the side 0.10-0.14 m; joints of 0.04-0.20 sides between the bricks of a
course; each course shifted on the one below by up to 0.5 sides to either side of the middle of its joints; each brick
above the second course missing with probability 0.15, with those that lose all support. The red brick is any.

Truths are stratified as those of pyramids are: where a brick of the course above has its centre over what is left, it
stays, and else it falls with what it carries.
"""

import dataclasses

import numpy as np

from vlmcog.scenes.kind import Proposal
from vlmcog.scenes.look_file import RED
from vlmcog.scenes.pyramids import PYRAMIDS
from vlmcog.scenes.scene import Block

_SIDE = (0.10, 0.14)
_JOINT = (0.04, 0.20)
_SHIFT = 0.5
_MISSING = 0.15


def sample_wall(rng: np.random.Generator, *, n_courses: int) -> tuple[Block, ...]:
    """Returns the bricks of a wall of up to `n_courses` (2 or more) on as many bricks, course by course from below."""
    side = rng.uniform(*_SIDE)
    pitch = side * (2 + rng.uniform(*_JOINT))
    first = -(n_courses - 1) / 2 * pitch
    course = [_brick(first + column * pitch, 0, side) for column in range(n_courses)]
    bricks = list(course)
    for level in range(1, n_courses):
        first += pitch / 2 + rng.uniform(-1, 1) * _SHIFT * side
        missing = _MISSING if level > 1 else 0.0
        places = [first + column * pitch for column in range(n_courses - level)]
        proposed = [_brick(place, level, side) for place in places if rng.random() > missing]
        course = [brick for brick in proposed if _is_carried(brick, course)]
        bricks += course
    return tuple(bricks)


def _brick(x: float, level: int, side: float) -> Block:
    return Block(size=(2 * side, side, side), position=(float(x), 0.0, float((level + 0.5) * side)))


def _is_carried(brick: Block, course: list[Block]) -> bool:
    return any(abs(brick.position[0] - below.position[0]) < brick.size[0] for below in course)


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    del truth  # found by screening
    bricks = sample_wall(rng, n_courses=size)
    red = int(rng.integers(len(bricks)))
    return (Proposal(bricks, removed=red, named={red: RED}),)


def _obstacle(n_courses: int, truth: int) -> str | None:
    del truth
    return "a wall has two courses or more" if n_courses < 2 else None


WALLS = dataclasses.replace(PYRAMIDS, scene_kind="wall", propose=_propose, obstacle=_obstacle)
