"""Photographic pictures: the same scenes, cameras and lights as `render`, path traced by Mitsuba 3 (an extra).

Light bounces between surfaces and the blocks have a weak gloss. Boxes, ground and wall wear the procedural materials of
`materials.py`, spheres and cylinders their plain colours.
"""

import dataclasses
import functools
import importlib.util
import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from vlmcog.errors import UserError
from vlmcog.progress import Progress
from vlmcog.scenes import materials
from vlmcog.scenes.geometry import rotation_matrix
from vlmcog.scenes.render import DEFAULT_SIZE, arrays
from vlmcog.scenes.scene import BOX, SPHERE, Block, Scene
from vlmcog.scenes.sensor import expose

_SAMPLES = 64
_BOUNCES = 4
_FACE_TEXELS, _PLANE_TEXELS = 96, 1024
_PLANE, _TEXTURED = 60.0, 6.0
_LIGHT_DISTANCE = 200.0
_NARROWEST_LIGHT = 0.003
_SKY = np.array([0.72, 0.78, 0.85])

Matrix = Float[np.ndarray, "4 4"]
Parts = dict[str, Any]


def check_installed() -> None:
    """Raises UserError with the command that installs Mitsuba, where it is absent."""
    if importlib.util.find_spec("mitsuba") is None:
        raise UserError(
            "Mitsuba, which path traces pictures, is not installed; install it: pip install 'vlmcog[mitsuba]'"
        )


def render(scenes: Sequence[Scene], size: int = DEFAULT_SIZE, *, description: str = "") -> UInt8[np.ndarray, "n s s 3"]:
    """Renders scenes to sRGB images of `size` x `size` pixels; the same scene gives the same picture.

    Args:
      scenes: what to render.
      size: pixels a side.
      description: shows progress under this name where it isn't empty.

    Raises:
      UserError: Mitsuba is not installed.
    """
    mitsuba = _mitsuba()
    images = np.zeros((len(scenes), size, size, 3), np.uint8)
    with Progress(len(scenes), description) as bar:
        for image, scene in zip(images, scenes, strict=True):
            world = mitsuba.load_dict(_world(scene, size))
            linear = np.asarray(mitsuba.render(world, seed=scene.seed % 2**31))
            light = np.clip(linear * scene.sensor.exposure, 0, 1)  # before it is clipped, which `expose` can't
            picture = (light ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
            image[:] = expose(picture, dataclasses.replace(scene.sensor, exposure=1.0), seed=scene.seed)
            bar.advance()
    return images


@functools.cache
def _mitsuba() -> Any:
    """The package, set to its variant that needs nothing else on the machine."""
    check_installed()
    import mitsuba  # pyright: ignore[reportMissingImports]

    mitsuba.set_variant("scalar_rgb")
    return mitsuba


def _world(scene: Scene, size: int) -> Parts:
    known = arrays(scene)
    world: Parts = {"type": "scene", "integrator": {"type": "path", "max_depth": _BOUNCES}}
    world["sensor"] = _sensor(scene, size)
    world |= _lights(scene)
    world["ground"] = _plane(scene, known, 0, np.eye(4))
    if scene.backdrop:
        turned = _matrix(np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]), (0.0, float(known["wall"]), 0.0))
        world["wall"] = _plane(scene, known, 1, turned)
    for index, body in enumerate((*scene.blocks, *scene.drawn)):
        for part, shape in enumerate(_body(body, index, scene, float(known["side"]))):
            world[f"body_{index}_{part}"] = shape
    return world


def _sensor(scene: Scene, size: int) -> Parts:
    look_at = (
        _mitsuba()
        .ScalarTransform4f()
        .look_at(origin=list(scene.camera.position), target=list(scene.camera.target), up=[0, 0, 1])
    )
    return {
        "type": "perspective",
        "fov": math.degrees(scene.camera.field_of_view),
        "to_world": look_at,
        "film": {"type": "hdrfilm", "width": size, "height": size, "pixel_format": "rgb", "rfilter": {"type": "box"}},
        "sampler": {"type": "multijitter", "sample_count": _SAMPLES},
    }


def _lights(scene: Scene) -> Parts:
    """The sky, and a far disc that is as wide as the light and lights what faces it as `render`'s does."""
    width = math.tan(max(scene.light.radius, _NARROWEST_LIGHT))
    direction = np.array(scene.light.direction)
    reach = width * _LIGHT_DISTANCE
    disc = _matrix(_facing(-direction) * [reach, reach, 1.0], direction * _LIGHT_DISTANCE)
    radiance = (1 - scene.light.ambient) / width**2 * np.array(scene.light.colour)
    sky = scene.light.ambient * (np.ones(3) if scene.backdrop else _SKY / _SKY.mean())
    return {
        "light": {
            "type": "disk",
            "to_world": _transform(disc),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance.tolist()}},
        },
        "sky": {"type": "constant", "radiance": {"type": "rgb", "value": sky.tolist()}},
    }


