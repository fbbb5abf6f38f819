"""What is seen: a jitted ray caster for boxes on a ground plane, with soft shadows and procedural materials.

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

from vlmcog.errors import UserError
from vlmcog.progress import Progress
from vlmcog.scenes import materials
from vlmcog.scenes.geometry import corners, rotation_matrix
from vlmcog.scenes.scene import Camera, Scene, Surface, Vector

DEFAULT_SIZE = 224

_SUBSAMPLES = 4
_LIGHT_SAMPLES = 2
_TILE = 1024
_BOX_COUNTS = (8, 16, 32)
_FAR = 1e9
_EPSILON = 1e-4

XYZ = tuple[Array, Array, Array]


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
    return np.asarray(_trace(_arrays(scene), size=size))


def _arrays(scene: Scene) -> dict[str, Any]:
    """The scene as float32 arrays, its boxes padded with boxes of no size far below the ground."""
    count = next((count for count in _BOX_COUNTS if count >= len(scene.blocks)), None)
    if count is None:
        raise UserError(f"a scene of {len(scene.blocks)} blocks; the renderer takes at most {_BOX_COUNTS[-1]}")
    padding = count - len(scene.blocks)
    blocks = scene.blocks
    boxes = {
        "centre": np.array([block.position for block in blocks] + [(0.0, 0.0, -100.0)] * padding, np.float32),
        "half": np.array([block.size for block in blocks] + [(0.0, 0.0, 0.0)] * padding, np.float32) / 2,
        "axes": np.array([rotation_matrix(block.orientation) for block in blocks] + [np.eye(3)] * padding, np.float32),
        "colour": np.array([_linear(block.colour) for block in blocks] + [(0, 0, 0)] * padding, np.float32),
        "material": np.array([_material(block.material) for block in blocks] + [0] * padding, np.int32),
    }
    light = scene.light
    wall = scene.backdrop or Surface("plain", (0.0, 0.0, 0.0))
    side = float(np.mean([block.size for block in blocks]))
    return {
        "boxes": boxes,
        "n_boxes": np.int32(len(blocks)),
        "camera": _camera_frame(scene.camera),
        "light": np.asarray(light.direction, np.float32),
        "light_colour": np.asarray(light.colour, np.float32),
        "light_spread": np.float32(math.tan(light.radius)),
        "ambient": np.float32(light.ambient),
        "surface_colour": np.array([_linear(scene.support.colour), _linear(wall.colour)], np.float32),
        "surface_material": np.array([_material(scene.support.material), _material(wall.material)], np.int32),
        "wall": np.float32(_wall_distance(scene) if scene.backdrop else _FAR),
        "side": np.float32(side),
        "seed": np.int32(scene.seed),
    }


def _wall_distance(scene: Scene) -> float:
    """The y of the wall: behind the blocks by as much as they are high."""
    points = np.concatenate([corners(block) for block in scene.blocks])
    return float(points[:, 1].max() + max(1.0, points[:, 2].max()))


def _linear(colour: Vector) -> np.ndarray:
    """SRGB to linear light, by the power law that `_srgb` undoes."""
    return np.asarray(colour, np.float32) ** 2.2


def _material(name: str) -> int:
    if name not in materials.MATERIALS:
        raise UserError(f"no material {name!r}; the materials are {', '.join(materials.MATERIALS)}")
    return materials.MATERIALS.index(name)


def _camera_frame(camera: Camera) -> np.ndarray:
    """Rows: position, right, up, forward; right and up scaled to half the picture at distance 1."""
    position = np.array(camera.position)
    forward = np.array(camera.target) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    half = math.tan(camera.field_of_view / 2)
    return np.array([position, half * right, half * np.cross(right, forward), forward], np.float32)


@functools.partial(jax.jit, static_argnames="size")
def _trace(scene: dict[str, Any], *, size: int) -> UInt8[Array, "s s 3"]:
    pixels = size * size
    tiles = -(-pixels // _TILE)
    index = jnp.arange(tiles * _TILE, dtype=jnp.int32).reshape(tiles, _TILE)
    colours = jax.lax.map(functools.partial(_tile, scene, size), index)
    image = jnp.moveaxis(colours, 1, -1).reshape(-1, 3)[:pixels].reshape(size, size, 3)
    return (jnp.clip(image, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(jnp.uint8)


def _tile(scene: dict[str, Any], size: int, index: Array) -> Float[Array, "3 p"]:
    """Mean linear colour of the sub-samples of a tile of pixels."""
    row, column = index // size, index % size

    def add(subsample: Array, total: Array) -> Array:
        # The four corners of a turned square: no two share a row or a column.
        across = (jnp.asarray([1, 5, 7, 3], jnp.float32) / 8)[subsample]
        down = (jnp.asarray([3, 1, 5, 7], jnp.float32) / 8)[subsample]
        x = (column.astype(jnp.float32) + across) * (2 / size) - 1
        y = 1 - (row.astype(jnp.float32) + down) * (2 / size)
        turn = materials.random_turn(row, column) + subsample.astype(jnp.float32) / (_SUBSAMPLES * _LIGHT_SAMPLES)
        return total + jnp.stack(_sample(scene, x, y, turn))

    total = jax.lax.fori_loop(0, _SUBSAMPLES, add, jnp.zeros((3, *index.shape), jnp.float32))
    return total / _SUBSAMPLES


def _sample(scene: dict[str, Any], x: Array, y: Array, turn: Array) -> XYZ:
    """The linear colour seen along the rays through picture coordinates x, y in [-1, 1]."""
    position, right, up, forward = scene["camera"]
    ray = _unit(_add(_spread(forward), _add(_scale(_spread(right), x), _scale(_spread(up), y))))
    origin = _spread(position)
    distance, box = _nearest_box(scene, origin, ray)
    ground = jnp.where(ray[2] < -_EPSILON, -origin[2] / jnp.minimum(ray[2], -_EPSILON), _FAR)
    wall = jnp.where(ray[1] > _EPSILON, (scene["wall"] - origin[1]) / jnp.maximum(ray[1], _EPSILON), _FAR)
    plane = jnp.minimum(ground, wall)
    on_box, on_wall = distance < plane, wall < ground
    nearest = jnp.minimum(distance, plane)
    point = _add(origin, _scale(ray, nearest))

    local, normal = _on_box(scene, box, point)
    normal = _where(on_box, normal, _where(on_wall, (0.0, -1.0, 0.0), (0.0, 0.0, 1.0)))
    surface = on_wall.astype(jnp.int32)
    colour = _where(on_box, _columns(scene["boxes"]["colour"][box]), _columns(scene["surface_colour"][surface]))
    material = jnp.where(on_box, scene["boxes"]["material"][box], scene["surface_material"][surface])
    grain = scene["seed"] + jnp.where(on_box, 7 * box, 1000 + surface)
    factor = materials.shade(material, _where(on_box, local, point), scene["side"], grain)

    light = _spread(scene["light"])
    facing = jnp.maximum(_dot(normal, light), 0)
    lit = facing * _light_seen(scene, _add(point, _scale(normal, _EPSILON * 10)), turn)
    # Light from the sky falls from above, so upper faces get more of it.
    sky = scene["ambient"] * (0.75 + 0.25 * normal[2])
    brightness = sky + (1 - scene["ambient"]) * lit
    warm = _spread(scene["light_colour"])
    shaded = tuple(c * factor * brightness * (1 - (1 - w) * lit) for c, w in zip(colour, warm, strict=True))
    haze = 1 - jnp.exp(-jnp.maximum(nearest - 4, 0) / 12)
    sky_colour = _sky(ray)
    seen = tuple(s + (b - s) * haze for s, b in zip(shaded, sky_colour, strict=True))
    return _where(nearest < _FAR / 2, seen, sky_colour)


def _nearest_box(scene: dict[str, Any], origin: XYZ, ray: XYZ) -> tuple[Array, Array]:
    """Distance to the nearest box along each ray (or far) and its index."""

    def closer(index: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        enter, leave = _slabs(scene["boxes"], index, origin, ray)
        hit = (enter < leave) & (enter > _EPSILON) & (enter < best[0])
        return jnp.where(hit, enter, best[0]), jnp.where(hit, index, best[1])

    far = jnp.full_like(ray[0], _FAR)
    return jax.lax.fori_loop(0, scene["n_boxes"], closer, (far, jnp.zeros_like(far, jnp.int32)))


def _light_seen(scene: dict[str, Any], point: XYZ, turn: Array) -> Array:
    """The share of sample points on the light's disc that no box hides."""
    light = _spread(scene["light"])
    # Any vector not along the light spans its disc; the light is never at the horizon's x axis.
    across = _unit(_cross(light, (1.0, 0.0, 0.0)))
    along = _cross(light, across)
    seen = jnp.zeros_like(turn)
    for sample in range(_LIGHT_SAMPLES):
        angle = 2 * jnp.pi * (turn + sample / _LIGHT_SAMPLES)
        radius = scene["light_spread"] * math.sqrt((sample + 0.5) / _LIGHT_SAMPLES)
        ray = _add(light, _add(_scale(across, radius * jnp.cos(angle)), _scale(along, radius * jnp.sin(angle))))
        seen = seen + _unhidden(scene, point, ray)
    return seen / _LIGHT_SAMPLES


