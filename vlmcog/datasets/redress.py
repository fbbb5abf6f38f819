"""Another appearance for a scene, drawn on the device from the same look: pure JAX on the renderer's arrays.

The camera, the light and the seed of textures are drawn from the look's ranges. The palette's colours change
places among themselves, but for red, which questions name; they are jittered where nothing is red. The ground and the
wall are those of another scene, which are draws from the look as well. Bodies stay where they are.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from vlmcog.scenes import bodies
from vlmcog.scenes.framing import EDGE
from vlmcog.scenes.looks import RED, Look

_OWN = ("bodies", "n_bodies", "camera", "side")
_LIGHT_AZIMUTH = 1.2
_STEP = 1.02
_SIGNS = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), np.float32).reshape(3, 8).T


def redress(
    scene: dict[str, Any],
    other: dict[str, Any],
    names: Int[Array, " b"],
    keep_camera: Array,
    look: Look,
    key: PRNGKeyArray,
) -> dict[str, Any]:
    """Returns the scene's arrays with another appearance.

    Args:
      scene: the arrays of a scene (see `render.arrays`).
      other: those of another of the same look, which gives its ground and wall.
      names: the bodies' colours as indices into the palette, negative where they are to stay.
      keep_camera: whether the camera is to stay.
      look: what both are dressed in.
      key: the source of every draw.
    """
    for_camera, for_light, for_colours, for_seed = jax.random.split(key, 4)
    points = _points(scene)
    camera = jnp.where(keep_camera, scene["camera"], _camera(points, look, for_camera))
    dressed = {name: scene[name] if name in _OWN else other[name] for name in scene}
    wall = points[:, 1].max() + jnp.maximum(1.0, points[:, 2].max())
    return dressed | {
        "camera": camera,
        "wall": jnp.where(other["wall"] < bodies.FAR / 2, wall, bodies.FAR).astype(jnp.float32),
        "bodies": scene["bodies"] | {"colour": _colours(scene["bodies"]["colour"], names, look, for_colours)},
        "seed": jax.random.randint(for_seed, (), 0, 2**31 - 1, jnp.int32),
        **_light(look, for_light),
    }


def _points(scene: dict[str, Any]) -> Float[Array, "p 3"]:
    """The corners of all bodies; in the place of padding, the first body's."""
    shape = scene["bodies"]
    local = jnp.asarray(_SIGNS)[None] * shape["half"][:, None]
    turned = jnp.einsum("nij,nkj->nki", shape["axes"], local, precision="highest")
    corners = shape["centre"][:, None] + turned
    real = jnp.arange(len(corners), dtype=jnp.int32) < scene["n_bodies"]
    return jnp.where(real[:, None, None], corners, corners[:1]).reshape(-1, 3)


def _camera(points: Float[Array, "p 3"], look: Look, key: PRNGKeyArray) -> Float[Array, "4 3"]:
    """As `framing.place_camera` has it, in the renderer's form."""
    keys, ranges = jax.random.split(key, 5), look.camera
    centre = (points.min(0) + points.max(0)) / 2
    radius = jnp.linalg.norm(points - centre[None], axis=-1).max()
    azimuth = _uniform(keys[0], (-ranges.azimuth, ranges.azimuth))
    half = _uniform(keys[2], ranges.field_of_view) / 2
    distance = radius * _uniform(keys[3], ranges.slack) / jnp.sin(half)
    target = centre + jax.random.uniform(keys[4], (3,), jnp.float32, -0.2, 0.2) * radius
    away = _towards(azimuth, _uniform(keys[1], ranges.elevation))

    def fits(distance: Array) -> Array:
        return jnp.abs(_project(_frame(target, away, distance, half), points)).max() <= EDGE

    distance = jax.lax.while_loop(lambda d: ~fits(d), lambda d: d * _STEP, distance)
    return _frame(target, away, distance, half)


def _frame(target: Array, away: Array, distance: Array, half: Array) -> Float[Array, "4 3"]:
    forward = -away
    right = jnp.cross(forward, jnp.asarray([0.0, 0.0, 1.0], jnp.float32))
    right = right / jnp.linalg.norm(right)
    reach = jnp.tan(half)
    return jnp.stack([target + distance * away, reach * right, reach * jnp.cross(right, forward), forward])


def _project(frame: Float[Array, "4 3"], points: Float[Array, "p 3"]) -> Float[Array, "2 p"]:
    position, right, up, forward = frame
    offsets = points - position[None]
    depth = (offsets * forward[None]).sum(-1)
    across, along = ((offsets * axis[None]).sum(-1) for axis in (right, up))
    return jnp.stack([across, along]) / (depth * (right * right).sum())[None]


def _light(look: Look, key: PRNGKeyArray) -> dict[str, Array]:
    keys, ranges = jax.random.split(key, 5), look.light
    azimuth = _uniform(keys[0], (-_LIGHT_AZIMUTH, _LIGHT_AZIMUTH))
    warmth = _uniform(keys[2], ranges.warmth)
    return {
        "light": _towards(azimuth, _uniform(keys[1], ranges.elevation)),
        "light_colour": jnp.stack([jnp.ones_like(warmth), 1 - 0.4 * warmth, 1 - warmth]),
        "light_spread": jnp.tan(_uniform(keys[3], ranges.radius)),
        "ambient": _uniform(keys[4], ranges.ambient),
    }


def _colours(
    colours: Float[Array, "b 3"], names: Int[Array, " b"], look: Look, key: PRNGKeyArray
) -> Float[Array, "b 3"]:
    """Touching bodies of different colours stay different, since the palette's colours change places as wholes."""
    for_places, for_jitter = jax.random.split(key)
    palette, red = list(look.palette), list(look.palette).index(RED)
    movable = jnp.asarray([index for index in range(len(palette)) if index != red], jnp.int32)
    places = jnp.arange(len(palette), dtype=jnp.int32).at[movable].set(jax.random.permutation(for_places, movable))
    srgb = jnp.asarray(list(look.palette.values()), jnp.float32)[places][jnp.maximum(names, 0)]
    jitter = jnp.where((names == red).any(), 0.0, look.colour_jitter).astype(jnp.float32)
    srgb = jnp.clip(srgb + jitter * jax.random.uniform(for_jitter, srgb.shape, jnp.float32, -1, 1), 0, 1)
    return jnp.where((names >= 0)[:, None], srgb**2.2, colours)  # the renderer's linear light


def _towards(azimuth: Array, elevation: Array) -> Float[Array, " 3"]:
    level = jnp.cos(elevation)
    return jnp.stack([jnp.sin(azimuth) * level, -jnp.cos(azimuth) * level, jnp.sin(elevation)])


def _uniform(key: PRNGKeyArray, ends: tuple[float, float]) -> Array:
    return jax.random.uniform(key, (), jnp.float32, ends[0], ends[1])
