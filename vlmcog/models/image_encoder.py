"""The vision transformer of SigLIP (https://arxiv.org/abs/2303.15343) and, by its switches, of CLIP.

Parameters bear big_vision's names. Letters: b batch, n tokens, d width.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vlmcog.models import encoder
from vlmcog.models.config import VisionConfig
from vlmcog.models.encoder import Encoder, Mlp, MultiHeadAttention
from vlmcog.models.hugging_face import (
    KEYS,
    Rule,
    dense,
    expect_config,
    joined_heads,
    norm,
    packed_heads,
    sizes_from,
    sizes_to,
    within,
)
from vlmcog.models.layers import Network, computing, dtypes_of
from vlmcog.models.norms import LayerNorm
from vlmcog.models.products import DENSE

_EPSILON = 1e-6
_MAX_WAVELENGTH = 100.0
# Width, depth, MLP width and heads of public sizes, for images and sentences alike.
BASE, LARGE, SO400M = (768, 12, 3072, 12), (1024, 24, 4096, 16), (1152, 27, 4304, 16)
IMAGE_SIZE = 224  # what a `config.json` means by leaving it out

# What tells CLIP's towers from SigLIP's, beside the activation.
CLIP: dict[str, Any] = {"patch_bias": False, "class_token": True, "pre_norm": True}

Pool = Literal["none", "map", "class"]


def vision(sizes: Sequence[int], patch_size: int, **more: Any) -> VisionConfig:
    """A tower of (width, depth, MLP width, heads)."""
    return VisionConfig(**dict(zip(KEYS, sizes, strict=True)), patch_size=patch_size, **more)


class VisionTransformer(Network):
    """Image to one token a patch or to one in all, projected to another width.

    The projection starts at lecun_normal, so that after the encoder's norm image tokens have the size of text
    embeddings (RMS 1). big_vision starts it at zero, which suits pre-trained towers: from scratch nothing would
    reach the vision tower at first, and the decoder's RMSNorm of a zero vector magnifies its first step a thousandfold.

    Attributes:
      config: what the tokens go through.
      output_width: that of the projection; 0 for none.
      output_bias: whether the projection has a bias.
      final_norm: whether the tokens are normalised after the last block.
      pool: `map` gathers the tokens by attention from a learned probe, `class` takes the class token, `none` keeps all.
    """

    config: VisionConfig
    output_width: int
    output_bias: bool = True
    pool: Pool = "none"
    final_norm: bool = True

    @nn.compact
    def __call__(self, image: Float[Array, "b height width 3"]) -> Float[Array, "b *n d"]:
        """Tokens of a normalised image, row by row, or the one that they are pooled to."""
        config, dtypes = self.config, dtypes_of(self)
        x = self._tokens(image)
        if config.pre_norm:
            x = LayerNorm(config.epsilon, **dtypes, name="pre_norm")(x)
        x = Encoder(config, self.final_norm, **computing(self), name="Transformer")(x)
        if self.pool == "map":
            x = _MapHead(config, **dtypes, name="MAPHead_0")(x)
        elif self.pool == "class":
            x = x[:, 0]
        if not self.output_width:
            return x
        return nn.Dense(self.output_width, self.output_bias, **dtypes, **DENSE, name="head")(x)

    def _tokens(self, image):
        config, dtypes = self.config, dtypes_of(self)
        patches = _patches(image, config.patch_size)
        embed = {"axis": (-3, -2, -1), "use_bias": config.patch_bias, **dtypes, **DENSE}
        x = nn.DenseGeneral(config.width, **embed, name="embedding")(patches)
        _, *grid, width = x.shape
        positions = self.param("pos_embedding", _positions, grid, config, self.param_dtype)
        x = x.reshape(len(image), -1, width)
        if config.class_token:
            token = self.param("cls", nn.initializers.normal(width**-0.5), (1, 1, width), self.param_dtype)
            x = jnp.concatenate([jnp.broadcast_to(token.astype(self.dtype), (len(x), 1, width)), x], axis=1)
        return x + jnp.broadcast_to(positions.astype(self.dtype), x.shape)


def _patches(image: Float[Array, "b height width c"], side: int) -> Float[Array, "b row column y x c"]:
    """Cuts images into squares, leaving out at the bottom and the right what fills none.

    Their product with a kernel is the convolution of that stride, whose gradient alone took XLA's CPU backend a
    twentieth of a step of fine-tuning.
    """
    rows, columns = (length // side for length in image.shape[1:3])
    image = image[:, : rows * side, : columns * side]
    return image.reshape(len(image), rows, side, columns, side, -1).swapaxes(2, 3)


class _MapHead(nn.Module):
    """Attention from a learned probe to all tokens, then an MLP beside the stream."""

    config: VisionConfig
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x):
        config, dtypes = self.config, dtypes_of(self)
        probe = self.param("probe", nn.initializers.xavier_uniform(), (1, 1, config.width), self.param_dtype)
        probe = jnp.broadcast_to(probe.astype(self.dtype), (len(x), 1, config.width))
        x = MultiHeadAttention(config.num_heads, **dtypes, name="MultiHeadDotProductAttention_0")(probe, x)
        y = LayerNorm(config.epsilon, **dtypes, name="LayerNorm_0")(x)
        return (x + Mlp(config.mlp_dim, config.activation, **dtypes, name="MlpBlock_0")(y))[:, 0]


def _positions(key: Array, grid: list[int], config: VisionConfig, dtype: DTypeLike) -> Float[Array, "1 n d"]:
    """Where the positions start; that of the class token at zero."""
    places = _sines(key, grid, config.width, dtype)
    return jnp.pad(places, ((0, 0), (int(config.class_token), 0), (0, 0)))


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


def hugging_face(path: str, name: str, config: VisionConfig | None = None) -> list[Rule]:
    """The rules of the tower's parameters, without those of `head` and pooling.

    Args:
      path: before our paths, such as `img/`.
      name: before their names, such as `vision_tower.vision_model.`.
      config: the tower's, where it isn't SigLIP's.
    """
    rules = [
        Rule("embedding/kernel", "embeddings.patch_embedding.weight", "d c h w -> h w c d"),
        Rule("pos_embedding", "embeddings.position_embedding.weight", "n d -> 1 n d"),
        *encoder.hugging_face("Transformer/encoderblock/", "encoder.layers.{layer}."),
        *norm("Transformer/encoder_norm", "post_layernorm"),
    ]
    if config is None or config.patch_bias:
        rules += [Rule("embedding/bias", "embeddings.patch_embedding.bias")]
    if config is not None and config.class_token:
        rules += [Rule("cls", "embeddings.class_embedding", "d -> 1 1 d")]
    if config is not None and config.pre_norm:
        rules += norm("pre_norm", "pre_layrnorm")  # spelt so
    return within(rules, path, name)


def pooling_rules(path: str, name: str) -> list[Rule]:
    """The rules of `pool="map"`, whose query, key and value are one matrix in torch's attention."""
    attention = "MultiHeadDotProductAttention_0"
    rules = [
        Rule("probe", "probe"),
        *packed_heads(f"{attention}/", "attention.in_proj_weight", "attention.in_proj_bias"),
        *joined_heads(f"{attention}/out", "attention.out_proj"),
        *norm("LayerNorm_0", "layernorm"),
        *dense("MlpBlock_0/Dense_0", "mlp.fc1"),
        *dense("MlpBlock_0/Dense_1", "mlp.fc2"),
    ]
    return within(rules, f"{path}MAPHead_0/", f"{name}head.")


def config_from(config: Mapping[str, Any]) -> VisionConfig:
    """Returns the encoder that the `vision_config` of a `config.json` describes.

    Raises:
      UserError: it is no SigLIP's or asks for what isn't built here.
    """
    built = {"model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": _EPSILON}
    expect_config(config, built | {"num_channels": 3})
    return VisionConfig(**sizes_from(config, KEYS, *BASE), patch_size=config.get("patch_size", 16))


def to_config(config: VisionConfig, image_size: int) -> dict[str, Any]:
    """Undoes `config_from`."""
    return {
        "model_type": "siglip_vision_model",
        **sizes_to(config, KEYS),
        "patch_size": config.patch_size,
        "image_size": image_size,
        "num_channels": 3,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": _EPSILON,
        "vision_use_head": False,
    }
