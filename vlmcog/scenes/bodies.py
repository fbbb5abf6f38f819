"""Where rays meet boxes, spheres and cylinders: each is convex, so a ray is inside it along one span.

Bodies are a dictionary of arrays, one row a body: `shape` (index into SHAPES), `centre` [3], `half` extents [3] and
`axes` [3, 3], the rotation that takes the body's coordinates to the world's.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array

from vlmcog.scenes.scene import BOX, CYLINDER, SHAPES, SPHERE
from vlmcog.scenes.vectors import XYZ, add, columns, dot, into, out_of, scale, spread, subtract, where

FAR = 1e9

Bodies = dict[str, Array]
Span = tuple[Array, Array]


def span(bodies: Bodies, index: Array, origin: XYZ, ray: XYZ) -> Span:
    """Where rays enter and leave body `index`, in lengths of `ray`; they miss it where they would leave before."""
    axes = bodies["axes"][index]
    start = into(axes, subtract(origin, spread(bodies["centre"][index])))
    return jax.lax.switch(bodies["shape"][index], _SPANS, bodies["half"][index], start, into(axes, ray))


def _box(half: Array, start: XYZ, step: XYZ) -> Span:
    """The slab test: inside the box is inside its three pairs of planes."""
    spans = [_slab(half[axis], start[axis], step[axis]) for axis in range(3)]
    return functools.reduce(jnp.maximum, [s[0] for s in spans]), functools.reduce(jnp.minimum, [s[1] for s in spans])


def _slab(half: Array, start: Array, step: Array) -> Span:
    inverse = 1 / jnp.where(jnp.abs(step) < 1e-9, 1e-9, step)
    middle, reach = -start * inverse, jnp.abs(half * inverse)
    return middle - reach, middle + reach


def _sphere(half: Array, start: XYZ, step: XYZ) -> Span:
    # From the ray's nearest point to the centre: small numbers, where the textbook's quadratic cancels large ones.
    squared = dot(step, step)
    nearest = -dot(start, step) / squared
    offset = add(start, scale(step, nearest))
    return _around(nearest, (half[0] * half[0] - dot(offset, offset)) / squared)


def _cylinder(half: Array, start: XYZ, step: XYZ) -> Span:
    """Inside the endless tube and between the two caps."""
    squared = jnp.maximum(step[0] * step[0] + step[1] * step[1], 1e-18)
    nearest = -(start[0] * step[0] + start[1] * step[1]) / squared
    x, y = start[0] + step[0] * nearest, start[1] + step[1] * nearest
    tube = _around(nearest, (half[0] * half[0] - x * x - y * y) / squared)
    caps = _slab(half[2], start[2], step[2])
    return jnp.maximum(tube[0], caps[0]), jnp.minimum(tube[1], caps[1])


def _around(middle: Array, squared_reach: Array) -> Span:
    reach = jnp.sqrt(jnp.maximum(squared_reach, 0))
    missed = squared_reach <= 0
    return jnp.where(missed, FAR, middle - reach), jnp.where(missed, -FAR, middle + reach)


_SPANS = tuple({BOX: _box, SPHERE: _sphere, CYLINDER: _cylinder}[shape] for shape in SHAPES)


def local_point(bodies: Bodies, index: Array, point: XYZ) -> XYZ:
    """Points [*p] of the world in the coordinates of their bodies `index` [*p]."""
    return into(bodies["axes"][index], subtract(point, columns(bodies["centre"][index])))


def normal(bodies: Bodies, index: Array, local: XYZ) -> XYZ:
    """The outward normals in the world at points `local` on the surfaces of their bodies `index` [*p]."""
    half, shape = columns(bodies["half"][index]), bodies["shape"][index]
    curved = where(shape == SHAPES.index(SPHERE), _sphere_normal(half, local), _cylinder_normal(half, local))
    return out_of(bodies["axes"][index], where(shape == SHAPES.index(BOX), _box_normal(half, local), curved))


def _box_normal(half: XYZ, local: XYZ) -> XYZ:
    beyond = tuple(jnp.abs(value) - h for value, h in zip(local, half, strict=True))
    largest = functools.reduce(jnp.maximum, beyond)
    x, y, z = (jnp.where(b == largest, jnp.sign(value), 0.0) for b, value in zip(beyond, local, strict=True))
    return x, y, z


def _sphere_normal(half: XYZ, local: XYZ) -> XYZ:
    return scale(local, 1 / jnp.maximum(half[0], 1e-9))


def _cylinder_normal(half: XYZ, local: XYZ) -> XYZ:
    radius = jnp.maximum(half[0], 1e-9)
    beyond_tube = jnp.sqrt(local[0] * local[0] + local[1] * local[1]) - half[0]
    zero = jnp.zeros_like(radius)
    cap = (zero, zero, jnp.sign(local[2]))
    return where(jnp.abs(local[2]) - half[2] > beyond_tube, cap, (local[0] / radius, local[1] / radius, zero))
