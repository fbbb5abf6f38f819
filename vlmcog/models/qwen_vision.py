"""The vision tower of Qwen2-VL (https://arxiv.org/abs/2409.12191) and Qwen2.5-VL (https://arxiv.org/abs/2502.13923).

It takes images of any shape, cut into patches that come block by block: the four patches of a 2 x 2 block are
neighbours, and become one token in the end. Beside real patches there may be padding, which moves nothing.

    patch   0 1 | 4 5      of a grid of 2 x 4 patches
            2 3 | 6 7

Letters: b batch, p patches, n heads, h head size, d width, m merged tokens, c channel, t frame, y row, x column.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from vlmcog.models.activations import ACTIVATIONS
from vlmcog.models.attention import attend
from vlmcog.models.encoder import Mlp
from vlmcog.models.hugging_face import Rule, dense, gated_mlp, joined_heads, norm, packed_heads, within
from vlmcog.models.layers import Layer, Network, dropout, dtypes_of, split_batch, stack_layers
from vlmcog.models.llama import GatedMlp
from vlmcog.models.norms import LayerNorm, RMSNorm
from vlmcog.models.products import DENSE
from vlmcog.models.rope import frequencies, rotate

MERGE = 2  # patches a side of a block
FRAMES = 2  # a still image is shown twice
_WAVELENGTH = 10_000.0
_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class QwenVisionConfig:
    """A tower.

    Attributes:
      width: of its tokens.
      depth: blocks.
      mlp_dim: width of the MLP.
      num_heads: heads.
      patch_size: side of a patch in pixels.
      gated: RMSNorms and a gated SiLU MLP, as in 2.5; otherwise LayerNorms and a quick-GELU MLP.
      window: side in pixels of the windows that local blocks see; 0 where all blocks are global.
      full: which blocks are global, counted from 0, where there are windows.
    """

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    patch_size: int = 14
    gated: bool = False
    window: int = 0
    full: tuple[int, ...] = ()

    @property
    def block_pixels(self) -> int:
        """Side in pixels of what becomes one token."""
        return MERGE * self.patch_size

    def is_full(self, layer: int) -> bool:
        """Whether a block sees the whole image."""
        return not self.window or layer in self.full


class QwenVision(Network):
    """Patches to one token a 2 x 2 block, of the decoder's width."""

    config: QwenVisionConfig
    output_width: int

    @nn.compact
    def __call__(self, patches: Float[Array, "b p c t y x"], grid: Int[Array, "b 2"]) -> Float[Array, "b m d"]:
        """Tokens of images whose `grid` says how many rows and columns of patches are real, the first ones."""
        config, dtypes = self.config, dtypes_of(self)
        embed = nn.DenseGeneral(config.width, axis=(-4, -3, -2, -1), use_bias=False, **dtypes, name="embedding")
        place = _places(patches.shape[1], grid)
        masks = _masks(place, config)
        is_full = jnp.array([config.is_full(layer) for layer in range(config.depth)])
        blocks = stack_layers(_Block, depth=config.depth, scan=self.scan, remat=self.remat, n_broadcast=2)
        angles = _angles(place, config.width // config.num_heads)
        x, _ = blocks(config, self.dropout, **dtypes, name="blocks")(embed(patches), is_full, angles, masks)
        return self._merge(x)

    def _merge(self, x):
        dtypes = dtypes_of(self)
        x = _norm(self.config, dtypes, "merger_norm")(x)
        x = x.reshape(len(x), -1, MERGE**2 * self.config.width)
        common = {**DENSE, **dtypes}
        x = ACTIVATIONS["gelu"](nn.Dense(x.shape[-1], **common, name="merger_in")(x))
        return nn.Dense(self.output_width, **common, name="merger_out")(x)


class _Block(Layer):
    config: QwenVisionConfig
    dropout: float
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, is_full, angles, masks):
        config, dtypes = self.config, dtypes_of(self)
        drop = dropout(self)
        mask = jnp.where(is_full, *masks)
        x = split_batch(x)
        y = _norm(config, dtypes, "attention_norm")(x)
        x = x + drop(_Attention(config.num_heads, **dtypes, name="attention")(y, angles, mask))
        y = _norm(config, dtypes, "mlp_norm")(x)
        if config.gated:
            return x + drop(GatedMlp(config.mlp_dim, bias=True, **dtypes, name="mlp")(y)), None
        return x + drop(Mlp(config.mlp_dim, "quick_gelu", **dtypes, name="mlp")(y)), None


