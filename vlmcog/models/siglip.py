"""The vision transformer of SigLIP (https://arxiv.org/abs/2303.15343), with big_vision's parameter names.

Letters: b batch, n patches, d width.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vlmcog.models.attention import attend
from vlmcog.models.config import VisionConfig
from vlmcog.models.layers import dtypes_of, stack_layers
from vlmcog.models.products import dot_general

_XAVIER = nn.initializers.xavier_uniform()
_NEAR_ZERO = nn.initializers.normal(1e-6)
_EPSILON = 1e-6
_MAX_WAVELENGTH = 100.0


class VisionTransformer(nn.Module):
    """Image to one token a patch, projected to the decoder's width.

    The projection starts at lecun_normal, so that after the encoder's norm image tokens have the size of text
    embeddings (RMS 1). big_vision starts it at zero, which suits pre-trained towers: from scratch nothing would
    reach the vision tower at first, and the decoder's RMSNorm of a zero vector magnifies its first step a thousandfold.
    """

    config: VisionConfig
    output_width: int
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    scan: bool = False
    remat: bool = False

    @nn.compact
    def __call__(self, image: Float[Array, "b height width 3"]) -> Float[Array, "b n d"]:
        """Tokens of an image in [-1, 1], row by row."""
        config, dtypes = self.config, dtypes_of(self)
        patch = (config.patch_size, config.patch_size)
        x = nn.Conv(config.width, patch, strides=patch, padding="VALID", **dtypes, name="embedding")(image)
        _, *grid, width = x.shape
        positions = self.param("pos_embedding", _sines, grid, width, self.param_dtype)
        x = x.reshape(len(image), -1, width)
        x = x + jnp.broadcast_to(positions.astype(self.dtype), x.shape)
        x = _Encoder(config, self.dropout, self.scan, self.remat, **dtypes, name="Transformer")(x)
        return nn.Dense(self.output_width, **dtypes, dot_general=dot_general, name="head")(x)


def _sines(key: Array, grid: list[int], width: int, dtype: DTypeLike) -> Float[Array, "1 n d"]:
    """Learned positions that start as sines and cosines of row and column (https://arxiv.org/abs/2104.02057).

    From scratch, this tells neighbours from the first step on; starting at noise costs a tiny model most of its run.
    """
    del key
    rows, columns = jnp.divmod(jnp.arange(grid[0] * grid[1]), grid[1])
    frequencies = _MAX_WAVELENGTH ** -jnp.linspace(0.0, 1.0, width // 4)
    angles = [place[:, None].astype(jnp.float32) * frequencies[None] for place in (columns, rows)]
    waves = [wave(angle) for angle in angles for wave in (jnp.sin, jnp.cos)]
    return 0.5 * jnp.concatenate(waves, axis=-1)[None].astype(dtype)


class _Encoder(nn.Module):
    config: VisionConfig
    dropout: float
    scan: bool
    remat: bool
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x):
        dtypes = dtypes_of(self)
        blocks = stack_layers(_EncoderBlock, depth=self.config.depth, scan=self.scan, remat=self.remat)
        x, _ = blocks(self.config, self.dropout, **dtypes, name="encoderblock")(x, None)
        return _LayerNorm(**dtypes, name="encoder_norm")(x)


class _EncoderBlock(nn.Module):
    config: VisionConfig
    dropout: float
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, _):
        dtypes = dtypes_of(self)
        drop = nn.Dropout(self.dropout, deterministic=not self.has_rng("dropout"))
        y = _LayerNorm(**dtypes, name="LayerNorm_0")(x)
        y = _SelfAttention(self.config.num_heads, **dtypes, name="MultiHeadDotProductAttention_0")(y)
        x = x + drop(y)
        y = _LayerNorm(**dtypes, name="LayerNorm_1")(x)
        y = _Mlp(self.config.mlp_dim, **dtypes, name="MlpBlock_0")(y)
        return x + drop(y), None


class _LayerNorm(nn.Module):
    """In float32 throughout; Flax's own mixes dtypes under strict promotion."""

    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), self.param_dtype)
        x = x.astype(jnp.float32)
        x = x - x.mean(axis=-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + _EPSILON)
        scale, bias = (jnp.broadcast_to(p.astype(jnp.float32), x.shape) for p in (scale, bias))
        return (x * scale + bias).astype(self.dtype)


class _SelfAttention(nn.Module):
    num_heads: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        common = {"kernel_init": _XAVIER, "dot_general": dot_general, **dtypes_of(self)}
        heads = (self.num_heads, width // self.num_heads)
        query, key, value = (nn.DenseGeneral(heads, **common, name=name)(x) for name in ("query", "key", "value"))
        return nn.DenseGeneral(width, axis=(-2, -1), **common, name="out")(attend(query, key, value))


class _Mlp(nn.Module):
    mlp_dim: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x):
        common = {
            "kernel_init": _XAVIER,
            "bias_init": _NEAR_ZERO,
            "dot_general": dot_general,
            **dtypes_of(self),
        }
        y = nn.gelu(nn.Dense(self.mlp_dim, **common, name="Dense_0")(x), approximate=True)
        return nn.Dense(x.shape[-1], **common, name="Dense_1")(y)
