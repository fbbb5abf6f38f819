"""The Perceiver resampler of Flamingo (https://arxiv.org/abs/2204.14198): any number of image tokens to a few latents.

Letters: b images, s image tokens, r latents, n heads, h head size, d width.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vlmcog.models.attention import attend
from vlmcog.models.hugging_face import Rule, dense, heads, joined_heads, norm, within
from vlmcog.models.layers import dtypes_of, stack_layers
from vlmcog.models.norms import LayerNorm
from vlmcog.models.products import DENSE

_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class ResamplerConfig:
    """A resampler; its MLP is four times as wide as its tokens.

    Attributes:
      depth: blocks.
      num_latents: tokens that an image becomes.
      num_heads: heads.
      head_dim: width of a head.
      qk_norms: whether queries and keys are normalised.
    """

    depth: int
    num_latents: int
    num_heads: int
    head_dim: int
    qk_norms: bool = True


class Resampler(nn.Module):
    """Learned latents gather what an image's tokens say."""

    config: ResamplerConfig
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    scan: bool = False
    remat: bool = False

    @nn.compact
    def __call__(self, image: Float[Array, "b s d"]) -> Float[Array, "b r d"]:
        """The latents, of the image tokens' width."""
        config, dtypes = self.config, dtypes_of(self)
        shape = (config.num_latents, image.shape[-1])
        latents = self.param("latents", nn.initializers.normal(1.0), shape, self.param_dtype).astype(self.dtype)
        x = jnp.broadcast_to(latents[None], (len(image), *shape))
        blocks = stack_layers(_Block, depth=config.depth, scan=self.scan, remat=self.remat, n_broadcast=1)
        x, _ = blocks(config, **dtypes, name="blocks")(x, None, image)
        return LayerNorm(_EPSILON, **dtypes, name="final_norm")(x)


class _Block(nn.Module):
    config: ResamplerConfig
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, _, image):
        dtypes = dtypes_of(self)
        x = x + _Attention(self.config, **dtypes, name="attention")(x, image)
        y = LayerNorm(_EPSILON, **dtypes, name="mlp_norm")(x)
        common = {"use_bias": False, **DENSE, **dtypes}
        y = nn.relu(nn.Dense(4 * x.shape[-1], **common, name="mlp_in")(y))
        return x + nn.Dense(x.shape[-1], **common, name="mlp_out")(y), None


class _Attention(nn.Module):
    """From the latents to the image's tokens and the latents themselves."""

    config: ResamplerConfig
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, image):
        config, dtypes = self.config, dtypes_of(self)
        common = {"use_bias": False, **DENSE, **dtypes}
        heads = (config.num_heads, config.head_dim)
        latents = LayerNorm(_EPSILON, **dtypes, name="latents_norm")(x)
        seen = jnp.concatenate([LayerNorm(_EPSILON, **dtypes, name="image_norm")(image), latents], axis=1)
        query = nn.DenseGeneral(heads, **common, name="query")(latents)
        key, value = (nn.DenseGeneral(heads, **common, name=name)(seen) for name in ("key", "value"))
        if config.qk_norms:
            query = LayerNorm(_EPSILON, **dtypes, name="query_norm")(query)
            key = LayerNorm(_EPSILON, **dtypes, name="key_norm")(key)
        return nn.DenseGeneral(x.shape[-1], axis=(-2, -1), **common, name="out")(attend(query, key, value))


def hugging_face(config: ResamplerConfig, path: str, name: str) -> list[Rule]:
    """The rules of a resampler's parameters: `path` before ours, `name` before theirs."""
    attention = [
        *norm("image_norm", "context_layer_norm"),
        *norm("latents_norm", "latents_layer_norm"),
        *heads("", "", bias=False),
        *joined_heads("out", "output_proj", bias=False),
    ]
    if config.qk_norms:
        attention += [*norm("query_norm", "q_layer_norm"), *norm("key_norm", "k_layer_norm")]
    block = [
        *within(attention, "attention/", "0."),
        *norm("mlp_norm", "1.ln"),
        *dense("mlp_in", "1.fc", bias=False),
        *dense("mlp_out", "1.c_proj", bias=False),
    ]
    rules = [
        Rule("latents", "latents"),
        *within(block, "blocks/", "blocks.{layer}."),
        *norm("final_norm", "layer_norm"),
    ]
    return within(rules, path, name)
