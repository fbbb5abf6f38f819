"""PaliGemma (https://arxiv.org/abs/2407.07726): SigLIP's image tokens before Gemma's text, as one prefix-LM.

Letters: b batch, t text tokens, s cache slots, o options, a tokens of an option, v vocabulary, d width.
"""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from vlmcog.errors import UserError
from vlmcog.models.attention import options_mask, prefix_lm_mask
from vlmcog.models.boundary import Batch, Metrics, Params
from vlmcog.models.config import ModelConfig, Size
from vlmcog.models.gemma import Gemma, KeysValues
from vlmcog.models.layers import dtypes_of
from vlmcog.models.processor import Processor
from vlmcog.models.siglip import VisionTransformer
from vlmcog.models.tokenizer import EOS, PAD, Tokenizer


class PaliGemmaModule(nn.Module):
    """The two networks joined; `vocabulary_size` and `networks` fix every parameter's shape but the image's."""

    networks: Size
    vocabulary_size: int
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    scan: bool = False
    remat: bool = False

    def setup(self) -> None:
        """Names the two networks as big_vision does."""
        common = {"dropout": self.dropout, "scan": self.scan, "remat": self.remat, **dtypes_of(self)}
        self.img = VisionTransformer(self.networks.vision, self.networks.decoder.width, **common)
        self.llm = Gemma(self.networks.decoder, self.vocabulary_size, **common)

    def __call__(
        self,
        image: Float[Array, "b h w 3"],
        text: Int[Array, "b t"],
        mask_ar: Int[Array, "b t"],
        mask_input: Bool[Array, "b t"],
    ) -> tuple[Float[Array, "b t d"], KeysValues]:
        """Hidden states at the text's tokens; keys and values of image and text."""
        return self.join(self.img(image), text, mask_ar, mask_input)

    def join(
        self,
        image_tokens: Float[Array, "b n d"],
        text: Int[Array, "b t"],
        mask_ar: Int[Array, "b t"],
        mask_input: Bool[Array, "b t"],
    ) -> tuple[Float[Array, "b t d"], KeysValues]:
        """The same, given the image's tokens: they come first, unscaled and as part of the prefix."""
        n_image = image_tokens.shape[1]
        x = jnp.concatenate([image_tokens, self.llm.embed(text)], axis=1)
        mask_ar = _before(mask_ar, n_image, 0)
        mask_input = _before(mask_input, n_image, True)
        hidden, keys_values = self.llm(x, _positions(mask_input), prefix_lm_mask(mask_ar, mask_input))
        return hidden[:, n_image:], keys_values

    def extend(
        self,
        text: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        mask: Bool[Array, "b t s"],
        past: KeysValues,
        slot: Int[Array, ""] | int,
    ) -> tuple[Float[Array, "b t v"], KeysValues]:
        """Logits at more text after what `past` remembers, which is written into its slots from `slot` on."""
        hidden, past = self.llm(self.llm.embed(text), positions, mask, past, slot)
        return self.llm.logits(hidden), past

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Logits of the next token, at the hidden states where they are needed."""
        return self.llm.logits(hidden)

    def init_all(self, image, text, mask_ar, mask_input):
        """Touches every parameter."""
        return self.logits(self(image, text, mask_ar, mask_input)[0])


class Cache(NamedTuple):
    """What a prefilled prefix leaves behind: its keys and values, which slots are real, the next token's logits."""

    past: KeysValues
    valid: Bool[Array, "b s"]
    logits: Float[Array, "b v"]


