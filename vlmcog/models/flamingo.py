"""Flamingo (https://arxiv.org/abs/2204.14198), as IDEFICS reproduces it (https://arxiv.org/abs/2306.16527).

A frozen language model looks at images through new layers: before every n-th of its blocks, gated attention to what a
resampler makes of a frozen vision tower's tokens. The gates start closed, so that at first it is the language model.
A text may hold several images; each of its tokens looks at the latest image before it.

Letters: b batch, m images, t text tokens, s cache slots, r latents of an image, n heads, h head size, d width,
v vocabulary.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from vlmcog.errors import UserError
from vlmcog.models import image_encoder, images, llama, resampler
from vlmcog.models.attention import KeysValues, attend, positions_of, prefix_lm_mask
from vlmcog.models.config import ModelConfig, VisionConfig
from vlmcog.models.generative import GenerativeModel, Reading
from vlmcog.models.hugging_face import (
    KEYS,
    Layout,
    Rule,
    expect_config,
    gated_mlp,
    heads,
    joined_heads,
    sizes_from,
    sizes_to,
    within,
)
from vlmcog.models.image_encoder import VisionTransformer, vision
from vlmcog.models.layers import Network, computing, computing_as, dropout, dtypes_of, stack_layers
from vlmcog.models.llama import GatedMlp, LlamaBlock, LlamaConfig
from vlmcog.models.norms import RMSNorm
from vlmcog.models.processor import Example, Processor
from vlmcog.models.products import DENSE
from vlmcog.models.resampler import Resampler, ResamplerConfig
from vlmcog.models.rope import frequencies
from vlmcog.models.tokenizer import Tokenizer, check_rows, open_tokenizer

N_EXTRA = 2  # tokens of its own: a mark around images, and the image's placeholder


@dataclasses.dataclass(frozen=True)
class FlamingoNetworks:
    """The networks of a size.

    Attributes:
      vision: the image's tower, read before its last norm.
      resampler: what shortens its tokens.
      decoder: the language model.
      interval: every so-manieth block of it has gated attention to images before it, the first one included.
      qk_norms: whether that attention normalises queries and keys.
      gate: whether a gate is one number or one a channel.
      vocabulary_size: rows of the language model's embedding, before the two of its own; 0 for the tokenizer's pieces.
    """

    vision: VisionConfig
    resampler: ResamplerConfig
    decoder: LlamaConfig
    interval: int
    qk_norms: bool = True
    gate: Literal["float", "vector"] = "float"
    vocabulary_size: int = 0

    @property
    def image_multiple(self) -> int:
        """An image is cut into whole patches."""
        return self.vision.patch_size


_VISION = image_encoder.CLIP | {"activation": "gelu", "epsilon": 1e-5}
_VISION_KEYS = KEYS | {"width": "embed_dim", "patch_size": "patch_size"}
_HUGE = vision((1280, 32, 5120, 16), 14, **_VISION)
_RESAMPLER = ResamplerConfig(depth=6, num_latents=64, num_heads=16, head_dim=96)
SIZES = {
    "nano": FlamingoNetworks(
        vision((32, 2, 64, 2), 8, **_VISION),
        ResamplerConfig(depth=1, num_latents=4, num_heads=2, head_dim=8),
        LlamaConfig(width=32, depth=2, mlp_dim=64, num_heads=2, num_kv_heads=2, head_dim=16),
        interval=1,
    ),
    "tiny": FlamingoNetworks(
        vision((192, 4, 768, 4), 16, **_VISION),
        ResamplerConfig(depth=2, num_latents=16, num_heads=4, head_dim=48),
        LlamaConfig(width=128, depth=4, mlp_dim=256, num_heads=4, num_kv_heads=4, head_dim=32),
        interval=2,
    ),
    "9b": FlamingoNetworks(
        _HUGE,
        _RESAMPLER,
        LlamaConfig(width=4096, depth=32, mlp_dim=11_008, num_heads=32, num_kv_heads=32, head_dim=128),
        interval=4,
        vocabulary_size=32_000,
    ),
}
HUGGING_FACE = ("idefics",)
IN_BIG_VISION = False
_MARKERS = {"pad": "<unk>", "eos": "</s>", "bos": "<s>"}


def trainable(config: ModelConfig) -> tuple[tuple[str, bool], ...]:
    """What is new in a Flamingo learns; the vision tower and the language model stay as they are."""
    del config
    return ((r"(resampler|groups/cross|extra_embedder|extra_head)/.*", True), (".*", False))


class FlamingoModule(Network):
    """The networks joined."""

    networks: FlamingoNetworks
    vocabulary_size: int

    def setup(self) -> None:
        """Names the parts."""
        nets, dtypes = self.networks, dtypes_of(self)
        run = {"scan": self.scan, "remat": self.remat}
        n_groups, width = nets.decoder.depth // nets.interval, nets.decoder.width
        groups = stack_layers(_Group, depth=n_groups, **run, n_broadcast=5)
        self.img = VisionTransformer(nets.vision, 0, final_norm=False, **computing(self))
        self.resampler = Resampler(nets.resampler, **run, **dtypes)
        self.embedder = nn.Embed(self.vocabulary_size, width, **dtypes)
        self.extra_embedder = nn.Embed(N_EXTRA, width, **dtypes)
        self.groups = groups(nets, self.dropout, **dtypes)
        self.final_norm = RMSNorm(nets.decoder.epsilon, plus_one=False, **dtypes)
        self.head = llama.head(self.vocabulary_size, **dtypes)
        self.extra_head = llama.head(N_EXTRA, **dtypes)

    def read(self, batch: Mapping[str, Array]) -> Reading:
        """Hidden states at the text's tokens; `image` is one, [b, h, w, 3], or several, [b, m, h, w, 3]."""
        text, valid = batch["text"], batch["mask_input"]
        latents = self._look(batch["image"])
        place = latest_image(text == self.vocabulary_size + 1, valid)
        mask = prefix_lm_mask(jnp.ones_like(text), valid)
        hidden, keys_values = self._run(text, positions_of(valid), mask, latents, place, None, 0)
        return Reading(hidden, Past(keys_values, latents, place.max(axis=-1)), valid, valid.sum(axis=-1))

    def extend(
        self,
        text: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        mask: Bool[Array, "b t s"],
        past: "Past",
        slot: Int[Array, ""] | int,
    ) -> tuple[Float[Array, "b t d"], "Past"]:
        """Hidden states at more text, which looks at the last image; see `GenerativeModule`."""
        place = jnp.broadcast_to(past.image[:, None], text.shape)
        hidden, keys_values = self._run(text, positions, mask, past.latents, place, past.keys_values, slot)
        return hidden, past._replace(keys_values=keys_values)

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Logits of the next token, at the hidden states where they are needed."""
        hidden = self.final_norm(hidden)
        return jnp.concatenate([self.head(hidden), self.extra_head(hidden)], axis=-1)

    def _look(self, image: Float[Array, "b *m h w 3"]) -> Float[Array, "b m r d"]:
        pictures = image.reshape(-1, *image.shape[-3:])
        latents = self.resampler(self.img(pictures))
        return latents.reshape(len(image), -1, *latents.shape[1:])

    def _run(self, text, positions, mask, latents, place, past, slot):
        turns = frequencies(self.networks.decoder.head_dim // 2, self.networks.decoder.wavelength)
        angles = positions[..., None].astype(jnp.float32) * turns[None, None]
        n_images, n_latents = latents.shape[1:3]
        seen = place[..., None] == jnp.arange(n_images)[None, None]
        seen = jnp.repeat(seen, n_latents, axis=-1)
        latents = latents.reshape(len(latents), n_images * n_latents, -1)
        return self.groups(self._embed(text), past, latents, seen, angles, mask, slot)

    def _embed(self, text: Int[Array, "b t"]) -> Float[Array, "b t d"]:
        extra = text - self.vocabulary_size
        own = self.extra_embedder(jnp.clip(extra, 0, N_EXTRA - 1))
        return jnp.where((extra >= 0)[..., None], own, self.embedder(jnp.minimum(text, self.vocabulary_size - 1)))


class Past(NamedTuple):
    """What is remembered: keys and values of each block of a group, the images' latents, the last image's place."""

    keys_values: tuple[KeysValues, ...]
    latents: Float[Array, "b m r d"]
    image: Int[Array, " b"]

    def grow(self, slots: int) -> "Past":
        """Adds empty slots at the end."""
        return self._replace(keys_values=tuple(part.grow(slots) for part in self.keys_values))


def latest_image(is_image: Bool[Array, "b t"], valid: Bool[Array, "b t"]) -> Int[Array, "b t"]:
    """The place of the latest image at each token, -1 before the first.

    text    a  [image]  b  c  [image]  d
           -1     0     0  0     1     1
    """
    return jnp.cumsum(is_image & valid, axis=-1) - 1


class _Group(nn.Module):
    """Gated attention to images, then `interval` blocks of the language model."""

    networks: FlamingoNetworks
    dropout: float
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, past, latents, seen, angles, mask, slot):
        dtypes, kept = dtypes_of(self), []
        x = _GatedBlock(self.networks, self.dropout, **dtypes, name="cross")(x, latents, seen)
        for index in range(self.networks.interval):
            block = LlamaBlock(self.networks.decoder, self.dropout, **dtypes, name=f"block_{index}")
            x, keys_values = block(x, past and past[index], angles, mask, slot)
            kept.append(keys_values)
        return x, tuple(kept)


class _GatedBlock(nn.Module):
    """Attention to the latest image and an MLP, each let in by the tanh of a gate."""

    networks: FlamingoNetworks
    dropout: float
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, latents, seen):
        decoder, dtypes = self.networks.decoder, dtypes_of(self)
        drop = dropout(self)
        y = RMSNorm(decoder.epsilon, plus_one=False, **dtypes, name="attention_norm")(x)
        y = _CrossAttention(self.networks, **dtypes, name="attention")(y, latents, seen)
        y = jnp.where(seen.any(axis=-1)[..., None], drop(y), jnp.zeros_like(y))
        x = x + self._gate("attention_gate", y)
        y = RMSNorm(decoder.epsilon, plus_one=False, **dtypes, name="mlp_norm")(x)
        return x + self._gate("mlp_gate", drop(GatedMlp(decoder.mlp_dim, **dtypes, name="mlp")(y)))

    def _gate(self, name, y):
        shape = (1,) if self.networks.gate == "float" else (1, 1, y.shape[-1])
        gate = self.param(name, nn.initializers.zeros, shape, self.param_dtype)
        return y * jnp.broadcast_to(jnp.tanh(gate).astype(self.dtype).reshape(1, 1, -1), y.shape)


class _CrossAttention(nn.Module):
    networks: FlamingoNetworks
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x, latents, seen):
        decoder, dtypes = self.networks.decoder, dtypes_of(self)
        common = {"use_bias": False, **DENSE, **dtypes}
        split = (decoder.num_heads, decoder.head_dim)
        query = nn.DenseGeneral(split, **common, name="query")(x)
        key, value = (nn.DenseGeneral(split, **common, name=name)(latents) for name in ("key", "value"))
        if self.networks.qk_norms:
            query = RMSNorm(decoder.epsilon, plus_one=False, **dtypes, name="query_norm")(query)
            key = RMSNorm(decoder.epsilon, plus_one=False, **dtypes, name="key_norm")(key)
        y = attend(query, key, value, seen)
        return nn.DenseGeneral(x.shape[-1], axis=(-2, -1), **common, name="out")(y)


@dataclasses.dataclass(frozen=True)
class FlamingoProcessor(Processor):
    """Puts an image between two marks before the question; `marks` are the ids of mark and image.

    `prefix_length` counts them, as `n_fixed`.
    """

    marks: tuple[int, int] = (0, 0)

    def prefix(self, question: str) -> list[int]:
        """[bos], the image between its marks, the question, a line feed."""
        bos, *ids = super().prefix(question)
        return [bos, *self._image, *ids]

    def interleaved_example(self, parts: Sequence[np.ndarray | str]) -> Example:
        """An example to reply to whose prefix is text and several images, in any order.

        Its `image` is [m, h, w, 3]; examples of one batch have equally many images.

        Raises:
          UserError: there is no image, or it takes more than `prefix_length` tokens and those of the images.
        """
        pictures = [self.image(part) for part in parts if isinstance(part, np.ndarray)]
        if not pictures:
            raise UserError("a prompt needs an image; put one among its parts")
        ids = [self.tokenizer.bos]
        for part in parts:
            if isinstance(part, str):
                ids += self.tokenizer.encode(part)
            else:  # images next to each other share the mark between them
                ids += self._image[ids[-1] == self.marks[0] :]
        n_images, given = len(pictures) * len(self._image), self.prefix_length - self.n_fixed
        if len(ids) > given + n_images:
            needed = len(ids) - n_images
            raise UserError(
                f"the prompt's text takes {needed} tokens but model.prefix_length={given}; "
                f"set model.prefix_length={needed} or shorten it"
            )
        text, mask_input = self.pad(ids, given + n_images)
        return {"image": np.stack(pictures), "text": text, "mask_input": mask_input}

    @property
    def _image(self) -> list[int]:
        mark, placeholder = self.marks
        return [mark, placeholder, mark]


def build(config: ModelConfig, networks: FlamingoNetworks) -> GenerativeModel:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary can't be read or has more pieces than the model has rows.
    """
    tokenizer = open_tokenizer(config.vocabulary, **_MARKERS)
    rows = networks.vocabulary_size or tokenizer.vocab_size
    check_rows(tokenizer, rows, config.size, n_marks=N_EXTRA)
    module = FlamingoModule(
        networks=networks,
        vocabulary_size=rows,
        **computing_as(config),
    )
    processor = FlamingoProcessor(
        tokenizer,
        config.image_size,
        config.prefix_length + 3,
        config.suffix_length,
        n_fixed=3,
        recipe=images.CLIP_SQUARE,
        marks=(rows, rows + 1),
    )
    layout = _hugging_face(dataclasses.replace(networks, vocabulary_size=rows), config.image_size, tokenizer)
    return GenerativeModel(config, module, processor, layout)


