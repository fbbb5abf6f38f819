"""What is seen: a jitted ray caster for boxes, spheres and cylinders on a ground plane, with soft shadows.

One ray a sub-sample finds the nearest box (slab test in the box's own frame), the ground or the backdrop; from there
a few rays go to points on the light's disc. Loops over boxes stay rolled and pixels go in tiles, so that every
intermediate stays in the cache and compilation takes seconds. The same scene gives the same bytes on the same kind of
device, alone or in a batch.
"""

import concurrent.futures
import functools
import math
import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from vlmcog.errors import UserError, did_you_mean
from vlmcog.progress import Progress
from vlmcog.scenes import bodies, materials
from vlmcog.scenes.geometry import corners, rotation_matrix
from vlmcog.scenes.scene import SHAPES, Block, Camera, Scene, Surface, Vector
from vlmcog.scenes.vectors import XYZ, add, columns, cross, dot, scale, spread, unit, where

DEFAULT_SIZE = 224

_SUBSAMPLES = 4
_LIGHT_SAMPLES = 2
_TILE = 1024
_BODY_COUNTS = (32, 128)
_FAR = bodies.FAR
_EPSILON = 1e-4


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
    return np.asarray(_trace(arrays(scene), size=size))


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

    Many scenes on a CPU go through `jax.lax.map`, on an accelerator through `jax.vmap`.
    """
    pixels = size * size
    tiles = -(-pixels // _TILE)
    index = jnp.arange(tiles * _TILE, dtype=jnp.int32).reshape(tiles, _TILE)
    colours = jax.lax.map(functools.partial(_tile, scene, size), index)
    image = jnp.moveaxis(colours, 1, -1).reshape(-1, 3)[:pixels].reshape(size, size, 3)
    return (jnp.clip(image, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(jnp.uint8)


_trace = jax.jit(trace, static_argnames="size")


def _tile(scene: dict[str, Any], size: int, index: Array) -> Float[Array, "3 p"]:
    """Mean linear colour of the sub-samples of a tile of pixels."""
    row, column = index // size, index % size

    def accumulate(subsample: Array, total: Array) -> Array:
        # The four corners of a turned square: no two share a row or a column.
        across = (jnp.asarray([1, 5, 7, 3], jnp.float32) / 8)[subsample]
        down = (jnp.asarray([3, 1, 5, 7], jnp.float32) / 8)[subsample]
        x = (column.astype(jnp.float32) + across) * (2 / size) - 1
        y = 1 - (row.astype(jnp.float32) + down) * (2 / size)
        turn = materials.random_turn(row, column) + subsample.astype(jnp.float32) / (_SUBSAMPLES * _LIGHT_SAMPLES)
        return total + jnp.stack(_sample(scene, x, y, turn))

    total = jax.lax.fori_loop(0, _SUBSAMPLES, accumulate, jnp.zeros((3, *index.shape), jnp.float32))
    return total / _SUBSAMPLES


def _sample(scene: dict[str, Any], x: Array, y: Array, turn: Array) -> XYZ:
    """The linear colour seen along the rays through picture coordinates x, y in [-1, 1]."""
    position, right, up, forward = scene["camera"]
    ray = unit(add(spread(forward), add(scale(spread(right), x), scale(spread(up), y))))
    origin = spread(position)
    distance, box = _nearest_box(scene, origin, ray)
    ground = jnp.where(ray[2] < -_EPSILON, -origin[2] / jnp.minimum(ray[2], -_EPSILON), _FAR)
    wall = jnp.where(ray[1] > _EPSILON, (scene["wall"] - origin[1]) / jnp.maximum(ray[1], _EPSILON), _FAR)
    plane = jnp.minimum(ground, wall)
    on_box, on_wall = distance < plane, wall < ground
    nearest = jnp.minimum(distance, plane)
    point = add(origin, scale(ray, nearest))

    local = bodies.local_point(scene["bodies"], box, point)
    normal = bodies.normal(scene["bodies"], box, local)
    normal = where(on_box, normal, where(on_wall, (0.0, -1.0, 0.0), (0.0, 0.0, 1.0)))
    surface = on_wall.astype(jnp.int32)
    colour = where(on_box, columns(scene["bodies"]["colour"][box]), columns(scene["surface_colour"][surface]))
    material = jnp.where(on_box, scene["bodies"]["material"][box], scene["surface_material"][surface])
    grain = scene["seed"] + jnp.where(on_box, 7 * box, 1000 + surface)
    factor = materials.shade(material, where(on_box, local, point), scene["side"], grain)

    light = spread(scene["light"])
    facing = jnp.maximum(dot(normal, light), 0)
    lit = facing * _light_seen(scene, add(point, scale(normal, _EPSILON * 10)), turn)
    # Light from the sky falls from above, so upper faces get more of it.
    sky = scene["ambient"] * (0.75 + 0.25 * normal[2])
    brightness = sky + (1 - scene["ambient"]) * lit
    warm = spread(scene["light_colour"])
    shaded = tuple(c * factor * brightness * (1 - (1 - w) * lit) for c, w in zip(colour, warm, strict=True))
    haze = 1 - jnp.exp(-jnp.maximum(nearest - 4, 0) / 12)
    sky_colour = _sky(ray)
    seen = tuple(s + (b - s) * haze for s, b in zip(shaded, sky_colour, strict=True))
    return where(nearest < _FAR / 2, seen, sky_colour)


def _nearest_box(scene: dict[str, Any], origin: XYZ, ray: XYZ) -> tuple[Array, Array]:
    """Distance to the nearest box along each ray (or far) and its index."""

    def closer(index: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        enter, leave = bodies.span(scene["bodies"], index, origin, ray)
        hit = (enter < leave) & (enter > _EPSILON) & (enter < best[0])
        return jnp.where(hit, enter, best[0]), jnp.where(hit, index, best[1])

    far = jnp.full_like(ray[0], _FAR)
    return jax.lax.fori_loop(0, scene["n_bodies"], closer, (far, jnp.zeros_like(far, jnp.int32)))


def _light_seen(scene: dict[str, Any], point: XYZ, turn: Array) -> Array:
    """The share of sample points on the light's disc that no box hides."""
    light = spread(scene["light"])
    # Any vector not along the light spans its disc; the light is never at the horizon's x axis.
    across = unit(cross(light, (1.0, 0.0, 0.0)))
    along = cross(light, across)
    seen = jnp.zeros_like(turn)
    for sample in range(_LIGHT_SAMPLES):
        angle = 2 * jnp.pi * (turn + sample / _LIGHT_SAMPLES)
        radius = scene["light_spread"] * math.sqrt((sample + 0.5) / _LIGHT_SAMPLES)
        ray = add(light, add(scale(across, radius * jnp.cos(angle)), scale(along, radius * jnp.sin(angle))))
        seen = seen + _unhidden(scene, point, ray)
    return seen / _LIGHT_SAMPLES


def _unhidden(scene: dict[str, Any], point: XYZ, ray: XYZ) -> Array:
    def hide(index: Array, seen: Array) -> Array:
        enter, leave = bodies.span(scene["bodies"], index, point, ray)
        return jnp.where((enter < leave) & (leave > _EPSILON), 0.0, seen)

    return jax.lax.fori_loop(0, scene["n_bodies"], hide, jnp.ones_like(point[0]))


def _sky(ray: XYZ) -> XYZ:
    """A pale gradient from the horizon up."""
    up = jnp.clip(ray[2] * 2, 0, 1)
    return 0.72 - 0.37 * up, 0.78 - 0.28 * up, 0.85 - 0.15 * up
