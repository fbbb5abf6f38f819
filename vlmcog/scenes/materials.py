"""Procedural materials: what multiplies a surface's colour at a point, as a function of the surface's own coordinates.

Everything is arithmetic on single arrays of coordinates, so that the renderer can fuse it into one loop over pixels.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vlmcog.scenes.scene import MATERIALS as MATERIALS

Coordinates = tuple[Float[Array, "*p"], Float[Array, "*p"], Float[Array, "*p"]]


def shade(material: Int[Array, "*#p"], point: Coordinates, side: Float[Array, "*#p"], seed: Int[Array, "*#p"]) -> Array:
    """Returns the factor [*p] on the colour at `point`.

    Args:
      material: index into `scene.MATERIALS`.
      point: metres in the surface's own frame.
      side: the length in metres that patterns scale with.
      seed: a different one gives other grain.
    """
    scaled = tuple(coordinate / side for coordinate in point)
    factor = jnp.ones_like(scaled[0])
    for index, pattern in enumerate(_PATTERNS):
        chosen = material == index
        # Noise is dear: compute a pattern only for tiles where some point has that material.
        factor = jax.lax.cond(
            jnp.any(chosen),
            lambda factor, chosen=chosen, pattern=pattern: jnp.where(chosen, pattern(*scaled, seed), factor),
            lambda factor: factor,
            factor,
        )
    return factor


def _plain(x: Array, y: Array, z: Array, seed: Array) -> Array:
    del y, z, seed
    return jnp.ones_like(x)


def _checker(x: Array, y: Array, z: Array, seed: Array) -> Array:
    del z, seed
    odd = jnp.mod(jnp.floor(x) + jnp.floor(y), 2)
    return 0.8 + 0.2 * odd


def _wood(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Growth rings around an axis along x, bent by slow noise, with fine fibres along it."""
    bend = _value_noise(1.5 * x, 3 * y, 3 * z, seed)
    rings = jnp.sin(40 * jnp.sqrt(jnp.square(y + 0.9) + jnp.square(z - 0.4)) + 6 * bend)
    fibres = _value_noise(4 * x, 50 * y, 50 * z, seed + 1)
    return 0.92 + 0.06 * rings + 0.10 * (fibres - 0.5)


def _noise(x: Array, y: Array, z: Array, seed: Array) -> Array:
    coarse = _value_noise(2 * x, 2 * y, 2 * z, seed)
    fine = _value_noise(9 * x, 9 * y, 9 * z, seed + 1)
    return 0.75 + 0.3 * coarse + 0.2 * fine


def _cloth(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Soft folds: ridges of slow noise, longer than wide."""
    folds = 1 - jnp.abs(2 * _value_noise(0.9 * x + 0.3 * z, 0.5 * y, 0.35 * z, seed) - 1)
    creases = _value_noise(2.5 * x, 1.2 * y, 1.0 * z - 0.6 * x, seed + 1)
    return 0.86 + 0.14 * folds + 0.10 * (creases - 0.5)


def _marble(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Thin dark veins where slowly bent planes pass."""
    bend = _value_noise(1.3 * x, 1.3 * y, 1.3 * z, seed)
    fine = _value_noise(4 * x, 4 * y, 4 * z, seed + 1)
    veins = 1 - jnp.abs(jnp.sin(1.6 * x + 2.1 * y + 1.2 * z + 5 * bend + 1.2 * fine))
    return 1.02 - 0.30 * _sharpened(veins) + 0.06 * (fine - 0.5)


def _metal(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Brushed along x: long streaks, and a slow sheen across them."""
    streaks = _value_noise(0.8 * x, 22 * y, 22 * z, seed)
    sheen = jnp.sin(2.2 * x + 1.1 * y + 3.0 * z)
    return 0.95 + 0.16 * (streaks - 0.5) + 0.09 * sheen


def _concrete(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Stains, and pores where fine noise is lowest."""
    stains = _value_noise(0.7 * x, 0.7 * y, 0.7 * z, seed)
    grain = _value_noise(7 * x, 7 * y, 7 * z, seed + 1)
    return 0.90 + 0.18 * (stains - 0.5) + 0.08 * (grain - 0.5) - 0.25 * _sharpened(1 - grain)


def _fabric(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """A loose weave: threads over and under, each a little different."""
    weave = jnp.sin(18 * x) * jnp.sin(18 * (y + z))
    uneven = _value_noise(3 * x, 3 * y, 3 * z, seed)
    return 0.93 + 0.07 * weave + 0.12 * (uneven - 0.5)


def _paper(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Hardly uneven."""
    return 0.975 + 0.05 * (_value_noise(5 * x, 5 * y, 5 * z, seed) - 0.5)


def _brick(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Rows of bricks, every other shifted by a half, each of its own shade, with pale mortar."""
    height = 2.2 * (y + z)
    row = jnp.floor(height)
    along = 0.9 * x + 0.5 * jnp.mod(row, 2)
    shade = _hash(jnp.floor(along).astype(jnp.int32), row.astype(jnp.int32), jnp.zeros_like(seed), seed)
    mortar = jnp.maximum(_line(height, 32), _line(along, 128))
    return (0.82 + 0.24 * shade) * (1 - mortar) + 1.15 * mortar


def _grid(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Squared paper: bright lines, every other one stronger."""
    del seed
    v = y + z
    fine = jnp.maximum(_line(2 * x, 32), _line(2 * v, 32))
    coarse = jnp.maximum(_line(x, 64), _line(v, 64))
    return 1 + 0.35 * fine + 0.8 * coarse


def _line(x: Array, sharpness: int) -> Array:
    """1 at whole numbers, falling softly to 0 beside them: `sharpness`, a power of 2, times sharper than a cosine."""
    line = 0.5 + 0.5 * jnp.cos(2 * jnp.pi * x)
    for _ in range(sharpness.bit_length() - 1):
        line = line * line
    return line


def _sharpened(value: Array) -> Array:
    """The fourth power of a value in [0, 1]."""
    return jnp.square(jnp.square(value))


def _value_noise(x: Array, y: Array, z: Array, seed: Array) -> Array:
    """Smooth noise in [0, 1]: random values at whole coordinates, blended between them."""
    corner = [jnp.floor(value) for value in (x, y, z)]
    u, v, w = (_smooth(value - low) for value, low in zip((x, y, z), corner, strict=True))
    i, j, k = (low.astype(jnp.int32) for low in corner)
    planes = [_blend(u, v, *(_hash(i + di, j + dj, k + dk, seed) for dj in (0, 1) for di in (0, 1))) for dk in (0, 1)]
    return planes[0] + w * (planes[1] - planes[0])


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
