"""Where rays meet boxes, spheres and cylinders: each is convex, so a ray is inside it along one span.

Everything is in the body's own coordinates; `half` are half its extents.
"""

import functools
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from vlmcog.scenes.scene import BOX, CYLINDER, SHAPES, SPHERE
from vlmcog.scenes.vectors import XYZ, add, dot, scale

FAR = 1e9

Bodies = dict[str, Array]
Span = tuple[Array, Array]


def span(shape: int, half: Any, start: XYZ, step: XYZ) -> Span:
    """Where rays enter and leave a body, in lengths of `step`; they miss it where they would leave before.

    Args:
      shape: index into SHAPES.
      half: three scalars or arrays [*p].
      start: where the rays start.
      step: their directions, of any length.
    """
    return {BOX: _box, SPHERE: _sphere, CYLINDER: _cylinder}[SHAPES[shape]](half, start, step)


def side(shape: int, half: Any, start: XYZ, step: XYZ) -> Array:
    """The axis that the side where rays enter is square to; 0 for round sides."""
    if SHAPES[shape] == SPHERE:
        return jnp.zeros_like(step[0], jnp.int32)
    if SHAPES[shape] == CYLINDER:
        return jnp.where(_slab(half[2], start[2], step[2])[0] > _tube(half, start, step)[0], 2, 0)
    x, y, z = (_slab(half[axis], start[axis], step[axis])[0] for axis in range(3))
    return jnp.where(x >= jnp.maximum(y, z), 0, jnp.where(y >= z, 1, 2))


def _box(half: Any, start: XYZ, step: XYZ) -> Span:
    """The slab test: inside the box is inside its three pairs of planes."""
    spans = [_slab(half[axis], start[axis], step[axis]) for axis in range(3)]
    return functools.reduce(jnp.maximum, [s[0] for s in spans]), functools.reduce(jnp.minimum, [s[1] for s in spans])


def _slab(half: Array, start: Array, step: Array) -> Span:
    inverse = 1 / jnp.where(jnp.abs(step) < 1e-9, 1e-9, step)
    middle, reach = -start * inverse, jnp.abs(half * inverse)
    return middle - reach, middle + reach


def _sphere(half: Any, start: XYZ, step: XYZ) -> Span:
    # From the ray's nearest point to the centre: small numbers, where the textbook's quadratic cancels large ones.
    squared = dot(step, step)
    nearest = -dot(start, step) / squared
    offset = add(start, scale(step, nearest))
    return _around(nearest, (half[0] * half[0] - dot(offset, offset)) / squared)


def _cylinder(half: Any, start: XYZ, step: XYZ) -> Span:
    """Inside the endless tube and between the two caps."""
    tube, caps = _tube(half, start, step), _slab(half[2], start[2], step[2])
    return jnp.maximum(tube[0], caps[0]), jnp.minimum(tube[1], caps[1])


def _tube(half: Any, start: XYZ, step: XYZ) -> Span:
    squared = jnp.maximum(step[0] * step[0] + step[1] * step[1], 1e-18)
    nearest = -(start[0] * step[0] + start[1] * step[1]) / squared
    x, y = start[0] + step[0] * nearest, start[1] + step[1] * nearest
    return _around(nearest, (half[0] * half[0] - x * x - y * y) / squared)


def _around(middle: Array, squared_reach: Array) -> Span:
    reach = jnp.sqrt(jnp.maximum(squared_reach, 0))
    missed = squared_reach <= 0
    return jnp.where(missed, FAR, middle - reach), jnp.where(missed, -FAR, middle + reach)