def _unhidden(scene: dict[str, Any], point: XYZ, ray: XYZ) -> Array:
    def hide(index: Array, seen: Array) -> Array:
        enter, leave = _slabs(scene["boxes"], index, point, ray)
        return jnp.where((enter < leave) & (leave > _EPSILON), 0.0, seen)

    return jax.lax.fori_loop(0, scene["n_boxes"], hide, jnp.ones_like(point[0]))


def _slabs(boxes: dict[str, Array], index: Array, origin: XYZ, ray: XYZ) -> tuple[Array, Array]:
    """Where rays enter and leave the infinite box-sized slabs: inside the box between the two, if enter < leave."""
    start, step = _to_box(boxes, index, origin), _rotate(boxes["axes"][index], ray)
    nears, fars = [], []
    for axis in range(3):
        inverse = 1 / jnp.where(jnp.abs(step[axis]) < 1e-9, 1e-9, step[axis])
        middle, reach = -start[axis] * inverse, jnp.abs(boxes["half"][index, axis] * inverse)
        nears.append(middle - reach)
        fars.append(middle + reach)
    return functools.reduce(jnp.maximum, nears), functools.reduce(jnp.minimum, fars)


def _on_box(scene: dict[str, Any], box: Array, point: XYZ) -> tuple[XYZ, XYZ]:
    """The point in its box's own frame, and the outward normal there in the world's."""
    boxes = scene["boxes"]
    local = _to_box(boxes, box, point)
    reach = tuple(jnp.abs(value) - half for value, half in zip(local, _columns(boxes["half"][box]), strict=True))
    largest = functools.reduce(jnp.maximum, reach)
    face = tuple(jnp.where(r == largest, jnp.sign(value), 0.0) for r, value in zip(reach, local, strict=True))
    axes = boxes["axes"][box]
    normal = tuple(sum(axes[..., row, column] * face[column] for column in range(3)) for row in range(3))
    return local, normal  # pyright: ignore[reportReturnType]