def networks_from(config: Mapping[str, Any]) -> tuple[FlamingoNetworks, int]:
    """Returns the networks that a `config.json` describes, and the side of its images in pixels.

    Raises:
      UserError: it asks for what isn't built here.
    """
    built = {"additional_vocab_size": N_EXTRA, "hidden_act": "silu", "tie_word_embeddings": False}
    expect_config(config, built | {"use_resampler": True, "vision_config.hidden_act": "gelu"})
    tower, perceiver = config.get("vision_config") or {}, config.get("perceiver_config") or {}
    sizes, ropes = sizes_from(config, KEYS, 4096, 32, 11_008, 32), config.get("rope_parameters") or {}
    decoder = LlamaConfig(
        **sizes,
        num_kv_heads=sizes["num_heads"],
        head_dim=sizes["width"] // sizes["num_heads"],
        wavelength=ropes.get("rope_theta", 10_000.0),
        epsilon=config.get("rms_norm_eps", 1e-6),
    )
    networks = FlamingoNetworks(
        _vision_from(tower),
        ResamplerConfig(
            depth=perceiver.get("resampler_depth", 6),
            num_latents=perceiver.get("resampler_n_latents", 64),
            num_heads=perceiver.get("resampler_n_heads", 16),
            head_dim=perceiver.get("resampler_head_dim", 96),
            qk_norms=perceiver.get("qk_layer_norms_perceiver", False),
        ),
        decoder,
        interval=config.get("cross_layer_interval", 1),
        qk_norms=config.get("qk_layer_norms", False),
        gate=config.get("alpha_type", "float"),
        vocabulary_size=config.get("vocab_size", 32_000),
    )
    if decoder.depth % networks.interval:
        raise UserError(
            f"config.json: num_hidden_layers {decoder.depth} is no multiple of cross_layer_interval "
            f"{networks.interval}, which vlmcog doesn't build"
        )
    return networks, tower.get("image_size", image_encoder.IMAGE_SIZE)


