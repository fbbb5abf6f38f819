"""Surfaces by number: what a ray through the picture meets, and where.

The surfaces are the bodies in their order, then the ground, the wall and the sky. A facet is a surface's side: 4 times
the surface's number plus the axis of its own that the side is square to; round sides count as the first axis. But for
round sides, a facet seen by the camera is a plane, so its number alone says where a ray meets it.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vlmcog.scenes import bodies
from vlmcog.scenes.scene import BOX, CYLINDER, SHAPES, SPHERE
from vlmcog.scenes.vectors import XYZ, add, columns, dot, into, scale, spread, subtract

_EPSILON = 1e-4
_FAR = 1e6
_GRAZING = 0.01
_NOTHING = 2**31 - 1
_BOX, _SPHERE, _CYLINDER = (SHAPES.index(shape) for shape in (BOX, SPHERE, CYLINDER))


class Surfaces(NamedTuple):
    """A scene's surfaces as seen from its camera, and the facets that face it.

    Attributes:
      camera: rows as `render.arrays` has them: position, right, up, forward.
      shape: of each surface, as an index into SHAPES.
      centre: of each body, and the world's origin for the others.
      axes: the rotation of each, from its own coordinates to the world's.
      half: half its extents.
      start: the camera in the surface's coordinates.
      steps: the camera's right, up and forward in the surface's coordinates.
      normal: of each facet.
      offset: how far behind the camera's position the facet's plane is, along the normal.
    """

    camera: Float[Array, "4 3"]
    shape: Int[Array, " n"]
    centre: Float[Array, "n 3"]
    axes: Float[Array, "n 3 3"]
    half: Float[Array, "n 3"]
    start: Float[Array, "n 3"]
    steps: Float[Array, "n 3 3"]
    normal: Float[Array, "m 3"]
    offset: Float[Array, " m"]


class Hit(NamedTuple):
    """Where rays meet surfaces.

    Attributes:
      surface: its number.
      ray: the direction looked in, of length 1 along the camera's forward.
      depth: metres along forward; far for the sky.
      place: the point in the world.
      normal: outward, of length 1.
    """

    surface: Int[Array, " p"]
    ray: XYZ
    depth: Float[Array, " p"]
    place: XYZ
    normal: XYZ


def of(scene: dict[str, Any]) -> Surfaces:
    """The surfaces of a scene's arrays (see `render.arrays`)."""
    body, camera = scene["bodies"], scene["camera"]
    origin = jnp.zeros((3, 3), jnp.float32)
    centre = jnp.concatenate([body["centre"], origin])
    on_plane = jnp.concatenate([body["centre"], origin.at[1, 1].set(scene["wall"])])
    axes = jnp.concatenate([body["axes"], jnp.broadcast_to(jnp.eye(3, dtype=jnp.float32), (3, 3, 3))])
    half = jnp.concatenate([body["half"], jnp.zeros((3, 3), jnp.float32)])
    start = _turned(axes, camera[None, 0] - on_plane)
    # The camera sees the side of a slab that it is on; of the wall it is always the front.
    sides = jnp.where(start < 0, -1.0, 1.0).astype(jnp.float32)
    normal = jnp.swapaxes(axes, 1, 2) * sides[:, :, None]
    offset = half - jnp.abs(start)
    pad = ((0, 0), (0, 1))
    return Surfaces(
        camera=camera,
        shape=jnp.concatenate([body["shape"], jnp.full(3, _BOX, jnp.int32)]),
        centre=centre,
        axes=axes,
        half=half,
        start=start,
        steps=jnp.stack([_turned(axes, jnp.broadcast_to(camera[i], centre.shape)) for i in (1, 2, 3)], 1),
        normal=jnp.pad(normal, (*pad, (0, 0))).reshape(-1, 3),
        offset=jnp.pad(offset, pad).reshape(-1),
    )


