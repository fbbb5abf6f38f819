"""What a camera does to a picture, in the order of a real one: lens, light, blur, noise, compression.

It works on finished pictures, whichever renderer drew them. A sensor of defaults changes no byte, and the same scene
gives the same bytes, noise included.
"""

import io

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

from vlmcog.scenes.scene import Sensor

_GAMMA = 2.2


def expose(image: UInt8[np.ndarray, "s s 3"], sensor: Sensor, *, seed: int) -> UInt8[np.ndarray, "s s 3"]:
    """Returns the sRGB picture as the sensor takes it.

    Args:
      image: the square picture that a perfect camera would take.
      sensor: what this one does; see `scene.Sensor` for the units.
      seed: drives the noise.
    """
    if sensor == Sensor():
        return image
    linear = (image / 255.0) ** _GAMMA
    if sensor.distortion:
        linear = _distorted(linear, sensor.distortion)
    linear = linear * sensor.exposure * _falloff(len(image), sensor.vignette)[..., None]
    if sensor.blur:
        sigma = sensor.blur / 1000 * len(image)
        linear = ndimage.gaussian_filter(linear, (sigma, sigma, 0), mode="nearest")
    taken = np.clip(linear, 0, 1) ** (1 / _GAMMA)
    if sensor.noise:
        taken = taken + np.random.default_rng(seed).normal(0, sensor.noise, taken.shape)
    stored = (np.clip(taken, 0, 1) * 255 + 0.5).astype(np.uint8)
    return _compressed(stored, sensor.jpeg_quality) if sensor.jpeg_quality else stored


def _distorted(linear: Float[np.ndarray, "s s 3"], coefficient: float) -> Float[np.ndarray, "s s 3"]:
    """Shows at radius r what was at r (1 + coefficient r^2), r being 1 in the middle of an edge of the picture.

    Scaled so that no place outside the picture is asked for: a barrel keeps the corners, a pincushion the edges.
    """
    size = len(linear)
    across = (np.arange(size) + 0.5) * (2 / size) - 1
    y, x = np.meshgrid(across, across, indexing="ij")
    largest = 1 + coefficient * (2 if coefficient > 0 else 1)
    stretch = (1 + coefficient * (x * x + y * y)) / largest
    at = np.stack([(place * stretch + 1) * (size / 2) - 0.5 for place in (y, x)])
    channels = np.moveaxis(linear, -1, 0)
    return np.stack([ndimage.map_coordinates(channel, at, order=1, mode="nearest") for channel in channels], -1)


def _falloff(size: int, vignette: float) -> Float[np.ndarray, "s s"]:
    """The share of light that arrives: all in the centre, less by `vignette` in the corners, as the radius squared."""
    across = (np.arange(size) + 0.5) * (2 / size) - 1
    return 1 - vignette * (across[:, None] ** 2 + across**2) / 2


def _compressed(image: UInt8[np.ndarray, "s s 3"], quality: int) -> UInt8[np.ndarray, "s s 3"]:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file))