def _vision_from(config: Mapping[str, Any]) -> VisionConfig:
    sizes = sizes_from(config, _VISION_KEYS, config.get("hidden_size", 768), 32, 5120, 16, 14)
    return VisionConfig(**sizes, **(_VISION | {"epsilon": config.get("layer_norm_eps", 1e-5)}))


def _hugging_face(networks: FlamingoNetworks, image_size: int, tokenizer: Tokenizer) -> Layout:
    decoder, perceiver = networks.decoder, networks.resampler
    blocks = [
        dataclasses.replace(rule, stride=networks.interval, offset=index)
        for index in range(networks.interval)
        for rule in llama.block_rules(decoder, f"groups/block_{index}/", "model.layers.{layer}.")
    ]
    return Layout(
        rules=(
            *image_encoder.hugging_face("img/", "model.vision_model.", networks.vision),
            *resampler.hugging_face(perceiver, "resampler/", "model.perceiver_resampler."),
            Rule("embedder/embedding", "model.embed_tokens.weight"),
            Rule("extra_embedder/embedding", "model.embed_tokens.additional_embedding.weight"),
            *blocks,
            *_gated_rules(networks, "groups/cross/", "model.gated_cross_attn_layers.{layer}."),
            Rule("final_norm/scale", "model.norm.weight"),
            Rule("head/kernel", "lm_head.weight", "v d -> d v"),
            Rule("extra_head/kernel", "lm_head.additional_fc.weight", "v d -> d v"),
        ),
        config={
            "architectures": ["IdeficsForVisionText2Text"],
            "model_type": "idefics",
            "vocab_size": networks.vocabulary_size,
            "additional_vocab_size": N_EXTRA,
            **sizes_to(decoder, KEYS),
            "hidden_act": "silu",
            "rms_norm_eps": decoder.epsilon,
            "rope_parameters": {"rope_theta": decoder.wavelength, "rope_type": "default"},
            "tie_word_embeddings": False,
            "alpha_type": networks.gate,
            "cross_layer_interval": networks.interval,
            "qk_layer_norms": networks.qk_norms,
            "use_resampler": True,
            "bos_token_id": tokenizer.bos,
            "eos_token_id": tokenizer.eos,
            "pad_token_id": tokenizer.pad,
            "vision_config": {
                "model_type": "idefics_vision",
                **sizes_to(networks.vision, _VISION_KEYS),
                "image_size": image_size,
                "hidden_act": "gelu",
                "layer_norm_eps": networks.vision.epsilon,
            },
            "perceiver_config": {
                "model_type": "idefics_perciever",  # spelt so
                "use_resampler": True,
                "resampler_depth": perceiver.depth,
                "resampler_n_latents": perceiver.num_latents,
                "resampler_n_heads": perceiver.num_heads,
                "resampler_head_dim": perceiver.head_dim,
                "qk_layer_norms_perceiver": perceiver.qk_norms,
            },
        },
        unused=(r".*\.rotary_emb\.inv_freq$", r".*\.position_ids$"),
    )


def _gated_rules(networks: FlamingoNetworks, path: str, name: str) -> list[Rule]:
    attention = [*heads("", "", bias=False), *joined_heads("out", "o_proj", bias=False)]
    if networks.qk_norms:
        attention += [Rule("query_norm/scale", "q_layer_norm.weight"), Rule("key_norm/scale", "k_layer_norm.weight")]
    rules = [
        Rule("attention_norm/scale", "input_layernorm.weight"),
        *within(attention, "attention/", "cross_attn."),
        Rule("attention_gate", "alpha_cross_attn"),
        Rule("mlp_norm/scale", "post_attention_layernorm.weight"),
        *gated_mlp("mlp/", "mlp.", bias=False),
        Rule("mlp_gate", "alpha_dense"),
    ]
    return within(rules, path, name)