def _facing(normal: np.ndarray) -> np.ndarray:
    """A rotation whose third column is `normal`."""
    aside = np.array([1.0, 0, 0]) if abs(normal[0]) < 0.9 else np.array([0, 1.0, 0])
    across = np.cross(aside, normal)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(normal, across), normal], 1)


def _plane(scene: Scene, known: dict[str, Any], surface: int, pose: Matrix) -> Parts:
    """The ground (0) or the wall (1): its material within a few metres, mirrored beyond."""
    u, v = _texel_grid(_PLANE_TEXELS, _TEXTURED)
    points = _at(pose, np.stack([u, v, np.zeros_like(u)], -1))
    shape = _rectangle(
        pose @ np.diag([_PLANE, _PLANE, 1.0, 1.0]),
        known["surface_colour"][surface],
        _factor(known["surface_material"][surface], points, float(known["side"]), scene.seed + 1000 + surface),
        _PLANE / _TEXTURED,
    )
    return shape | {"bsdf": {"type": "twosided", "material": {"type": "diffuse", "reflectance": shape["bsdf"]}}}


def _body(body: Block, index: int, scene: Scene, side: float) -> Iterable[Parts]:
    rotation, half = rotation_matrix(body.orientation), np.array(body.size) / 2
    pose = _matrix(rotation, body.position)
    colour = np.asarray(body.colour) ** 2.2
    if body.shape == BOX:
        yield from (_glossy(face) for face in _faces(pose, half, body, colour, scene.seed + 7 * index, side))
        return
    plain = {"type": "rgb", "value": colour.tolist()}
    if body.shape == SPHERE:
        yield _glossy({"type": "sphere", "to_world": _transform(pose @ np.diag([*half, 1.0])), "bsdf": plain})
        return
    base = np.eye(4)
    base[2, 3] = -half[2]
    tube = pose @ base @ np.diag([half[0], half[1], body.size[2], 1.0])
    yield _glossy({"type": "cylinder", "to_world": _transform(tube), "bsdf": plain})
    for end in (-1.0, 1.0):
        cap = np.diag([half[0], half[1] * end, end, 1.0])
        cap[2, 3] = end * half[2]
        yield _glossy({"type": "disk", "to_world": _transform(pose @ cap), "bsdf": plain})


def _faces(pose: Matrix, half: np.ndarray, body: Block, colour: np.ndarray, grain: int, side: float) -> Iterable[Parts]:
    material = materials.MATERIALS.index(body.material)
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.eye(3)[axis] * sign
            face = _matrix(_facing(normal), normal * half[axis])
            across, along = np.abs(face[:3, :2].T) @ half
            u, v = _texel_grid(_FACE_TEXELS, 1.0)
            points = _at(face, np.stack([u * across, v * along, np.zeros_like(u)], -1))
            factor = _factor(material, points, side, grain)
            yield _rectangle(pose @ face @ np.diag([across, along, 1.0, 1.0]), colour, factor, 1.0)


def _glossy(shape: Parts) -> Parts:
    bsdf = {"type": "roughplastic", "diffuse_reflectance": shape["bsdf"], "alpha": 0.25, "specular_reflectance": 0.5}
    return shape | {"bsdf": {"type": "twosided", "material": bsdf}}


def _rectangle(pose: Matrix, colour: np.ndarray, factor: np.ndarray, repeats: float) -> Parts:
    """A square of two units a side in the given pose; its `bsdf` is still the texture alone."""
    mitsuba = _mitsuba()
    texture = {
        "type": "bitmap",
        "bitmap": mitsuba.Bitmap(np.clip(factor[..., None] * colour, 0, 0.98).astype(np.float32)),
        "raw": True,
        "wrap_mode": "mirror",
        # The texture's middle stays the square's.
        "to_uv": mitsuba.ScalarTransform3f(
            [[repeats, 0, (1 - repeats) / 2], [0, repeats, (1 - repeats) / 2], [0, 0, 1]]
        ),
    }
    return {"type": "rectangle", "to_world": _transform(pose), "bsdf": texture}


def _texel_grid(texels: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the texels' middles, from -reach to reach; rows go down."""
    middles = ((np.arange(texels) + 0.5) / texels * 2 - 1) * reach
    u, v = np.meshgrid(middles, middles)
    return u, v


def _factor(material: int, points: Float[np.ndarray, "h w 3"], side: float, seed: int) -> Float[np.ndarray, "h w"]:
    x, y, z = (jnp.asarray(points[..., axis].ravel(), jnp.float32) for axis in range(3))
    kind, grain = (jnp.full(x.shape, value, jnp.int32) for value in (material, seed))
    flat = _shade(kind, (x, y, z), jnp.full(x.shape, side, jnp.float32), grain)
    return np.asarray(flat).reshape(points.shape[:2])


_shade = jax.jit(materials.shade)


def _at(pose: Matrix, points: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    return points @ pose[:3, :3].T + pose[:3, 3]


def _matrix(rotation: np.ndarray, position: Iterable[float]) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = list(position)
    return matrix


def _transform(matrix: Matrix) -> Any:
    return _mitsuba().ScalarTransform4f(matrix)
