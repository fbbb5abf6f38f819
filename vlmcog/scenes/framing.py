"""Where a camera stands so that everything that matters is in its picture."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from vlmcog.scenes.geometry import corners
from vlmcog.scenes.look_file import CameraRange
from vlmcog.scenes.scene import Block, Camera, Vector

EDGE = 0.95
"""How far from the picture's middle anything may be that has to be seen, where its edge is 1."""

_STEP = 1.02


def place_camera(bodies: Sequence[Block], ranges: CameraRange, rng: np.random.Generator) -> Camera:
    """A camera that looks at the middle of the bodies from the front (-y), far enough that all of them fit."""
    points = np.concatenate([corners(body) for body in bodies])
    centre = (points.min(0) + points.max(0)) / 2
    radius = np.linalg.norm(points - centre, axis=-1).max()
    azimuth = rng.uniform(-1, 1) * ranges.azimuth
    elevation = rng.uniform(*ranges.elevation)
    field_of_view = rng.uniform(*ranges.field_of_view)
    distance = radius * rng.uniform(*ranges.slack) / math.sin(field_of_view / 2)
    shift = rng.uniform(-1, 1, 3) * 0.2 * radius
    camera = Camera(
        position=_vector(centre + shift + distance * towards(azimuth, elevation)),
        target=_vector(centre + shift),
        field_of_view=field_of_view,
    )
    return back_off(camera, points)


def towards(azimuth: float, elevation: float) -> Float[np.ndarray, "3"]:
    """The direction to what is seen `azimuth` radians to the right of the front and `elevation` above the horizon."""
    return np.array(
        [math.sin(azimuth) * math.cos(elevation), -math.cos(azimuth) * math.cos(elevation), math.sin(elevation)]
    )


def back_off(camera: Camera, points: Float[np.ndarray, "n 3"]) -> Camera:
    """The camera, moved straight back by as many small steps as bring every point into its picture."""
    while np.abs(project(camera, points)[:, :2]).max() > EDGE:
        away = np.subtract(camera.position, camera.target)
        camera = dataclasses.replace(camera, position=_vector(np.add(camera.target, _STEP * away)))
    return camera


def project(camera: Camera, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Where points are in the picture: right and up, its edges at -1 and 1, and metres along the view."""
    position = np.array(camera.position)
    forward = np.array(camera.target) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    half = math.tan(camera.field_of_view / 2)
    away = points - position
    depth = away @ forward
    return np.stack([away @ right / (half * depth), away @ np.cross(right, forward) / (half * depth), depth], -1)


def _vector(values: np.ndarray) -> Vector:
    x, y, z = values.tolist()
    return (x, y, z)
