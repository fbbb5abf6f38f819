"""The boundary of section "models": training and evaluation see a model only through these signatures.

A batch is a mapping of stacked arrays, in big_vision's words, made by the model's processor:

    image        float32 [b, h, w, 3]  in [-1, 1]
    text         int32   [b, t]        bos + question + line feed + answer + eos + padding
    mask_ar      int32   [b, t]        0 in the prefix (seen both ways), 1 in the suffix (causal)
    mask_input   bool    [b, t]        a real token, not padding
    mask_loss    bool    [b, t]        a token of the answer, its eos included

To score options, `text` and `mask_input` hold the prefix alone, and

    options       int32  [b, o, s]     each option's answer + eos + padding
    options_mask  bool   [b, o, s]     a real token of the option
"""

from collections.abc import Mapping
from typing import Any, Protocol

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from vlmcog.models.config import ModelConfig
from vlmcog.models.hugging_face import Layout
from vlmcog.models.processor import Processor

Params = dict[str, Any]
Batch = Mapping[str, Array | np.ndarray]
Metrics = dict[str, Float[Array, ""]]


class VisionLanguageModel(Protocol):
    """An image-and-text model; every method is pure, has static shapes and can be jitted.

    A family that writes text is a `generative.GenerativeModel` around its own module, and gets the methods there.
    """

    @property
    def name(self) -> str:
        """Family and size, such as `paligemma-tiny`."""
        ...

    @property
    def config(self) -> ModelConfig:
        """What the model was built from."""
        ...

    @property
    def module(self) -> nn.Module:
        """The Linen module whose parameters the methods take."""
        ...

    @property
    def processor(self) -> Processor:
        """Turns images and text into a batch's examples; imports no jax, so input workers may hold it."""
        ...

    @property
    def hugging_face(self) -> Layout:
        """Ties the parameters to Hugging Face's names, shapes and `config.json`."""
        ...

    def init(self, rng: PRNGKeyArray) -> Params:
        """Fresh parameters; `jax.eval_shape(model.init, rng)` gives their shapes and dtypes alone."""
        ...

    def loss(self, params: Params, batch: Batch, rng: PRNGKeyArray | None = None) -> tuple[Float[Array, ""], Metrics]:
        """Mean cross-entropy in nats over all answer tokens of the batch; `rng` switches dropout on.

        The metrics are `loss`, `accuracy` (share of answer tokens whose argmax is right) and `n_tokens`.
        """
        ...

    def prefill(self, params: Params, prefix: Batch) -> Any:
        """Reads image and prefix (`text`, `mask_input`) once; returns a cache that options and replies extend."""
        ...

    def hidden_states(self, params: Params, prefix: Batch) -> dict[str, Float[Array, "l b d"]]:
        """What each network holds of image and prefix, float32: first what enters its layers, then what leaves each.

        `vision` is the mean over the image's tokens. `language`, where a family has a decoder, is at the prefix's last
        token, off which the answer's first is read: its last row, put through the module's `logits`, is what `prefill`
        predicts. States are those that layers add to, before any norm. (The `l` of the two need not be equal.)
        """
        ...

    def score(self, params: Params, batch: Batch) -> Float[Array, "b o"]:
        """Log-probability of each option (sum over its tokens, eos included) given image and prefix.

        An option without a single real token has log-probability -inf, so that a batch may pad its options.
        """
        ...

    def generate(
        self,
        params: Params,
        batch: Batch,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        rng: PRNGKeyArray | None = None,
    ) -> Int[Array, "b n"]:
        """Replies to image and prefix: `max_tokens` token ids, padding after the one that ends the reply.

        Greedy at temperature 0; above it, drawn with `rng` from the likeliest tokens that hold `top_p` together.
        """
        ...
