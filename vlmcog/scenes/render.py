"""What is seen: a jitted ray caster for boxes, spheres and cylinders on a ground plane, with soft shadows.

One ray a pixel finds the facet that its middle sees. Pixels beside other facets are shaded at several places, all
others once; patterns are means over a pixel, or near them, and points near a shadow's edge see the light from all over
their pixel (`shadows.py`). Work that few pixels need is done on those alone, packed (`compaction.py`). The same scene
gives the same bytes on the same kind of device, alone or in a batch.
"""

import concurrent.futures
import functools
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

from vlmcog.errors import UserError, did_you_mean
from vlmcog.progress import Progress
from vlmcog.scenes import bodies, materials, shadows, surfaces
from vlmcog.scenes.compaction import packed
from vlmcog.scenes.geometry import corners, rotation_matrix
from vlmcog.scenes.scene import SHAPES, Block, Camera, Scene, Surface, Vector
from vlmcog.scenes.sensor import expose
from vlmcog.scenes.vectors import XYZ, dot, length, spread, where

DEFAULT_SIZE = 224

_SUBSAMPLES = 4
_AT_ONCE = 4096
_BODY_COUNTS = (32, 128)
_FAR = bodies.FAR


def render(scenes: Sequence[Scene], size: int = DEFAULT_SIZE, *, description: str = "") -> UInt8[np.ndarray, "n s s 3"]:
    """Renders scenes to sRGB images of `size` x `size` pixels.

    Args:
      scenes: what to render; at most 32 blocks each.
      size: pixels a side.
      description: shows progress under this name where it isn't empty.
    """
    if not scenes:
        return np.zeros((0, size, size, 3), np.uint8)
    draw = functools.partial(_render_one, size=size)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool, Progress(len(scenes), description) as bar:
        images = []
        for image in pool.map(draw, scenes):
            images.append(image)
            bar.advance()
    return np.stack(images)


def _render_one(scene: Scene, *, size: int) -> np.ndarray:
    return expose(np.asarray(_trace(arrays(scene), size=size)), scene.sensor, seed=scene.seed)


def arrays(scene: Scene) -> dict[str, Any]:
    """Returns the scene as numpy arrays for `trace`: its blocks, then its drawn bodies, padded to one of few counts.

    Raises:
      UserError: too many bodies, or a shape or material that there is not.
    """
    seen = (*scene.blocks, *scene.drawn)
    wall = scene.backdrop or Surface("plain", (0.0, 0.0, 0.0))
    return {
        "bodies": _bodies(seen),
        "n_bodies": np.int32(len(seen)),
        "camera": _camera_frame(scene.camera),
        "light": np.asarray(scene.light.direction, np.float32),
        "light_colour": np.asarray(scene.light.colour, np.float32),
        "light_spread": np.float32(math.tan(scene.light.radius)),
        "ambient": np.float32(scene.light.ambient),
        "surface_colour": np.array([_linear(scene.support.colour), _linear(wall.colour)], np.float32),
        "surface_material": np.array([_material(scene.support.material), _material(wall.material)], np.int32),
        "wall": np.float32(_wall_distance(scene) if scene.backdrop else _FAR),
        "side": np.float32(np.mean([block.size for block in scene.blocks])),
        "seed": np.int32(scene.seed),
    }


def _bodies(seen: Sequence[Block]) -> dict[str, np.ndarray]:
    """One row a body; the padding is of no size and far below the ground."""
    count = next((count for count in _BODY_COUNTS if count >= len(seen)), None)
    if count is None:
        raise UserError(f"a scene of {len(seen)} bodies; the renderer takes at most {_BODY_COUNTS[-1]}")
    padding = Block(size=(0.0, 0.0, 0.0), position=(0.0, 0.0, -100.0))
    rows = [*seen, *[padding] * (count - len(seen))]
    return {
        "shape": np.array([_index("shape", block.shape, SHAPES) for block in rows], np.int32),
        "centre": np.array([block.position for block in rows], np.float32),
        "half": np.array([block.size for block in rows], np.float32) / 2,
        "axes": np.array([rotation_matrix(block.orientation) for block in rows], np.float32),
        "colour": np.array([_linear(block.colour) for block in rows], np.float32),
        "material": np.array([_material(block.material) for block in rows], np.int32),
    }


def _wall_distance(scene: Scene) -> float:
    """The y of the wall: behind the blocks by as much as they are high."""
    points = np.concatenate([corners(block) for block in (*scene.blocks, *scene.drawn)])
    return float(points[:, 1].max() + max(1.0, points[:, 2].max()))


