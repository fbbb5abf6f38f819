"""Models that write: image and prefix in, answers out one token at a time. What every such family shares.

A family gives a Linen module with the methods of `GenerativeModule`; loss, scoring and replies are the same for all.

Letters: b batch, t text tokens, s cache slots, o options, a tokens of an option, v vocabulary, d width.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from vlmcog.models import hidden_states
from vlmcog.models.attention import options_mask
from vlmcog.models.boundary import Batch, Metrics, Params
from vlmcog.models.model import Model, on_device

_OF_SUFFIX = ("mask_ar", "mask_loss", "options", "options_mask")


class Past(Protocol):
    """What the layers remember of the tokens so far: a tree of arrays, with one slot a token."""

    def grow(self, slots: int) -> Any:
        """Adds empty slots at the end."""
        ...


class Reading(NamedTuple):
    """What a module makes of image and text.

    Attributes:
      hidden: states at the text's tokens.
      past: what its layers remember; its slots may outnumber the text's, as where image tokens have slots too.
      valid: which slots are real.
      next_position: that of the token after the last real one.
    """

    hidden: Float[Array, "b t d"]
    past: Any
    valid: Bool[Array, "b s"]
    next_position: Int[Array, " b"]


class GenerativeModule(Protocol):
    """The methods that a family's Linen module offers to `GenerativeModel`."""

    def read(self, batch: Mapping[str, Array]) -> Reading:
        """Reads image and text; `mask_ar` says what of the text is prefix, all of it where that key is absent."""
        ...

    def extend(
        self,
        text: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        mask: Bool[Array, "b t s"],
        past: Any,
        slot: Int[Array, ""] | int,
    ) -> tuple[Float[Array, "b t d"], Any]:
        """Hidden states at more text after what `past` remembers, which is written into its slots from `slot` on."""
        ...

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Float32 logits of the next token."""
        ...


class Cache(NamedTuple):
    """What a prefilled prefix leaves behind: see `Reading`; and the next token's logits."""

    past: Any
    valid: Bool[Array, "b s"]
    next_position: Int[Array, " b"]
    logits: Float[Array, "b v"]


