"""The Gemma decoder (https://arxiv.org/abs/2403.08295), with big_vision's parameter names.

Letters: l layer, b batch, t queries, s keys, n query heads, k key-value heads, h head size, d width, f MLP width,
v vocabulary.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from vlmcog.models.attention import attend
from vlmcog.models.config import DecoderConfig
from vlmcog.models.layers import dtypes_of, stack_layers
from vlmcog.models.products import product

_ROPE_MAX_WAVELENGTH = 10_000.0
_EPSILON = 1e-6


class KeysValues(NamedTuple):
    """What the layers remember of the tokens so far."""

    keys: Float[Array, "l b s k h"]
    values: Float[Array, "l b s k h"]


class Gemma(nn.Module):
    """Embeddings in, hidden states out; `logits` reads them where they are needed."""

    config: DecoderConfig
    vocabulary_size: int
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    scan: bool = False
    remat: bool = False

    def setup(self) -> None:
        """Names the parts as big_vision does."""
        dtypes = dtypes_of(self)
        layers = stack_layers(_Block, depth=self.config.depth, scan=self.scan, remat=self.remat, n_broadcast=3)
        self.embedder = _Embedder(self.vocabulary_size, self.config.width, **dtypes)
        self.layers = layers(self.config, self.dropout, **dtypes)
        self.final_norm = _RMSNorm(**dtypes)

    def embed(self, tokens: Int[Array, "b t"]) -> Float[Array, "b t d"]:
        """Embeddings of tokens, times sqrt(d)."""
        return self.embedder.encode(tokens)

    def __call__(
        self,
        x: Float[Array, "b t d"],
        positions: Int[Array, "b t"],
        mask: Bool[Array, "b t s"],
        past: KeysValues | None = None,
        slot: Int[Array, ""] | int = 0,
    ) -> tuple[Float[Array, "b t d"], KeysValues]:
        """Runs the layers on `x`.

        Without `past` the keys are those of `x` itself (s = t); with it, those of `x` are written into its slots from
        `slot` on and the mask runs over all its slots.
        """
        x, keys_values = self.layers(x, past, positions, mask, slot)
        return x, keys_values

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Float32 logits of the next token, by the final norm and the tied embedding."""
        return self.embedder.decode(self.final_norm(hidden))


class _Embedder(nn.Module):
    vocabulary_size: int
    width: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    def setup(self) -> None:
        init = nn.initializers.normal(self.width**-0.5)
        shape = (self.vocabulary_size, self.width)
        self.table = self.param("input_embedding", init, shape, self.param_dtype)

    def encode(self, tokens):
        # sqrt(d) is rounded to the compute dtype, as it was when the public weights were trained.
        scale = jnp.sqrt(jnp.float32(self.width)).astype(self.dtype)
        return self.table[tokens].astype(self.dtype) * scale

    def decode(self, x):
        return jnp.einsum("...d,vd->...v", x, self.table.astype(self.dtype), preferred_element_type=jnp.float32)


class _RMSNorm(nn.Module):
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.zeros, (x.shape[-1],), self.param_dtype).astype(jnp.float32)
        x = x.astype(jnp.float32)
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + _EPSILON)
        return (x * jnp.broadcast_to(1 + scale, x.shape)).astype(self.dtype)


class _Block(nn.Module):
    config: DecoderConfig
    dropout: float
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, past, positions, mask, slot):
        dtypes = dtypes_of(self)
        drop = nn.Dropout(self.dropout, deterministic=not self.has_rng("dropout"))
        y = _RMSNorm(**dtypes, name="pre_attention_norm")(x)
        y, keys_values = _Attention(self.config, **dtypes, name="attn")(y, past, positions, mask, slot)
        x = x + drop(y)
        y = _RMSNorm(**dtypes, name="pre_ffw_norm")(x)
        y = _FeedForward(self.config.mlp_dim, **dtypes, name="mlp")(y)
        return x + drop(y), keys_values


class _Attention(nn.Module):
    config: DecoderConfig
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, past, positions, mask, slot):
        config, dtypes = self.config, dtypes_of(self)
        d, h = config.width, config.head_dim
        query = _Weight((config.num_heads, d, h), (1,), **dtypes, name="q_einsum")()
        key_value = _Weight((2, config.num_kv_heads, d, h), (2,), **dtypes, name="kv_einsum")()
        out = _Weight((config.num_heads, h, d), (0, 1), **dtypes, name="attn_vec_einsum")()

        query = _rope(product(x, jnp.einsum("ndh->dnh", query)), positions)
        key, value = (product(x, jnp.einsum("kdh->dkh", w)) for w in key_value)
        key = _rope(key, positions)
        if past is not None:
            key = jax.lax.dynamic_update_slice_in_dim(past.keys, key, slot, axis=1)
            value = jax.lax.dynamic_update_slice_in_dim(past.values, value, slot, axis=1)
        y = product(attend(query, key, value, mask), out, n_contracted=2)
        return y, KeysValues(key, value)


class _FeedForward(nn.Module):
    mlp_dim: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x):
        d, f = x.shape[-1], self.mlp_dim
        gating = self.param("gating_einsum", _fan_in((1,), 3), (2, d, f), self.param_dtype).astype(self.dtype)
        linear = self.param("linear", _fan_in((0,), 2), (f, d), self.param_dtype).astype(self.dtype)
        gate, up = product(x, gating[0]), product(x, gating[1])
        return product(nn.gelu(gate, approximate=True) * up, linear)


class _Weight(nn.Module):
    shape: tuple[int, ...]
    in_axes: tuple[int, ...]
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self):
        init = _fan_in(self.in_axes, len(self.shape))
        return self.param("w", init, self.shape, self.param_dtype).astype(self.dtype)


def _fan_in(in_axes: tuple[int, ...], n_axes: int) -> nn.initializers.Initializer:
    out_axes = tuple(axis for axis in range(n_axes) if axis not in in_axes)
    return nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", in_axes, out_axes)


def _rope(x: Float[Array, "b t n h"], positions: Int[Array, "b t"]) -> Float[Array, "b t n h"]:
    """Rotates the first half of each head against the second by the token's position, in float32."""
    half = x.shape[-1] // 2
    frequency = _ROPE_MAX_WAVELENGTH ** -(jnp.arange(half, dtype=jnp.float32) / half)
    angle = positions[..., None, None].astype(jnp.float32) * frequency[None, None, None, :]
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)