def _to_box(boxes: dict[str, Array], index: Array, point: XYZ) -> XYZ:
    centre = _columns(boxes["centre"][index])
    return _rotate(boxes["axes"][index], _add(point, _scale(centre, -1)))


def _rotate(axes: Array, vector: XYZ) -> XYZ:
    """World to box coordinates: the transpose of the box's rotation."""
    x, y, z = (sum(axes[..., row, column] * vector[row] for row in range(3)) for column in range(3))
    return x, y, z  # pyright: ignore[reportReturnType]


def _sky(ray: XYZ) -> XYZ:
    """A pale gradient from the horizon up."""
    up = jnp.clip(ray[2] * 2, 0, 1)
    return 0.72 - 0.37 * up, 0.78 - 0.28 * up, 0.85 - 0.15 * up


def _spread(vector: Array) -> XYZ:
    return vector[0], vector[1], vector[2]


def _columns(values: Array) -> XYZ:
    return values[..., 0], values[..., 1], values[..., 2]


def _add(a: XYZ, b: XYZ) -> XYZ:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _scale(a: XYZ, factor: Any) -> XYZ:
    return a[0] * factor, a[1] * factor, a[2] * factor


def _dot(a: XYZ, b: XYZ) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Any, b: Any) -> XYZ:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _unit(a: XYZ) -> XYZ:
    return _scale(a, jax.lax.rsqrt(_dot(a, a)))


def _where(condition: Array, a: Any, b: Any) -> XYZ:
    return jnp.where(condition, a[0], b[0]), jnp.where(condition, a[1], b[1]), jnp.where(condition, a[2], b[2])
