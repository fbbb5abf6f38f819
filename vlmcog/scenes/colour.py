"""How different colours look to people: distances in CIELAB, where about 2 is the least that one can see."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

_XYZ_OF_RGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _XYZ_OF_RGB.sum(1)


def lab(srgb: ArrayLike) -> Float[np.ndarray, "*n 3"]:
    """CIELAB (CIE 1976, white point D65) of sRGB [*n, 3] in [0, 1]."""
    srgb = np.asarray(srgb, np.float64)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.moveaxis(_cube_root(linear @ _XYZ_OF_RGB.T / _WHITE), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _cube_root(ratio: np.ndarray) -> np.ndarray:
    """The cube root, but straight near zero."""
    return np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)


def distance(one: ArrayLike, other: ArrayLike) -> Float[np.ndarray, "*n"]:
    """The CIE 1976 colour difference of sRGB colours [*n, 3] in [0, 1]."""
    return np.linalg.norm(lab(one) - lab(other), axis=-1)
