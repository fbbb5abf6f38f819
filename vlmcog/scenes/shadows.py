"""How much of the light's disc a point sees.

Most points see all of it or nothing. A point is in doubt only where the ray to the disc's middle passes a body's
outline by less than the disc is wide there, and the pixel here; only points in doubt send many rays, from all over the
pixel to all over the disc. No convex body shades itself, so none is tested against its own points.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vlmcog.scenes import bodies, surfaces
from vlmcog.scenes.compaction import each_chosen
from vlmcog.scenes.scene import BOX, CYLINDER, SHAPES, SPHERE
from vlmcog.scenes.vectors import XYZ, add, cross, dot, into, length, scale, spread, subtract, unit

RAYS = 16
"""From each point in doubt."""

_SIDE_BY_SIDE = 256
_WIDEST = 0.03
_EPSILON = 1e-4
_CERTAIN, _DOUBTFUL, _HIDDEN = 0, 1, 2
_INSCRIBED = {BOX: (1.0, 1.0, 1.0), SPHERE: (3**-0.5,) * 3, CYLINDER: (2**-0.5, 2**-0.5, 1.0)}
"""The largest box within each shape, as shares of the box around it."""


class Points(NamedTuple):
    """Points to be lit.

    Attributes:
      hit: where they are.
      width: of what a point stands for, in picture coordinates; 0 for the point alone.
      turn: in [0, 1), turns the rays to the disc, so that penumbrae grain instead of band.
    """

    hit: surfaces.Hit
    width: Float[Array, " p"]
    turn: Float[Array, " p"]


def light_seen(scene: dict[str, Any], points: Points, matters: Bool[Array, " p"]) -> Float[Array, " p"]:
    """The share of the light's disc that each point sees; any number where it doesn't matter."""
    found = _certainty(scene, points)
    seen = jnp.where(found == _HIDDEN, 0.0, 1.0)
    sample = functools.partial(_sample, scene)
    return each_chosen(matters & (found == _DOUBTFUL), sample, points, seen, at_once=_SIDE_BY_SIDE)


def _certainty(scene: dict[str, Any], points: Points) -> Int[Array, " p"]:
    footprint = functools.reduce(jnp.add, [0.5 * length(moved) for moved in _footprint(scene, points)])
    light, body = spread(scene["light"]), scene["bodies"]
    inscribed = jnp.asarray([_INSCRIBED[shape] for shape in SHAPES], jnp.float32)

    def test(index: Array, found: Array) -> Array:
        axes, half = body["axes"][index], body["half"][index]
        start = into(axes, subtract(points.hit.place, spread(body["centre"][index])))
        step = into(axes, light)
        # No ray is farther from the middle one than this, before the body is behind it.
        reach = jnp.sqrt(jnp.sum(half * half)) - dot(start, step)
        margin = scene["light_spread"] * jnp.maximum(reach, 0) + footprint
        shares = inscribed[body["shape"][index]]
        outer = _meets(tuple(half[a] + margin for a in range(3)), start, step)
        inner = _meets(tuple(half[a] * shares[a] - margin for a in range(3)), start, step)
        state = jnp.where(inner, _HIDDEN, jnp.where(outer, _DOUBTFUL, _CERTAIN))
        return jnp.where(points.hit.surface == index, found, jnp.maximum(found, state))

    return jax.lax.fori_loop(0, scene["n_bodies"], test, jnp.zeros_like(points.hit.surface))


def _footprint(scene: dict[str, Any], points: Points) -> list[XYZ]:
    """How far points move over their widths, cut off where the view grazes the surface."""
    both = surfaces.footprint(scene["camera"], points.hit, points.width)
    return [scale(moved, jnp.minimum(1, _WIDEST / jnp.maximum(length(moved), 1e-9))) for moved in both]


def _meets(half: XYZ, start: XYZ, step: XYZ) -> Array:
    """Whether rays go through boxes; through none with a negative extent."""
    enter, leave = bodies.span(SHAPES.index(BOX), half, start, step)
    there = (half[0] > 0) & (half[1] > 0) & (half[2] > 0)
    return there & (enter < leave) & (leave > _EPSILON)


def _sample(scene: dict[str, Any], points: Points) -> Float[Array, " p"]:
    """The share of rays from all over a point's pixel to all over the disc that no body stops."""
    body, light = scene["bodies"], scene["light"]
    across, along = disc_axes(light)
    u, v = _pixel()[:, :, None]
    right, up = _footprint(scene, points)
    place = tuple(p[None] + u * r[None] + v * t[None] for p, r, t in zip(points.hit.place, right, up, strict=True))
    x, y = _turned(points.turn, scene["light_spread"])

    def stop(shape: int, index: Array, seen: Array) -> Array:
        axes = body["axes"][index]
        start = into(axes, subtract(place, spread(body["centre"][index])))
        middle, side, top = (into(axes, spread(axis)) for axis in (light, across, along))
        step = add(middle, add(scale(side, x), scale(top, y)))
        enter, leave = bodies.span(shape, body["half"][index], start, step)
        hits = (enter < leave) & (leave > _EPSILON) & (points.hit.surface != index)[None]
        return jnp.where(hits, 0.0, seen)

    def stop_any(index: Array, seen: Array) -> Array:
        stops = [functools.partial(stop, shape) for shape in range(len(SHAPES))]
        return jax.lax.switch(body["shape"][index], stops, index, seen)

    seen = jax.lax.fori_loop(0, scene["n_bodies"], stop_any, jnp.ones((RAYS, *points.turn.shape), jnp.float32))
    return jnp.mean(seen, 0)


def disc_axes(light: Float[Array, " 3"]) -> tuple[Array, Array]:
    """Two directions that span the disc of a light in the given direction."""
    aside = jnp.where(jnp.abs(light[0]) < 0.9, jnp.asarray([1.0, 0.0, 0.0]), jnp.asarray([0.0, 1.0, 0.0]))
    across = unit(cross(spread(light), spread(aside)))
    return jnp.stack(across), jnp.stack(cross(spread(light), across))


def _turned(turn: Float[Array, " p"], scale: Array) -> tuple[Array, Array]:
    """Points of a disc [rays, p]: a sunflower's seeds, turned by up to a half turn."""
    seed = np.arange(RAYS)
    radius, angle = np.sqrt((seed + 0.5) / RAYS), seed * math.pi * (3 - math.sqrt(5))
    across, along = (jnp.asarray(radius * wave(angle), jnp.float32)[:, None] * scale for wave in (np.cos, np.sin))
    # The tangent of half the angle gives its cosine and sine without either.
    half = 2 * turn - 1
    cos, sin = ((part / (1 + half * half))[None] for part in (1 - half * half, 2 * half))
    return across * cos - along * sin, across * sin + along * cos


def _pixel() -> Float[Array, "2 rays"]:
    """Points of the square from -0.5 to 0.5, evenly: the additive recurrence of the plastic number (Roberts, 2018)."""
    plastic = 1.32471795724474602596
    steps = np.arange(1, RAYS + 1)[None] / np.array([[plastic], [plastic**2]])
    return jnp.asarray(steps % 1 - 0.5, jnp.float32)
