"""The transformer encoder of SigLIP's and CLIP's towers, with big_vision's parameter names.

Letters: b batch, t tokens, q queries, s keys, n heads, h head size, d width.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from vlmcog.models.activations import ACTIVATIONS
from vlmcog.models.attention import attend
from vlmcog.models.config import Activation, EncoderConfig
from vlmcog.models.hugging_face import Rule, dense, heads, joined_heads, norm, within
from vlmcog.models.layers import Layer, Network, dropout, dtypes_of, split_batch, stack_layers
from vlmcog.models.norms import LayerNorm
from vlmcog.models.products import DENSE

_XAVIER = nn.initializers.xavier_uniform()
_NEAR_ZERO = nn.initializers.normal(1e-6)


class Encoder(Network):
    """The blocks, and the norm after them.

    Without `final_norm` the tokens leave as they come from the last block; the norm, which public checkpoints hold all
    the same, stays a parameter.
    """

    config: EncoderConfig
    final_norm: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"], mask: Bool[Array, "b t t"] | None = None) -> Float[Array, "b t d"]:
        """Tokens to tokens; without a mask each sees all."""
        config, dtypes = self.config, dtypes_of(self)
        blocks = stack_layers(_EncoderBlock, depth=config.depth, scan=self.scan, remat=self.remat, n_broadcast=1)
        x, _ = blocks(config, self.dropout, **dtypes, name="encoderblock")(x, None, mask)
        normed = LayerNorm(config.epsilon, **dtypes, name="encoder_norm")(x)
        return normed if self.final_norm else x


class _EncoderBlock(Layer):
    config: EncoderConfig
    dropout: float
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, _, mask):
        config, dtypes = self.config, dtypes_of(self)
        drop, x = dropout(self), split_batch(x)
        y = LayerNorm(config.epsilon, **dtypes, name="LayerNorm_0")(x)
        y = MultiHeadAttention(config.num_heads, **dtypes, name="MultiHeadDotProductAttention_0")(y, y, mask)
        x = x + drop(y)
        y = LayerNorm(config.epsilon, **dtypes, name="LayerNorm_1")(x)
        y = Mlp(config.mlp_dim, config.activation, **dtypes, name="MlpBlock_0")(y)
        return x + drop(y), None


class MultiHeadAttention(nn.Module):
    """Attention from `x` to `seen`, with biases."""

    num_heads: int
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b q d"], seen: Float[Array, "b s d"], mask: Bool[Array, "b q s"] | None = None
    ) -> Float[Array, "b q d"]:
        """What each token of `x` gathers from the tokens of `seen`."""
        width = x.shape[-1]
        common = {"kernel_init": _XAVIER, **DENSE, **dtypes_of(self)}
        heads = (self.num_heads, width // self.num_heads)
        query = nn.DenseGeneral(heads, **common, name="query")(x)
        key, value = (nn.DenseGeneral(heads, **common, name=name)(seen) for name in ("key", "value"))
        return nn.DenseGeneral(width, axis=(-2, -1), **common, name="out")(attend(query, key, value, mask))


class Mlp(nn.Module):
    """Two dense layers with biases."""

    mlp_dim: int
    activation: Activation = "gelu_tanh"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Width to MLP width and back."""
        common = {
            "kernel_init": _XAVIER,
            "bias_init": _NEAR_ZERO,
            **DENSE,
            **dtypes_of(self),
        }
        y = ACTIVATIONS[self.activation](nn.Dense(self.mlp_dim, **common, name="Dense_0")(x))
        return nn.Dense(x.shape[-1], **common, name="Dense_1")(y)


def hugging_face(path: str, name: str) -> list[Rule]:
    """The rules of the blocks.

    Args:
      path: before our paths, such as `img/Transformer/encoderblock/`.
      name: before their names, such as `vision_model.encoder.layers.{layer}.`.
    """
    rules = [
        *norm("LayerNorm_0", "layer_norm1"),
        *heads("MultiHeadDotProductAttention_0/", "self_attn."),
        *joined_heads("MultiHeadDotProductAttention_0/out", "self_attn.out_proj"),
        *norm("LayerNorm_1", "layer_norm2"),
        *dense("MlpBlock_0/Dense_0", "mlp.fc1"),
        *dense("MlpBlock_0/Dense_1", "mlp.fc2"),
    ]
    return within(rules, path, name)