@dataclasses.dataclass(frozen=True, eq=False)
class PaliGemma:
    """PaliGemma behind the boundary of `VisionLanguageModel`, which documents the methods."""

    name: str
    config: ModelConfig
    module: PaliGemmaModule
    processor: Processor

    def init(self, rng: PRNGKeyArray) -> Params:
        """Fresh parameters, as big_vision starts them but for positions and image projection (see `siglip`)."""
        image = jnp.zeros((1, self.config.image_size, self.config.image_size, 3), jnp.float32)
        text = jnp.zeros((1, 2), jnp.int32)
        # The rolled loop makes the same parameters and compiles in a fraction of the time.
        module = self.module.clone(scan=True)
        return dict(module.init(rng, image, text, text, text == 0, method="init_all")["params"])

    def loss(self, params: Params, batch: Batch, rng: PRNGKeyArray | None = None) -> tuple[Float[Array, ""], Metrics]:
        """Loss = -sum(mask_loss * log p) / sum(mask_loss) over the whole batch, so every answer token weighs the same.

        Logits are computed at `suffix_length` tokens from the first of `mask_loss` on, which must hold the answer.
        """
        batch = _on_device(batch)
        inputs = (batch[key] for key in ("image", "text", "mask_ar", "mask_input"))
        hidden, _ = self._apply("__call__", params, *inputs, rng=rng)
        where = jnp.argmax(batch["mask_loss"], axis=-1)[:, None] + jnp.arange(self.config.suffix_length)[None]
        weights = jnp.take_along_axis(batch["mask_loss"], where, axis=1, mode="fill", fill_value=False)
        targets = jnp.take_along_axis(batch["text"], where, axis=1, mode="clip")
        hidden = jnp.take_along_axis(hidden, where[..., None] - 1, axis=1, mode="clip")
        logits = self._apply("logits", params, hidden)

        n_tokens = jnp.maximum(weights.sum(), 1).astype(jnp.float32)
        loss = -jnp.sum(_log_probability(logits, targets), where=weights) / n_tokens
        right = jnp.argmax(logits, axis=-1) == targets
        accuracy = jnp.sum(right & weights).astype(jnp.float32) / n_tokens
        return loss, {"loss": loss, "accuracy": accuracy, "n_tokens": n_tokens}

    def prefill(self, params: Params, prefix: Batch) -> Cache:
        """Reads image and prefix; the cache has one slot for each image token and each place of the text."""
        prefix = _on_device(prefix)
        text, mask_input = prefix["text"], prefix["mask_input"]
        hidden, past = self._apply("__call__", params, prefix["image"], text, jnp.zeros_like(text), mask_input)
        last = mask_input.sum(axis=-1)[:, None, None] - 1
        hidden = jnp.take_along_axis(hidden, last, axis=1, mode="clip")[:, 0]
        valid = _before(mask_input, past.keys.shape[2] - text.shape[1], True)
        return Cache(past, valid, self._apply("logits", params, hidden))

    def score(self, params: Params, batch: Batch) -> Float[Array, "b o"]:
        """Log-probability of each option; all options run side by side in one pass over one cached prefix."""
        batch = _on_device(batch)
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
        positions = cache.valid.sum(axis=-1)[:, None, None] + jnp.arange(fed.shape[-1])[None, None]
        positions = jnp.broadcast_to(positions, fed.shape).reshape(n_batch, -1)
        mask = options_mask(cache.valid, real[..., :-1])
        past, slot = _grow(cache.past, positions.shape[1]), cache.valid.shape[1]
        logits, _ = self._apply("extend", params, fed.reshape(n_batch, -1), positions, mask, past, slot)
        return _log_probability(logits, options[..., 1:].reshape(n_batch, -1)).reshape(fed.shape)

    def generate(
        self,
        params: Params,
        batch: Batch,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        rng: PRNGKeyArray | None = None,
    ) -> Int[Array, "b n"]:
        """Replies token by token; `temperature` is static and needs `rng` where it is above 0."""
        if temperature > 0 and rng is None:
            raise ValueError("sampling at a temperature above 0 needs rng")
        cache = self.prefill(params, batch)
        n_read, n_slots = cache.valid.sum(axis=-1), cache.valid.shape[1]
        valid = jnp.pad(cache.valid, ((0, 0), (0, max_tokens)))
        slots = jnp.arange(valid.shape[1])[None]

        def step(carry, index):
            past, logits, done = carry
            token = jnp.where(done, PAD, _choose(logits, temperature, rng, index))
            slot = n_slots + index
            mask = valid | ((slots >= n_slots) & (slots <= slot))
            positions = (n_read + index)[:, None]
            logits, past = self._apply("extend", params, token[:, None], positions, mask[:, None], past, slot)
            return (past, logits[:, 0], done | (token == EOS)), token

        start = (_grow(cache.past, max_tokens), cache.logits, jnp.zeros(n_read.shape, bool))
        _, tokens = jax.lax.scan(step, start, jnp.arange(max_tokens))
        return tokens.T

    def _apply(self, method: str, params: Params, *args, rng: PRNGKeyArray | None = None) -> Any:
        rngs = None if rng is None else {"dropout": rng}
        return self.module.apply({"params": params}, *args, method=method, rngs=rngs)


def build(config: ModelConfig) -> PaliGemma:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary can't be read or has more pieces than the model has rows.
    """
    tokenizer = Tokenizer(config.vocabulary)
    rows = config.networks.vocabulary_size or tokenizer.vocab_size
    if tokenizer.vocab_size > rows:
        raise UserError(
            f"model.vocabulary: {tokenizer.path} has {tokenizer.vocab_size} pieces but size {config.size!r} has "
            f"{rows} rows; use a smaller vocabulary or another size"
        )
    module = PaliGemmaModule(
        networks=config.networks,
        vocabulary_size=rows,
        dropout=config.dropout,
        dtype=jnp.dtype(config.compute_dtype),
        param_dtype=jnp.dtype(config.parameter_dtype),
        scan=config.scan,
        remat=config.remat,
    )
    processor = Processor(tokenizer, config.image_size, config.prefix_length, config.suffix_length)
    return PaliGemma(f"{config.family}-{config.size}", config, module, processor)


def _before(mask: Array, n_image: int, value: int | bool) -> Array:
    """The mask of image and text, from the text's: image tokens are real and belong to the prefix."""
    return jnp.pad(mask, ((0, 0), (n_image, 0)), constant_values=value)


def _positions(mask_input: Bool[Array, "b t"]) -> Int[Array, "b t"]:
    """Positions count real tokens only, so padding moves nothing."""
    return jnp.maximum(jnp.cumsum(mask_input, axis=-1) - 1, 0)


def _on_device(batch: Batch) -> dict[str, Array]:
    return {key: jnp.asarray(value) for key, value in batch.items()}


def _log_probability(logits: Float[Array, "*#b v"], tokens: Int[Array, "*#b"]) -> Float[Array, "*#b"]:
    chosen = jnp.take_along_axis(logits, tokens[..., None], axis=-1, mode="clip")[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def _grow(past: KeysValues, slots: int) -> KeysValues:
    return KeysValues(*(jnp.pad(x, ((0, 0), (0, 0), (0, slots), (0, 0), (0, 0))) for x in past))


def _choose(logits: Float[Array, "b v"], temperature: float, rng: PRNGKeyArray | None, index) -> Int[Array, " b"]:
    if temperature == 0 or rng is None:
        return jnp.argmax(logits, axis=-1)
    return jax.random.categorical(jax.random.fold_in(rng, index), logits / temperature)
