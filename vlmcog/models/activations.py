"""Activation functions by name; the gradients of GELU by tanh, alone or as a gate, keep nothing but their inputs.

Left to differentiate GELU by itself, a compiler keeps the tanh and the powers in it for the backward pass: several
arrays of the MLP's width a layer. Computing them again costs less than writing and reading them.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vlmcog.models.config import Activation

_SLOPE, _CUBIC = 2 * (2 / jnp.pi) ** 0.5, 0.044715  # gelu_tanh(x) = x sigmoid(slope (x + cubic x^3))


@jax.custom_vjp
def gelu_tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """GELU with its tanh approximation (https://arxiv.org/abs/1606.08415)."""
    return nn.gelu(x, approximate=True)


@jax.custom_vjp
def gated_gelu_tanh(gate: Float[Array, "..."], up: Float[Array, "..."]) -> Float[Array, "..."]:
    """`gelu_tanh(gate) * up`, the GEGLU of https://arxiv.org/abs/2002.05202."""
    return nn.gelu(gate, approximate=True) * up


ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "gelu_tanh": gelu_tanh,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "quick_gelu": lambda x: x * nn.sigmoid(1.702 * x),
    "silu": nn.silu,
    "relu": nn.relu,
}


def _gelu_backward(x: Array, d: Array) -> tuple[Array]:
    return (d * _value_and_slope(x)[1],)


def _gated_backward(kept: tuple[Array, Array], d: Array) -> tuple[Array, Array]:
    gate, up = kept
    value, slope = _value_and_slope(gate)
    return d * up * slope, d * value


def _value_and_slope(x: Array) -> tuple[Array, Array]:
    """GELU and its derivative, computed in float32."""
    wide = x.astype(jnp.float32)
    squared = jnp.square(wide)
    share = nn.sigmoid(_SLOPE * wide * (1 + _CUBIC * squared))
    slope = share + wide * share * (1 - share) * _SLOPE * (1 + 3 * _CUBIC * squared)
    return (wide * share).astype(x.dtype), slope.astype(x.dtype)


gelu_tanh.defvjp(lambda x: (gelu_tanh(x), x), _gelu_backward)
gated_gelu_tanh.defvjp(lambda gate, up: (gated_gelu_tanh(gate, up), (gate, up)), _gated_backward)
