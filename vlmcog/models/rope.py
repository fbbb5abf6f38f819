"""Rotary positions (https://arxiv.org/abs/2104.09864). Letters: b batch, t tokens, n heads, h head size."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def frequencies(half: int, wavelength: float) -> Float[Array, " half"]:
    """Radians a position, from 1 down to nearly 1 / `wavelength`."""
    return wavelength ** -(jnp.arange(half, dtype=jnp.float32) / half)


def rotate(x: Float[Array, "b t n h"], angles: Float[Array, "b t half"]) -> Float[Array, "b t n h"]:
    """Rotates the first half of each head against the second by its angles in radians, in float32."""
    sin, cos = (wave(angles)[:, :, None] for wave in (jnp.sin, jnp.cos))
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    sin, cos = (jnp.broadcast_to(wave, first.shape) for wave in (sin, cos))
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)
