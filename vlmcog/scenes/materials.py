"""Procedural materials: what multiplies a surface's colour at a point, as a function of the surface's own coordinates.

Everything is arithmetic on single arrays of coordinates, so that the renderer can fuse it into one loop over pixels.
A pattern is near its mean over a pixel: what is finer than the pixel fades into its mean, so that nothing aliases.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vlmcog.scenes.scene import MATERIALS as MATERIALS

Coordinates = tuple[Float[Array, "*p"], Float[Array, "*p"], Float[Array, "*p"]]

_VEINS_MEAN = 0.13
"""Of the fourth power of 1 - |sin|."""


@dataclasses.dataclass(frozen=True)
class Patch:
    """A coordinate over a pixel's part of a surface: its value in the middle and how much it changes from end to end.

    Arithmetic with numbers, and sums of patches, are those of linear functions.
    """

    middle: Array
    width: Array

    def __add__(self, other: "Patch | float") -> "Patch":
        """The sum; changes of two coordinates may add up."""
        if isinstance(other, Patch):
            return Patch(self.middle + other.middle, self.width + other.width)
        return Patch(self.middle + other, self.width)

    def __sub__(self, other: "Patch") -> "Patch":
        """The difference; changes of two coordinates may add up."""
        return Patch(self.middle - other.middle, self.width + other.width)

    def __rmul__(self, factor: float) -> "Patch":
        """The multiple by a positive number."""
        return Patch(factor * self.middle, factor * self.width)


def shade(
    material: Int[Array, "*#p"],
    point: Coordinates,
    side: Float[Array, "*#p"],
    seed: Int[Array, "*#p"],
    width: Coordinates | None = None,
) -> Array:
    """Returns the factor [*p] on the colour at `point`.

    Args:
      material: index into `scene.MATERIALS`.
      point: metres in the surface's own frame.
      side: the length in metres that patterns scale with.
      seed: a different one gives other grain.
      width: how many metres of each coordinate a pixel covers; None for points.
    """
    at_a_point = jnp.zeros_like(point[0])
    width = (at_a_point, at_a_point, at_a_point) if width is None else width
    patches = [Patch(middle / side, extent / side) for middle, extent in zip(point, width, strict=True)]
    factor = jnp.ones_like(point[0])
    present = jax.lax.reduce(1 << material, jnp.int32(0), jax.lax.bitwise_or, range(material.ndim))
    for index, pattern in enumerate(_PATTERNS):
        chosen = material == index
        # Noise is dear: compute a pattern only for points among which some have that material.
        factor = jax.lax.cond(
            (present >> index) & 1 == 1,
            lambda factor, chosen=chosen, pattern=pattern: jnp.where(chosen, pattern(*patches, seed), factor),
            lambda factor: factor,
            factor,
        )
    return factor


def _plain(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    del y, z, seed
    return jnp.ones_like(x.middle)


def _checker(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    del z, seed
    return 0.9 - 0.1 * _square_wave(x) * _square_wave(y)


def _wood(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Growth rings around an axis along x, bent by slow noise, with fine fibres along it."""
    bend = _value_noise(1.5 * x, 3 * y, 3 * z, seed)
    radius = jnp.sqrt(jnp.square(y.middle + 0.9) + jnp.square(z.middle - 0.4))
    rings = _sine(Patch(40 * radius + 6 * bend, 40 * jnp.maximum(y.width, z.width)))
    fibres = _value_noise(4 * x, 50 * y, 50 * z, seed + 1)
    return 0.92 + 0.06 * rings + 0.10 * (fibres - 0.5)