class GenerativeModel(Model):
    """A model that writes, behind the boundary of `VisionLanguageModel`, which documents the methods."""

    @staticmethod
    def _touch(module: Any, batch: dict[str, Array]) -> Float[Array, "b t v"]:
        return module.logits(module.read(batch).hidden)

    def loss(self, params: Params, batch: Batch, rng: PRNGKeyArray | None = None) -> tuple[Float[Array, ""], Metrics]:
        """Loss = -sum(mask_loss * log p) / sum(mask_loss) over the whole batch, so every answer token weighs the same.

        Logits are computed at `suffix_length` tokens from the first of `mask_loss` on, which must hold the answer.
        """
        batch = on_device(batch)
        hidden = self._apply("read", params, batch, rng=rng).hidden
        where = jnp.argmax(batch["mask_loss"], axis=-1)[:, None] + jnp.arange(self.config.suffix_length)[None]
        weights = jnp.take_along_axis(batch["mask_loss"], where, axis=1, mode="fill", fill_value=False)
        targets = jnp.take_along_axis(batch["text"], where, axis=1, mode="clip")
        hidden = jnp.take_along_axis(hidden, where[..., None] - 1, axis=1, mode="clip")
        log_probability, right = self._read_off(params, hidden, targets)

        n_tokens = jnp.maximum(weights.sum(), 1).astype(jnp.float32)
        loss = -jnp.sum(log_probability, where=weights) / n_tokens
        accuracy = jnp.sum(right & weights).astype(jnp.float32) / n_tokens
        return loss, {"loss": loss, "accuracy": accuracy, "n_tokens": n_tokens}

    def _read_off(
        self, params: Params, hidden: Float[Array, "b a d"], targets: Int[Array, "b a"]
    ) -> tuple[Float[Array, "b a"], Bool[Array, "b a"]]:
        """The log-probability of each target, and whether it is the likeliest token."""

        def read(hidden: Array, targets: Array) -> tuple[Array, Array]:
            logits = self._apply("logits", params, hidden)
            chosen = _at(logits, targets)  # compared with the largest, since argmax counts along the whole vocabulary
            return chosen - jax.nn.logsumexp(logits, axis=-1), chosen == logits.max(axis=-1)

        if not self.config.loss_by_token:
            return read(hidden, targets)
        # Recomputed in the backward pass, so that no more than one token's logits are ever kept.
        by_token = jnp.swapaxes(hidden, 0, 1), targets.T
        log_probability, right = jax.lax.map(lambda token: jax.checkpoint(read)(*token), by_token)
        return log_probability.T, right.T

    def prefill(self, params: Params, prefix: Batch) -> Cache:
        """Reads image and prefix; the cache has one slot for each image token and each place of the text."""
        prefix = _prefix_of(prefix)
        reading = self._apply("read", params, prefix)
        hidden = hidden_states.at_last(reading.hidden, prefix["mask_input"])
        return Cache(reading.past, reading.valid, reading.next_position, self._apply("logits", params, hidden))

    def hidden_states(self, params: Params, prefix: Batch) -> dict[str, Float[Array, "l b d"]]:
        """`vision`, the mean over the image's tokens, and `language`, at the token that `prefill` reads logits off."""
        prefix = _prefix_of(prefix)
        valid, real = prefix["mask_input"], self._real_image_tokens(prefix)
        pools: dict[str, hidden_states.Pool] = {
            hidden_states.VISION: lambda x: hidden_states.mean_of_images(x, len(valid), real),
            hidden_states.LANGUAGE: lambda x: hidden_states.at_last(x, valid),
        }
        return hidden_states.keep(self.module, params, prefix, method="read", pools=pools)

    def _real_image_tokens(self, prefix: dict[str, Array]) -> Bool[Array, "b n"] | None:
        """Which of the tower's tokens are real, in a family that pads them."""
        del prefix

    def score(self, params: Params, batch: Batch) -> Float[Array, "b o"]:
        """Log-probability of each option; all options run side by side in one pass over one cached prefix."""
        batch = on_device(batch)
        cache = self.prefill(params, batch)
        options, real = batch["options"], batch["options_mask"]
        first = _log_probability(cache.logits[:, None], options[..., 0])
        rest = self._score_rest(params, cache, options, real)
        log_probability = jnp.concatenate([first[..., None], rest], axis=-1)
        total = jnp.sum(log_probability, axis=-1, where=real)
        return jnp.where(real.any(axis=-1), total, -jnp.inf)

    def _score_rest(self, params, cache: Cache, options, real) -> Float[Array, "b o a"]:
        """Log-probability of each option's tokens after its first, which the prefix alone predicts."""
        fed, n_batch = options[..., :-1], len(options)
        positions = cache.next_position[:, None, None] + jnp.arange(fed.shape[-1])[None, None]
        positions = jnp.broadcast_to(positions, fed.shape).reshape(n_batch, -1)
        mask = options_mask(cache.valid, real[..., :-1])
        past, slot = cache.past.grow(positions.shape[1]), cache.valid.shape[1]
        hidden, _ = self._apply("extend", params, fed.reshape(n_batch, -1), positions, mask, past, slot)
        logits = self._apply("logits", params, hidden)
        return _log_probability(logits, options[..., 1:].reshape(n_batch, -1)).reshape(fed.shape)

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
        """Replies token by token until all have stopped; `temperature`, above 0 with `rng`, and `top_p` are static."""
        if temperature > 0 and rng is None:
            raise ValueError("sampling at a temperature above 0 needs rng")
        cache = self.prefill(params, batch)
        n_slots, pad = cache.valid.shape[1], self.processor.tokenizer.pad
        valid = jnp.pad(cache.valid, ((0, 0), (0, max_tokens)))
        slots = jnp.arange(valid.shape[1])[None]

        def step(state):
            index, past, logits, done, tokens = state
            chosen = choose(logits, temperature, top_p, None if rng is None else jax.random.fold_in(rng, index))
            token = jnp.where(done, pad, chosen)
            slot = n_slots + index
            mask = valid | ((slots >= n_slots) & (slots <= slot))
            positions = (cache.next_position + index)[:, None]
            hidden, past = self._apply("extend", params, token[:, None], positions, mask[:, None], past, slot)
            done = done | jnp.isin(token, jnp.array(self.processor.stop_tokens, token.dtype))
            tokens = jax.lax.dynamic_update_slice_in_dim(tokens, token[:, None], index, axis=1)
            return index + 1, past, self._apply("logits", params, hidden[:, 0]), done, tokens

        n_batch = len(cache.valid)
        tokens = jnp.full((n_batch, max_tokens), pad, jnp.int32)
        start = (jnp.int32(0), cache.past.grow(max_tokens), cache.logits, jnp.zeros(n_batch, bool), tokens)
        return jax.lax.while_loop(lambda state: (state[0] < max_tokens) & ~state[3].all(), step, start)[-1]


def _prefix_of(batch: Batch) -> dict[str, Array]:
    return on_device({key: batch[key] for key in batch if key not in _OF_SUFFIX})


def put_image(
    text: Float[Array, "b t d"], image: Float[Array, "b n d"], where: Bool[Array, "b t"]
) -> Float[Array, "b t d"]:
    """The text's embeddings with the image's tokens, in order, at their places; tokens without a place are left out."""
    index = jnp.maximum(jnp.cumsum(where, axis=-1) - 1, 0)
    return jnp.where(where[..., None], jnp.take_along_axis(image, index[..., None], axis=1, mode="clip"), text)


def choose(logits: Float[Array, "b v"], temperature: float, top_p: float, rng: PRNGKeyArray | None) -> Int[Array, " b"]:
    """The next token: the likeliest at temperature 0, otherwise drawn from the likeliest that hold `top_p` together."""
    if temperature == 0 or rng is None:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    logits = logits / temperature
    if top_p < 1:
        ordered = -jnp.sort(-logits, axis=-1)
        before = jnp.cumsum(jax.nn.softmax(ordered, axis=-1), axis=-1) - jax.nn.softmax(ordered, axis=-1)
        least = jnp.min(ordered, axis=-1, where=before < top_p, initial=jnp.inf, keepdims=True)
        logits = jnp.where(logits >= least, logits, -jnp.inf)
    return jax.random.categorical(rng, logits).astype(jnp.int32)


def _log_probability(logits: Float[Array, "*#b v"], tokens: Int[Array, "*#b"]) -> Float[Array, "*#b"]:
    return _at(logits, tokens) - jax.nn.logsumexp(logits, axis=-1)


def _at(logits: Float[Array, "*#b v"], tokens: Int[Array, "*#b"]) -> Float[Array, "*#b"]:
    return jnp.take_along_axis(logits, tokens[..., None], axis=-1, mode="clip")[..., 0]
