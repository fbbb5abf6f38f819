"""Vectors as triples of equal arrays, one a coordinate, so that a loop over pixels stays one loop.

`XYZ` holds world or local coordinates in metres of any number of points.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

XYZ = tuple[Array, Array, Array]


def spread(vector: Array) -> XYZ:
    """One vector [3] as a triple of scalars."""
    return vector[0], vector[1], vector[2]


def columns(values: Array) -> XYZ:
    """Vectors [*p, 3] as a triple of [*p]."""
    return values[..., 0], values[..., 1], values[..., 2]


def add(a: Any, b: Any) -> XYZ:
    """The sum."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def subtract(a: Any, b: Any) -> XYZ:
    """The difference."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def scale(a: Any, factor: Any) -> XYZ:
    """The vector times a number."""
    return a[0] * factor, a[1] * factor, a[2] * factor


def dot(a: Any, b: Any) -> Array:
    """The scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Any, b: Any) -> XYZ:
    """The vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def length(a: Any) -> Array:
    """The vector's length."""
    return jnp.sqrt(dot(a, a))


def unit(a: Any) -> XYZ:
    """The vector at length 1."""
    return scale(a, jax.lax.rsqrt(dot(a, a)))


def where(condition: Array, a: Any, b: Any) -> XYZ:
    """Coordinates of `a` where the condition holds, else of `b`."""
    return jnp.where(condition, a[0], b[0]), jnp.where(condition, a[1], b[1]), jnp.where(condition, a[2], b[2])


def into(axes: Array, vector: Any) -> XYZ:
    """World to local coordinates: the transpose of the rotation `axes` [*p, 3, 3]."""
    x, y, z = (dot((axes[..., 0, i], axes[..., 1, i], axes[..., 2, i]), vector) for i in range(3))
    return x, y, z


def out_of(axes: Array, vector: Any) -> XYZ:
    """Local to world coordinates: the rotation `axes` [*p, 3, 3]."""
    x, y, z = (dot((axes[..., i, 0], axes[..., i, 1], axes[..., i, 2]), vector) for i in range(3))
    return x, y, z