def _noise(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    coarse = _value_noise(2 * x, 2 * y, 2 * z, seed)
    fine = _value_noise(9 * x, 9 * y, 9 * z, seed + 1)
    return 0.75 + 0.3 * coarse + 0.2 * fine


def _cloth(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Soft folds: ridges of slow noise, longer than wide."""
    folds = 1 - jnp.abs(2 * _value_noise(0.9 * x + 0.3 * z, 0.5 * y, 0.35 * z, seed) - 1)
    creases = _value_noise(2.5 * x, 1.2 * y, 1.0 * z - 0.6 * x, seed + 1)
    return 0.86 + 0.14 * folds + 0.10 * (creases - 0.5)


def _marble(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Thin dark veins where slowly bent planes pass."""
    bend = _value_noise(1.3 * x, 1.3 * y, 1.3 * z, seed)
    fine = _value_noise(4 * x, 4 * y, 4 * z, seed + 1)
    across = 1.6 * x + 2.1 * y + 1.2 * z
    veins = _sharpened(1 - jnp.abs(jnp.sin(across.middle + 5 * bend + 1.2 * fine)))
    veins = _VEINS_MEAN + (veins - _VEINS_MEAN) * _kept((4 / jnp.pi) * across)
    return 1.02 - 0.30 * veins + 0.06 * (fine - 0.5)


def _metal(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Brushed along x: long streaks, and a slow sheen across them."""
    streaks = _value_noise(0.8 * x, 22 * y, 22 * z, seed)
    sheen = _sine(2.2 * x + 1.1 * y + 3.0 * z)
    return 0.95 + 0.16 * (streaks - 0.5) + 0.09 * sheen


def _concrete(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Stains, and pores where fine noise is lowest."""
    stains = _value_noise(0.7 * x, 0.7 * y, 0.7 * z, seed)
    grain = _value_noise(7 * x, 7 * y, 7 * z, seed + 1)
    return 0.90 + 0.18 * (stains - 0.5) + 0.08 * (grain - 0.5) - 0.25 * _sharpened(1 - grain)


def _fabric(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """A loose weave: threads over and under, each a little different."""
    weave = _sine(18 * x) * _sine(18 * (y + z))
    uneven = _value_noise(3 * x, 3 * y, 3 * z, seed)
    return 0.93 + 0.07 * weave + 0.12 * (uneven - 0.5)


def _paper(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Hardly uneven."""
    return 0.975 + 0.05 * (_value_noise(5 * x, 5 * y, 5 * z, seed) - 0.5)


def _brick(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Rows of bricks, every other shifted by a half, each of its own shade, with pale mortar."""
    height = 2.2 * (y + z)
    row = jnp.floor(height.middle)
    along = Patch(0.9 * x.middle + 0.5 * jnp.mod(row, 2), 0.9 * x.width)
    shade = _hash(jnp.floor(along.middle).astype(jnp.int32), row.astype(jnp.int32), jnp.zeros_like(seed), seed)
    shade = 0.5 + (shade - 0.5) * _kept(height) * _kept(along)
    mortar = jnp.maximum(_line(height, 32), _line(along, 128))
    return (0.82 + 0.24 * shade) * (1 - mortar) + 1.15 * mortar


def _grid(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Squared paper: bright lines, every other one stronger."""
    del seed
    v = y + z
    fine = jnp.maximum(_line(2 * x, 32), _line(2 * v, 32))
    coarse = jnp.maximum(_line(x, 64), _line(v, 64))
    return 1 + 0.35 * fine + 0.8 * coarse


def _kept(patch: Patch) -> Array:
    """The share of a ripple's height that is left in the mean over a patch; a wave is 2 units long."""
    return jnp.exp(-0.5 * jnp.square(patch.width))


def _sine(phase: Patch) -> Array:
    return jnp.sin(phase.middle) * _kept((1 / jnp.pi) * phase)


def _square_wave(x: Patch) -> Array:
    """1 and -1 by turns in units, exactly the mean over the patch."""
    half = jnp.maximum(x.width, 1e-3) / 2
    return (_triangle_wave(x.middle + half) - _triangle_wave(x.middle - half)) / (2 * half)


def _triangle_wave(x: Array) -> Array:
    """The integral of the square wave: from 0 up to 1 and down again, in 2 units."""
    return 1 - jnp.abs(x - 2 * jnp.floor(x / 2) - 1)


def _line(x: Patch, sharpness: int) -> Array:
    """1 at whole numbers, falling softly to 0 beside them: as wide as the cosine's power of `sharpness`.

    That power is all but a Gaussian, and so is its mean over a patch, of the variances' sum.
    """
    variance = 1 / (2 * jnp.pi**2 * sharpness)
    blurred = variance + jnp.square(x.width) / 12
    away = x.middle - jnp.round(x.middle)
    line = jnp.sqrt(variance / blurred) * jnp.exp(-0.5 * jnp.square(away) / blurred)
    # Where neighbouring lines run into each other, their mean.
    apart = jnp.clip(2 - 5 * jnp.sqrt(blurred), 0, 1)
    mean = jnp.sqrt(2 * jnp.pi * variance)
    return mean + (line - mean) * apart


def _sharpened(value: Array) -> Array:
    """The fourth power of a value in [0, 1]."""
    return jnp.square(jnp.square(value))


def _value_noise(x: Patch, y: Patch, z: Patch, seed: Array) -> Array:
    """Smooth noise in [0, 1]: random values at whole coordinates, blended between them."""
    corner = [jnp.floor(patch.middle) for patch in (x, y, z)]
    u, v, w = (_smooth(patch.middle - low) for patch, low in zip((x, y, z), corner, strict=True))
    i, j, k = (low.astype(jnp.int32) for low in corner)
    planes = [_blend(u, v, *(_hash(i + di, j + dj, k + dk, seed) for dj in (0, 1) for di in (0, 1))) for dk in (0, 1)]
    noise = planes[0] + w * (planes[1] - planes[0])
    widest = jnp.maximum(jnp.maximum(x.width, y.width), z.width)
    return 0.5 + (noise - 0.5) * _kept(Patch(noise, widest))


def _blend(u: Array, v: Array, low_low: Array, high_low: Array, low_high: Array, high_high: Array) -> Array:
    low = low_low + u * (high_low - low_low)
    high = low_high + u * (high_high - low_high)
    return low + v * (high - low)


def _smooth(t: Array) -> Array:
    return t * t * (3 - 2 * t)


def _hash(i: Array, j: Array, k: Array, seed: Array) -> Array:
    """A value in [0, 1) for whole coordinates: multiply, shift and xor, as in PCG."""
    word = _mix(i.astype(jnp.uint32) + jnp.uint32(0x9E3779B9) * seed.astype(jnp.uint32))
    word = _mix(word ^ (j.astype(jnp.uint32) * jnp.uint32(0x85EBCA6B)))
    word = _mix(word ^ (k.astype(jnp.uint32) * jnp.uint32(0xC2B2AE35)))
    return (word >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def _mix(word: Array) -> Array:
    word = (word ^ (word >> 16)) * jnp.uint32(0x7FEB352D)
    return word ^ (word >> 15)


_PATTERNS = (
    *(_plain, _checker, _wood, _noise, _cloth),
    *(_marble, _metal, _concrete, _fabric, _paper, _brick, _grid),
)
"""In the order of `scene.MATERIALS`."""


def random_turn(i: Array, j: Array) -> Array:
    """A number in [0, 1) for each pixel: turns its light samples, so that penumbrae grain instead of band."""
    zero = jnp.zeros((), jnp.int32)
    return _hash(i, j, zero, zero)
