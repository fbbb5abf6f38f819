"""The vision transformer of SigLIP (https://arxiv.org/abs/2303.15343), with big_vision's parameter names.

Letters: b batch, n patches, d width.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vlmcog.models.attention import attend
from vlmcog.models.config import VisionConfig
from vlmcog.models.hugging_face import Rule, expect_config, within
from vlmcog.models.layers import dtypes_of, stack_layers
from vlmcog.models.products import dot_general

_XAVIER = nn.initializers.xavier_uniform()
_NEAR_ZERO = nn.initializers.normal(1e-6)
_EPSILON = 1e-6
_MAX_WAVELENGTH = 100.0
IMAGE_SIZE = 224  # what a `config.json` means by leaving it out


class VisionTransformer(nn.Module):
    """Image to one token a patch, projected to the decoder's width, or as the encoder leaves it at `output_width` 0.

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
        if not self.output_width:
            return x
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


def hugging_face(path: str, name: str) -> list[Rule]:
    """The rules of an encoder's parameters, without those of `head`.

    Args:
      path: before our paths, such as `img/`.
      name: before their names, such as `vision_tower.vision_model.`.
    """
    attention = [
        rule
        for ours, theirs in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"))
        for rule in (
            Rule(f"MultiHeadDotProductAttention_0/{ours}/kernel", f"self_attn.{theirs}.weight", "(n h) d -> d n h"),
            Rule(f"MultiHeadDotProductAttention_0/{ours}/bias", f"self_attn.{theirs}.bias", "(n h) -> n h"),
        )
    ]
    block = [
        *_norm("LayerNorm_0", "layer_norm1"),
        *attention,
        Rule("MultiHeadDotProductAttention_0/out/kernel", "self_attn.out_proj.weight", "d (n h) -> n h d"),
        Rule("MultiHeadDotProductAttention_0/out/bias", "self_attn.out_proj.bias"),
        *_norm("LayerNorm_1", "layer_norm2"),
        *dense("MlpBlock_0/Dense_0", "mlp.fc1"),
        *dense("MlpBlock_0/Dense_1", "mlp.fc2"),
    ]
    rules = [
        Rule("embedding/kernel", "embeddings.patch_embedding.weight", "d c h w -> h w c d"),
        Rule("embedding/bias", "embeddings.patch_embedding.bias"),
        Rule("pos_embedding", "embeddings.position_embedding.weight", "n d -> 1 n d"),
        *within(block, "Transformer/encoderblock/", "encoder.layers.{layer}."),
        *_norm("Transformer/encoder_norm", "post_layernorm"),
    ]
    return within(rules, path, name)


def dense(path: str, name: str) -> list[Rule]:
    """The rules of a dense layer with a bias."""
    return [Rule(f"{path}/kernel", f"{name}.weight", "f d -> d f"), Rule(f"{path}/bias", f"{name}.bias")]


def _norm(path: str, name: str) -> list[Rule]:
    return [Rule(f"{path}/scale", f"{name}.weight"), Rule(f"{path}/bias", f"{name}.bias")]


def config_from(config: Mapping[str, Any]) -> VisionConfig:
    """Returns the encoder that the `vision_config` of a `config.json` describes.

    Raises:
      UserError: it is no SigLIP's or asks for what isn't built here.
    """
    built = {"model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": _EPSILON}
    expect_config(config, built | {"num_channels": 3})
    return VisionConfig(
        width=config.get("hidden_size", 768),
        depth=config.get("num_hidden_layers", 12),
        mlp_dim=config.get("intermediate_size", 3072),
        num_heads=config.get("num_attention_heads", 12),
        patch_size=config.get("patch_size", 16),
    )


def to_config(config: VisionConfig, image_size: int) -> dict[str, Any]:
    """Undoes `config_from`."""
    return {
        "model_type": "siglip_vision_model",
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "intermediate_size": config.mlp_dim,
        "num_attention_heads": config.num_heads,
        "patch_size": config.patch_size,
        "image_size": image_size,
        "num_channels": 3,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": _EPSILON,
        "vision_use_head": False,
    }
