"""The text tower of SigLIP and CLIP: a sentence to one vector, with big_vision's parameter names.

Letters: n sentences, t tokens, d width.
"""

import dataclasses
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vlmcog.models import encoder
from vlmcog.models.config import EncoderConfig
from vlmcog.models.encoder import Encoder
from vlmcog.models.hugging_face import Rule, dense, norm, within
from vlmcog.models.layers import Network, computing, dtypes_of
from vlmcog.models.products import DENSE


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig(EncoderConfig):
    """A text tower; the defaults are SigLIP's.

    Attributes:
      length: places of a sentence, padding included.
      causal: whether a token sees only those before it.
      pool: which token stands for the sentence: the `last` place, padding or not, or the first end-of-text (`eos`).
      output_bias: whether the projection has a bias.
    """

    length: int = 64
    causal: bool = False
    pool: Literal["last", "eos"] = "last"
    output_bias: bool = True


class TextTransformer(Network):
    """Sentences to vectors of `output_width`. No token is masked: SigLIP reads its padding, as it was trained to."""

    config: TextConfig
    vocabulary_size: int
    eos: int
    output_width: int

    @nn.compact
    def __call__(self, text: Int[Array, "n t"]) -> Float[Array, "n d"]:
        """The sentences' vectors; t is the config's length."""
        config, dtypes = self.config, dtypes_of(self)
        x = nn.Embed(self.vocabulary_size, config.width, **dtypes, name="Embed_0")(text)
        init = nn.initializers.normal(config.width**-0.5)
        positions = self.param("pos_embedding", init, (1, config.length, config.width), self.param_dtype)
        x = x + jnp.broadcast_to(positions.astype(self.dtype), x.shape)
        mask = jnp.tril(jnp.ones((len(text), config.length, config.length), bool)) if config.causal else None
        x = Encoder(config, **computing(self), name="Encoder_0")(x, mask)
        x = x[:, -1] if config.pool == "last" else _at_first(x, text == self.eos)
        return nn.Dense(self.output_width, config.output_bias, **dtypes, **DENSE, name="head")(x)


def _at_first(x: Float[Array, "n t d"], where: Array) -> Float[Array, "n d"]:
    return jnp.take_along_axis(x, jnp.argmax(where, axis=-1)[:, None, None], axis=1, mode="clip")[:, 0]


def hugging_face(path: str, name: str, *, head: str, head_bias: bool) -> list[Rule]:
    """The rules of a text tower's parameters.

    Args:
      path: before our paths, such as `txt/`.
      name: before their names, such as `text_model.`.
      head: their name of the projection.
      head_bias: whether it has a bias.
    """
    rules = [
        Rule("Embed_0/embedding", "embeddings.token_embedding.weight"),
        Rule("pos_embedding", "embeddings.position_embedding.weight", "n d -> 1 n d"),
        *encoder.hugging_face("Encoder_0/encoderblock/", "encoder.layers.{layer}."),
        *norm("Encoder_0/encoder_norm", "final_layer_norm"),
    ]
    return [*within(rules, path, name), *dense(f"{path}head", head, bias=head_bias)]
