"""Values against jax's own, slopes against the derivative in float64: differentiated by jax, 1 + tanh cancels."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.models.activations import gated_gelu_tanh, gelu_tanh

WIDE = jnp.concatenate([jnp.linspace(-12, 12, 4001), jnp.array([-1e4, -100.0, 0.0, 100.0, 1e4])])


def _value_and_slope(x):
    x = np.asarray(x, np.float64)
    c = np.sqrt(2 / np.pi)
    tanh = np.tanh(c * (x + 0.044715 * x**3))
    slope = (1 + tanh) / 2 + x / 2 * (1 - tanh**2) * c * (1 + 3 * 0.044715 * x**2)
    return x * (1 + tanh) / 2, slope


@pytest.mark.parametrize(("dtype", "atol"), [("float32", 2e-6), ("bfloat16", 5e-3)])
def test_gelu_and_its_gradient(dtype, atol):
    x = WIDE.astype(dtype)
    value, backward = jax.vjp(gelu_tanh, x)
    np.testing.assert_array_equal(value, nn.gelu(x, approximate=True))
    (slope,) = backward(jnp.ones_like(x))
    assert slope.dtype == x.dtype
    np.testing.assert_allclose(np.asarray(slope, np.float64), _value_and_slope(x)[1], atol=atol)


def test_gated_gelu_and_its_gradients():
    gate, up, d = jax.random.normal(jax.random.key(0), (3, 8, 40)) * 3
    value, backward = jax.vjp(gated_gelu_tanh, gate, up)
    np.testing.assert_array_equal(value, nn.gelu(gate, approximate=True) * up)
    gelu, slope = _value_and_slope(gate)
    for got, expected in zip(backward(d), (d * up * slope, d * gelu), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)
