"""The decoder of Llama and Qwen2: RMSNorm, rotary positions, grouped-query heads, a gated MLP (SwiGLU).

Letters: l layer, b batch, t queries, s keys, k key-value heads, h head size, d width, v vocabulary.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from vlmcog.models.activations import ACTIVATIONS
from vlmcog.models.attention import KeysValues, attend
from vlmcog.models.config import DecoderConfig
from vlmcog.models.hugging_face import Rule, gated_mlp, heads, joined_heads, within
from vlmcog.models.layers import Layer, Network, dropout, dtypes_of, split_batch, stack_layers
from vlmcog.models.norms import RMSNorm
from vlmcog.models.products import DENSE
from vlmcog.models.rope import rotate


@dataclasses.dataclass(frozen=True, kw_only=True)
class LlamaConfig(DecoderConfig):
    """A decoder.

    Attributes:
      qkv_bias: whether queries, keys and values have biases, as in Qwen2.
      epsilon: of the norms.
    """

    qkv_bias: bool = False
    epsilon: float = 1e-6
    tied: bool = False


class Llama(Network):
    """Embeddings in, hidden states out; `logits` reads them where they are needed."""

    config: LlamaConfig
    vocabulary_size: int

    def setup(self) -> None:
        """Names the parts."""
        dtypes = dtypes_of(self)
        layers = stack_layers(LlamaBlock, depth=self.config.depth, scan=self.scan, remat=self.remat, n_broadcast=3)
        self.embedder = nn.Embed(self.vocabulary_size, self.config.width, **dtypes)
        self.layers = layers(self.config, self.dropout, **dtypes)
        self.final_norm = RMSNorm(self.config.epsilon, plus_one=False, **dtypes)
        if not self.config.tied:
            self.head = head(self.vocabulary_size, **dtypes)

    def embed(self, tokens: Int[Array, "b t"]) -> Float[Array, "b t d"]:
        """Embeddings of tokens."""
        return self.embedder(tokens)

    def __call__(
        self,
        x: Float[Array, "b t d"],
        angles: Float[Array, "b t half"],
        mask: Bool[Array, "b t s"],
        past: KeysValues | None = None,
        slot: Int[Array, ""] | int = 0,
    ) -> tuple[Float[Array, "b t d"], KeysValues]:
        """Runs the layers on `x`, whose heads are rotated by `angles`.

        Without `past` the keys are those of `x` itself (s = t); with it, those of `x` are written into its slots from
        `slot` on and the mask runs over all its slots.
        """
        return self.layers(x, past, angles, mask, slot)

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Float32 logits of the next token, by the final norm and the head or, if tied, the embedding."""
        hidden = self.final_norm(hidden)
        return read_off(hidden, self.embedder.embedding.T) if self.config.tied else self.head(hidden)


def head(rows: int, **dtypes: Any) -> nn.Module:
    """The matrix that reads off the logits."""
    return _Head(rows, **dtypes)


def read_off(hidden: Float[Array, "*b d"], kernel: Float[Array, "d v"]) -> Float[Array, "*b v"]:
    """Float32 logits."""
    return jnp.einsum("...d,dv->...v", hidden, kernel.astype(hidden.dtype), preferred_element_type=jnp.float32)


class _Head(nn.Module):
    rows: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, hidden):
        shape = (hidden.shape[-1], self.rows)
        return read_off(hidden, self.param("kernel", nn.initializers.lecun_normal(), shape, self.param_dtype))


class LlamaBlock(Layer):
    """Self-attention and MLP, each after a norm."""

    config: LlamaConfig
    dropout: float
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, past, angles, mask, slot):
        """The block's tokens, and their keys and values among those of the past."""
        config, dtypes = self.config, dtypes_of(self)
        drop, x = dropout(self), split_batch(x)
        y = RMSNorm(config.epsilon, plus_one=False, **dtypes, name="attention_norm")(x)
        y, keys_values = _Attention(config, **dtypes, name="attention")(y, past, angles, mask, slot)
        x = x + drop(y)
        y = RMSNorm(config.epsilon, plus_one=False, **dtypes, name="mlp_norm")(x)
        return x + drop(GatedMlp(config.mlp_dim, **dtypes, name="mlp")(y)), keys_values


class _Attention(nn.Module):
    config: LlamaConfig
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, past, angles, mask, slot):
        config, dtypes = self.config, dtypes_of(self)
        common = {**DENSE, **dtypes}
        query, key, value = (
            nn.DenseGeneral((heads, config.head_dim), use_bias=config.qkv_bias, **common, name=name)(x)
            for name, heads in (
                ("query", config.num_heads),
                ("key", config.num_kv_heads),
                ("value", config.num_kv_heads),
            )
        )
        query, key = rotate(query, angles), rotate(key, angles)
        seen = KeysValues(key, value) if past is None else past.write(key, value, slot)
        y = attend(query, *seen, mask)
        return nn.DenseGeneral(config.width, axis=(-2, -1), use_bias=False, **common, name="out")(y), seen


class GatedMlp(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    mlp_dim: int
    dtype: DTypeLike
    param_dtype: DTypeLike
    bias: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Width to MLP width and back."""
        common = {"use_bias": self.bias, **DENSE, **dtypes_of(self)}
        gate = ACTIVATIONS["silu"](nn.Dense(self.mlp_dim, **common, name="gate")(x))
        up = nn.Dense(self.mlp_dim, **common, name="up")(x)
        return nn.Dense(x.shape[-1], **common, name="down")(gate * up)


def block_rules(config: LlamaConfig, path: str, name: str) -> list[Rule]:
    """The rules of a block's parameters."""
    rules = [
        Rule("attention_norm/scale", "input_layernorm.weight"),
        *heads("attention/", "self_attn.", bias=config.qkv_bias),
        *joined_heads("attention/out", "self_attn.o_proj", bias=False),
        Rule("mlp_norm/scale", "post_attention_layernorm.weight"),
        *gated_mlp("mlp/", "mlp.", bias=False),
    ]
    return within(rules, path, name)


def hugging_face(config: LlamaConfig, path: str, name: str, *, head: str) -> list[Rule]:
    """The rules of a decoder's parameters.

    Args:
      config: of the decoder.
      path: before our paths, such as `llm/`.
      name: before their names, such as `model.`.
      head: their name of the matrix that reads off the logits, where it isn't tied.
    """
    rules = [
        Rule("embedder/embedding", "embed_tokens.weight"),
        Rule("final_norm/scale", "norm.weight"),
        *block_rules(config, "layers/", "layers.{layer}."),
    ]
    return within(rules, path, name) + ([] if config.tied else [Rule(f"{path}head/kernel", head, "v d -> d v")])