def _turned(axes: Float[Array, "n 3 3"], vectors: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
    return jnp.stack(into(axes, columns(vectors)), -1)


def ground(surfaces: Surfaces) -> int:
    """The ground's number; after it come the wall's and the sky's."""
    return surfaces.shape.shape[0] - 3


def facets(surfaces: Surfaces, n_bodies: Int[Array, ""], x: Float[Array, " p"], y: Float[Array, " p"]) -> Array:
    """The facet that each ray through picture coordinates meets first [p].

    A depth and its facet are one whole number, the depth's bits before the facet's, so that the nearest is a minimum.
    """
    low_bits = (1 << (4 * surfaces.shape.shape[0]).bit_length()) - 1

    def nearer(nearest: Array, hit: Array, depth: Array, facet: Array) -> Array:
        key = (jax.lax.bitcast_convert_type(depth, jnp.int32) & ~low_bits) | facet
        return jnp.where(hit, jnp.minimum(nearest, key), nearest)

    def test(shape: int, index: Array, nearest: Array) -> Array:
        start, half = spread(surfaces.start[index]), surfaces.half[index]
        step = _through(surfaces.steps[index], x, y)
        enter, leave = bodies.span(shape, half, start, step)
        facet = 4 * index + bodies.side(shape, half, start, step)
        return nearer(nearest, (enter < leave) & (enter > _EPSILON), enter, facet)

    def test_any(index: Array, nearest: Array) -> Array:
        tests = [functools.partial(test, shape) for shape in range(len(SHAPES))]
        return jax.lax.switch(surfaces.shape[index], tests, index, nearest)

    step, floor = _through(surfaces.camera[1:], x, y), ground(surfaces)
    nearest = jnp.full(x.shape, (_NOTHING & ~low_bits) | (4 * (floor + 2)), jnp.int32)
    for facet, coordinate in ((4 * floor + 2, step[2]), (4 * (floor + 1) + 1, -step[1])):
        towards = coordinate < -_EPSILON
        depth = surfaces.offset[facet] / jnp.where(towards, coordinate, -1.0)
        nearest = nearer(nearest, towards & (depth < _FAR), depth, jnp.int32(facet))
    return jax.lax.fori_loop(0, n_bodies, test_any, nearest) & low_bits


def hit(surfaces: Surfaces, facet: Int[Array, " p"], x: Float[Array, " p"], y: Float[Array, " p"]) -> Hit:
    """Where rays through picture coordinates meet the facets that they meet first."""
    surface, step = facet >> 2, _through(surfaces.camera[1:], x, y)
    normal = take(surfaces.normal, facet)
    depth = surfaces.offset[facet] / dot(normal, step)
    depth = jnp.where(surface == ground(surfaces) + 2, bodies.FAR, depth)
    flat = (depth, *normal)
    shape = surfaces.shape[surface]
    is_round = (shape == _SPHERE) | ((shape == _CYLINDER) & (facet & 3 == 0))
    depth, *normal = jax.lax.cond(
        jnp.any(is_round),
        lambda: tuple(
            jnp.where(is_round, bent, plane) for bent, plane in zip(_round(surfaces, surface, x, y), flat, strict=True)
        ),
        lambda: flat,
    )
    place = add(spread(surfaces.camera[0]), scale(step, depth))
    return Hit(surface, step, depth, place, (normal[0], normal[1], normal[2]))


def _round(surfaces: Surfaces, surface: Array, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Depth and normal where rays meet the round sides of spheres and cylinders."""
    half, start = take(surfaces.half, surface), take(surfaces.start, surface)
    right, up, forward = (take(surfaces.steps[:, i], surface) for i in range(3))
    step = add(forward, add(scale(right, x), scale(up, y)))
    is_sphere = surfaces.shape[surface] == _SPHERE
    depth = jnp.where(
        is_sphere, bodies.span(_SPHERE, half, start, step)[0], bodies.span(_CYLINDER, half, start, step)[0]
    )
    out = scale(add(start, scale(step, depth)), 1 / jnp.maximum(half[0], 1e-9))
    out = (out[0], out[1], jnp.where(is_sphere, out[2], 0.0))
    axes = tuple(take(surfaces.axes[:, i], surface) for i in range(3))
    x, y, z = (dot(axis, out) for axis in axes)
    return depth, x, y, z


def local_place(surfaces: Surfaces, hit: Hit) -> XYZ:
    """Where rays meet, in the coordinates of the surfaces that they meet."""
    return _local(surfaces, hit.surface, subtract(hit.place, take(surfaces.centre, hit.surface)))


def local_width(surfaces: Surfaces, hit: Hit, width: Array) -> XYZ:
    """How much of each of a surface's own coordinates is seen through `width` of the picture."""
    right, up = (_local(surfaces, hit.surface, moved) for moved in footprint(surfaces.camera, hit, width))
    x, y, z = (jnp.sqrt(r * r + u * u) for r, u in zip(right, up, strict=True))
    return x, y, z


def _local(surfaces: Surfaces, surface: Array, vector: XYZ) -> XYZ:
    x, y, z = (dot(take(surfaces.axes[:, :, i], surface), vector) for i in range(3))
    return x, y, z


def footprint(camera: Float[Array, "4 3"], hit: Hit, width: Array) -> tuple[XYZ, XYZ]:
    """How far places move on their surfaces' tangents when the picture's point moves by `width` right, and up."""
    facing = dot(hit.normal, hit.ray)
    facing = jnp.where(jnp.abs(facing) < _GRAZING, -_GRAZING, facing)

    def moved(axis: XYZ) -> XYZ:
        return scale(subtract(axis, scale(hit.ray, dot(hit.normal, axis) / facing)), hit.depth * width)

    return moved(spread(camera[1])), moved(spread(camera[2]))


def take(table: Float[Array, "n 3"], index: Int[Array, " p"]) -> XYZ:
    """Rows of a table of vectors, by number."""
    return table[:, 0][index], table[:, 1][index], table[:, 2][index]


def _through(rows: Float[Array, "3 3"], x: Array, y: Array) -> XYZ:
    """Directions through picture coordinates, given those of right, up and forward."""
    right, up, forward = rows
    return add(spread(forward), add(scale(spread(right), x), scale(spread(up), y)))