def _linear(colour: Vector) -> np.ndarray:
    """SRGB to linear light, by the power law that `_srgb` undoes."""
    return np.asarray(colour, np.float32) ** 2.2


def _material(name: str) -> int:
    return _index("material", name, materials.MATERIALS)


def _index(what: str, name: str, known: Sequence[str]) -> int:
    if name not in known:
        raise UserError(f"no {what} {name!r}{did_you_mean(name, known)}; the {what}s are {', '.join(known)}")
    return known.index(name)


def _camera_frame(camera: Camera) -> np.ndarray:
    """Rows: position, right, up, forward; right and up scaled to half the picture at distance 1."""
    position = np.array(camera.position)
    forward = np.array(camera.target) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    half = math.tan(camera.field_of_view / 2)
    return np.array([position, half * right, half * np.cross(right, forward), forward], np.float32)


def trace(scene: dict[str, Any], *, size: int) -> UInt8[Array, "s s 3"]:
    """Returns the sRGB image of one scene's `arrays`: pure, for use under `jax.jit` with `size` static.

    It is a perfect camera's, before the scene's sensor. Many scenes on a CPU go through `jax.lax.map`, on an
    accelerator through `jax.vmap`.
    """
    world = surfaces.of(scene)
    pixel = jnp.arange(size * size, dtype=jnp.int32)
    x, y = _in_picture(pixel, 0.5, 0.5, size)
    facets = surfaces.facets(world, scene["n_bodies"], x, y)
    edges = _edges(facets.reshape(size, size)).reshape(-1)
    image = _shaded(scene, world, edges, size)
    return jnp.stack([(image >> shift).astype(jnp.uint8) for shift in (0, 8, 16)], -1).reshape(size, size, 3)


_trace = jax.jit(trace, static_argnames="size")


def _in_picture(pixel: Array, across: Any, down: Any, size: int) -> tuple[Array, Array]:
    """Picture coordinates in [-1, 1] of places within pixels."""
    row, column = _row_and_column(pixel, size)
    x = (column.astype(jnp.float32) + across) * (2 / size) - 1
    y = 1 - (row.astype(jnp.float32) + down) * (2 / size)
    return x, y


def _row_and_column(pixel: Array, size: int) -> tuple[Array, Array]:
    """As a multiplication: whole numbers divide slowly on CPUs. Exact for pictures of up to 2,000 pixels a side."""
    row = ((pixel.astype(jnp.float32) + 0.5) * (1 / size)).astype(jnp.int32)
    return row, pixel - row * size