class _Attention(nn.Module):
    num_heads: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, angles, mask):
        width, common = x.shape[-1], {**DENSE, **dtypes_of(self)}
        heads = (self.num_heads, width // self.num_heads)
        query, key, value = (nn.DenseGeneral(heads, **common, name=name)(x) for name in ("query", "key", "value"))
        y = attend(rotate(query, angles), rotate(key, angles), value, mask)
        return nn.DenseGeneral(width, axis=(-2, -1), **common, name="out")(y)


def _norm(config: QwenVisionConfig, dtypes: dict, name: str) -> nn.Module:
    if config.gated:
        return RMSNorm(_EPSILON, plus_one=False, **dtypes, name=name)
    return LayerNorm(_EPSILON, **dtypes, name=name)


def _places(count: int, grid: Int[Array, "b 2"]) -> Int[Array, "b p 2"]:
    """Row and column of each patch, block by block; -1 for padding."""
    index = jnp.arange(count)[None]
    block, inner = index // MERGE**2, index % MERGE**2
    across = (grid[:, 1] // MERGE)[:, None]
    row = block // across * MERGE + inner // MERGE
    column = block % across * MERGE + inner % MERGE
    real = index < (grid[:, 0] * grid[:, 1])[:, None]
    return jnp.where(real[..., None], jnp.stack([row, column], axis=-1), -1)


def _masks(place: Int[Array, "b p 2"], config: QwenVisionConfig) -> tuple[Bool[Array, "b p p"], Bool[Array, "b p p"]]:
    """Which patches a patch sees in global blocks, and in local ones: those of its own window."""
    real = place[..., 0] >= 0
    everywhere = jnp.broadcast_to(real[:, None, :], (*real.shape, real.shape[1]))
    if not config.window:
        return everywhere, everywhere
    window = place // (config.window // config.patch_size)
    same = (window[:, :, None] == window[:, None, :]).all(axis=-1)
    return everywhere, everywhere & same


def _angles(place: Int[Array, "b p 2"], head_dim: int) -> Float[Array, "b p half"]:
    """Half of a head's frequencies turn with the row, half with the column."""
    turns = frequencies(head_dim // 4, _WAVELENGTH)
    angles = place[..., None].astype(jnp.float32) * turns[None, None, None]
    return angles.reshape(*place.shape[:2], -1)


def hugging_face(config: QwenVisionConfig, path: str, name: str) -> list[Rule]:
    """The rules of a tower's parameters: `path` before ours (`img/`), `name` before theirs (`visual.`)."""
    plain = [*dense("mlp/Dense_0", "mlp.fc1"), *dense("mlp/Dense_1", "mlp.fc2")]
    block = [
        *norm("attention_norm", "norm1", bias=not config.gated),
        *packed_heads("attention/", "attn.qkv.weight", "attn.qkv.bias"),
        *joined_heads("attention/out", "attn.proj"),
        *norm("mlp_norm", "norm2", bias=not config.gated),
        *(gated_mlp("mlp/", "mlp.", bias=True) if config.gated else plain),
    ]
    rules = [
        Rule("embedding/kernel", "patch_embed.proj.weight", "d c t y x -> c t y x d"),
        *within(block, "blocks/", "blocks.{layer}."),
        *norm("merger_norm", "merger.ln_q", bias=not config.gated),
        *dense("merger_in", "merger.mlp.0"),
        *dense("merger_out", "merger.mlp.2"),
    ]
    return within(rules, path, name)
