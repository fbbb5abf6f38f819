"""Things that stand behind the blocks and are only seen: they touch, hide and shade nothing that is asked about."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vlmcog.scenes.framing import EDGE, project
from vlmcog.scenes.geometry import corners, turned
from vlmcog.scenes.look_file import ClutterRange
from vlmcog.scenes.scene import BOX, CYLINDER, Block, Camera

_TRIES = 60
_APART = 0.02


def place_clutter(
    bodies: Sequence[Block], camera: Camera, ranges: ClutterRange, rng: np.random.Generator
) -> tuple[Block, ...]:
    """Returns things on the ground, wholly in the picture, beside what they are behind.

    Each is farther from the camera than every body, and its rectangle in the picture meets none of theirs, nor of the
    other things. There are fewer than drawn where the picture has no room for more.
    """
    wanted = int(rng.integers(int(ranges.count[0]), int(ranges.count[1]), endpoint=True)) if ranges.count[1] else 0
    points = np.concatenate([corners(body) for body in bodies])
    middle, radius = points.mean(0), np.linalg.norm(points - points.mean(0), axis=-1).max()
    taken = [_seen(body, camera) for body in bodies]
    found: list[Block] = []
    for _ in range(_TRIES if wanted else 0):
        thing = _propose(middle, radius, ranges, rng)
        seen = _seen(thing, camera)
        if len(found) < wanted and _is_free(seen, taken, len(bodies)):
            found.append(thing)
            taken.append(seen)
    return tuple(found)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A rectangle in the picture and the nearest and farthest depth."""

    low: np.ndarray
    high: np.ndarray
    near: float
    far: float


def _seen(body: Block, camera: Camera) -> _Seen:
    projected = project(camera, corners(body))
    low, high = projected.min(0), projected.max(0)
    return _Seen(low[:2], high[:2], low[2], high[2])


def _is_free(seen: _Seen, taken: Sequence[_Seen], n_bodies: int) -> bool:
    inside = seen.near > 0 and seen.low.min() > -EDGE and seen.high.max() < EDGE
    behind = seen.near > max(body.far for body in taken[:n_bodies])
    return inside and behind and not any(_meet(seen, other) for other in taken)


def _meet(one: _Seen, other: _Seen) -> bool:
    return bool(np.all((one.low - _APART < other.high) & (other.low - _APART < one.high)))


def _propose(middle: np.ndarray, radius: float, ranges: ClutterRange, rng: np.random.Generator) -> Block:
    shape = ranges.shapes[rng.integers(len(ranges.shapes))]
    size = rng.uniform(*ranges.size) * 2 * radius
    width, height = (1.0, 1.0) if shape not in (BOX, CYLINDER) else rng.uniform(0.5, 1.0, 2).tolist()
    x, y = rng.uniform((-2.5, 0.3), (2.5, 3.0)) * radius + middle[:2]
    return Block(
        size=(size * width, size * width, size * height),
        position=(float(x), float(y), size * height / 2),
        orientation=turned(float(rng.uniform(0, np.pi))),
        colour=ranges.colours[rng.integers(len(ranges.colours))],
        colour_name="clutter",
        material=ranges.materials[rng.integers(len(ranges.materials))],
        shape=shape,
    )