def _edges(facets: Int[Array, "s s"]) -> Bool[Array, "s s"]:
    """The pixels beside which another facet is seen."""
    padded = jnp.pad(facets, 1, mode="edge")
    size = facets.shape[0]
    around = [padded[i : i + size, j : j + size] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return functools.reduce(jnp.logical_or, [facets != other for other in around])


class _Samples(NamedTuple):
    """Places in the picture.

    Attributes:
      pixel: which they are in.
      x: to the right, in [-1, 1].
      y: up, in [-1, 1].
      width: of the part of the picture that each stands for.
      light_width: of the part whose light each stands for; 0 where a neighbouring surface would be in it.
    """

    pixel: Int[Array, " p"]
    x: Float[Array, " p"]
    y: Float[Array, " p"]
    width: Float[Array, " p"]
    light_width: Float[Array, " p"]


def _shaded(scene: dict[str, Any], world: surfaces.Surfaces, edges: Bool[Array, " p"], size: int) -> Array:
    """Packed colours [p]: of pixels' middles, and of edges the mean over some places in each."""
    pixels = size * size
    at_once = min(_AT_ONCE, -(-pixels // _SUBSAMPLES) * _SUBSAMPLES)
    whole, split = -(-pixels // at_once), at_once // _SUBSAMPLES
    order, count = packed(edges, split)
    place, pixel_width = jnp.arange(at_once, dtype=jnp.int32), jnp.full(at_once, 2 / size, jnp.float32)
    # The four corners of a turned square: no two share a row or a column.
    across, down = (jnp.repeat(jnp.asarray(places, jnp.float32) / 8, split) for places in ([1, 5, 7, 3], [3, 1, 5, 7]))

    def middles(part: Array) -> _Samples:
        pixel = part * at_once + place
        return _Samples(pixel, *_in_picture(pixel, 0.5, 0.5, size), pixel_width, pixel_width)

    def parts_of_edges(part: Array) -> _Samples:
        pixel = jnp.tile(jax.lax.dynamic_slice_in_dim(order, (part - whole) * split, split), _SUBSAMPLES)
        return _Samples(pixel, *_in_picture(pixel, across, down, size), pixel_width / 2, jnp.zeros_like(pixel_width))

    def mean(colour: Array) -> Array:
        return jnp.tile(jnp.mean(colour.reshape(_SUBSAMPLES, split), 0), _SUBSAMPLES)

    def shade(part: Array, image: Array) -> Array:
        is_whole = part < whole
        samples = jax.lax.cond(is_whole, middles, parts_of_edges, part)
        turn = materials.random_turn(*_row_and_column(samples.pixel, size))
        facet = surfaces.facets(world, scene["n_bodies"], samples.x, samples.y)
        colour = _colour(scene, world, facet, samples, turn)
        colour = jax.lax.cond(is_whole, lambda *c: c, lambda *c: tuple(mean(one) for one in c), *colour)
        return image.at[samples.pixel].set(_packed_srgb(colour), mode="drop")

    parts = whole + (count + split - 1) // split
    return jax.lax.fori_loop(0, parts, shade, jnp.zeros(pixels, jnp.uint32))


def _packed_srgb(colour: XYZ) -> UInt32[Array, " p"]:
    """Eight bits each of red, green and blue, red lowest."""
    red, green, blue = ((jnp.clip(c, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(jnp.uint32) for c in colour)
    return red | (green << 8) | (blue << 16)


def _colour(scene: dict[str, Any], world: surfaces.Surfaces, facet: Array, samples: _Samples, turn: Array) -> XYZ:
    """The linear colours of facets where rays through samples meet them."""
    hit = surfaces.hit(world, facet, samples.x, samples.y)
    ground = surfaces.ground(world)
    is_sky = hit.surface == ground + 2
    body = jnp.minimum(hit.surface, ground - 1)
    on_body, other = hit.surface < ground, jnp.clip(hit.surface - ground, 0, 1)
    colour = where(
        on_body, surfaces.take(scene["bodies"]["colour"], body), surfaces.take(scene["surface_colour"], other)
    )
    material = jnp.where(on_body, scene["bodies"]["material"][body], scene["surface_material"][other])
    grain = scene["seed"] + jnp.where(on_body, 7 * body, 1000 + other)

    def pattern() -> Array:
        place, width = surfaces.local_place(world, hit), surfaces.local_width(world, hit, samples.width)
        return materials.shade(material, place, scene["side"], grain, width)

    factor = jax.lax.cond(jnp.any(material != 0), pattern, lambda: jnp.ones_like(turn))

    facing = jnp.maximum(dot(hit.normal, spread(scene["light"])), 0)
    lit = facing * shadows.light_seen(scene, shadows.Points(hit, samples.light_width, turn), (facing > 0) & ~is_sky)
    # Light from the sky falls from above, so upper faces get more of it.
    sky = scene["ambient"] * (0.75 + 0.25 * hit.normal[2])
    brightness = sky + (1 - scene["ambient"]) * lit
    warm = spread(scene["light_colour"])
    shaded = tuple(c * factor * brightness * (1 - (1 - w) * lit) for c, w in zip(colour, warm, strict=True))
    across = length(hit.ray)
    haze = 1 - jnp.exp(-jnp.maximum(hit.depth * across - _clear_distance(scene), 0) / 12)
    sky_colour = _sky(hit.ray[2] / across)
    seen = tuple(s + (b - s) * haze for s, b in zip(shaded, sky_colour, strict=True))
    return where(is_sky, sky_colour, seen)


def _clear_distance(scene: dict[str, Any]) -> Array:
    """Where haze begins, in metres: never before the nearest body, from however far a long lens sees it."""
    towards = scene["bodies"]["centre"] - scene["camera"][:1]
    distances = jnp.sqrt((towards * towards).sum(-1))
    is_seen = jnp.arange(len(distances)) < scene["n_bodies"]
    return jnp.maximum(4.0, jnp.where(is_seen, distances, _FAR).min())


def _sky(upward: Array) -> XYZ:
    """A pale gradient from the horizon up."""
    up = jnp.clip(upward * 2, 0, 1)
    return 0.72 - 0.37 * up, 0.78 - 0.28 * up, 0.85 - 0.15 * up
