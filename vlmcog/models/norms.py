"""The norms of every network here, in float32 throughout: Flax's own mix dtypes under strict promotion."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


class LayerNorm(nn.Module):
    """LayerNorm with scale and bias."""

    epsilon: float = 1e-6
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Normalises the last axis."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), self.param_dtype)
        x = x.astype(jnp.float32)
        x = x - x.mean(axis=-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + self.epsilon)
        scale, bias = (jnp.broadcast_to(p.astype(jnp.float32), x.shape) for p in (scale, bias))
        return (x * scale + bias).astype(self.dtype)


class RMSNorm(nn.Module):
    """RMSNorm: Gemma's is times 1 + scale in float32, Llama's times scale in the compute dtype."""

    epsilon: float = 1e-6
    plus_one: bool = True
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Normalises the last axis."""
        init = nn.initializers.zeros if self.plus_one else nn.initializers.ones
        scale = self.param("scale", init, (x.shape[-1],), self.param_dtype)
        x = x.astype(jnp.float32)
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + self.epsilon)
        if self.plus_one:
            return (x * jnp.broadcast_to(1 + scale.astype(jnp.float32), x.shape)).astype(self.dtype)
        return x.astype(self.dtype) * jnp.broadcast_to(scale.astype(self.dtype), x.shape)
