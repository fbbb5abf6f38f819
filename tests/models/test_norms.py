"""The norms by their formulae; inputs as small as epsilon show a wrong one, which parity alone hardly does."""

import jax
import jax.numpy as jnp
import numpy as np

from vlmcog.models.norms import LayerNorm, RMSNorm

SMALL = 1e-3 * np.array([[1.0, -1.0, 1.0, -1.0], [3.0, 1.0, 0.0, 0.0]], np.float32)
DTYPES = {"dtype": jnp.float32, "param_dtype": jnp.float32}


def test_layer_norm():
    params = {"scale": jnp.arange(1.0, 5.0), "bias": jnp.ones(4)}
    got = jax.jit(LayerNorm(**DTYPES).apply)({"params": params}, SMALL)
    centred = SMALL - SMALL.mean(axis=-1, keepdims=True)
    wanted = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6) * np.arange(1.0, 5.0) + 1
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_rms_norm_scales_by_one_plus_its_parameter():
    got = jax.jit(RMSNorm(**DTYPES).apply)({"params": {"scale": jnp.arange(4.0)}}, SMALL)
    wanted = SMALL / np.sqrt((SMALL**2).mean(axis=-1, keepdims=True) + 1e-6) * (1 + np.arange(4.0))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-7)


def test_llamas_rms_norm_scales_by_its_parameter():
    norm = RMSNorm(1e-5, plus_one=False, **DTYPES)
    got = jax.jit(norm.apply)({"params": {"scale": jnp.arange(4.0)}}, SMALL)
    wanted = SMALL / np.sqrt((SMALL**2).mean(axis=-1, keepdims=True) + 1e-5) * np.arange(4.0)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-7)
