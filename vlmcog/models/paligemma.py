"""PaliGemma 1 and 2 (https://arxiv.org/abs/2407.07726, https://arxiv.org/abs/2412.03555), as one prefix-LM.

SigLIP's image tokens come before Gemma's text. Letters: b batch, n image tokens, t text tokens, s cache slots, d width,
v vocabulary.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from vlmcog.models import gemma, siglip
from vlmcog.models.attention import positions_of, prefix_lm_mask, window_mask
from vlmcog.models.config import DecoderConfig, ModelConfig, VisionConfig
from vlmcog.models.gemma import Gemma, Masks, Past
from vlmcog.models.generative import GenerativeModel, Reading
from vlmcog.models.hugging_face import Layout, expect_config, read_config
from vlmcog.models.layers import dtypes_of
from vlmcog.models.processor import Processor
from vlmcog.models.siglip import VisionTransformer
from vlmcog.models.tokenizer import check_rows, open_tokenizer


@dataclasses.dataclass(frozen=True)
class PaliGemmaNetworks:
    """The two networks of a size.

    Attributes:
      vision: the encoder.
      decoder: the decoder.
      vocabulary_size: rows of the embedding; 0 for as many as the tokenizer has pieces.
      image_token: id of the image's placeholder in Hugging Face's texts; 0 for the first after the vocabulary.
    """

    vision: VisionConfig
    decoder: DecoderConfig
    vocabulary_size: int = 0
    image_token: int = 0

    @property
    def image_multiple(self) -> int:
        """An image is cut into whole patches."""
        return self.vision.patch_size


_SO400M = VisionConfig(width=1152, depth=27, mlp_dim=4304, num_heads=16, patch_size=14)
_ROWS = 257_152
_GEMMA_2 = DecoderConfig(
    width=2304,
    depth=26,
    mlp_dim=9216,
    num_heads=8,
    num_kv_heads=4,
    head_dim=256,
    attention_cap=50.0,
    logit_cap=30.0,
    post_norms=True,
    window=4096,
    pattern=2,
)
SIZES = {
    "nano": PaliGemmaNetworks(
        VisionConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_size=8),
        DecoderConfig(width=32, depth=2, mlp_dim=64, num_heads=2, num_kv_heads=1, head_dim=16),
    ),
    "tiny": PaliGemmaNetworks(
        VisionConfig(width=192, depth=4, mlp_dim=768, num_heads=4, patch_size=16),
        DecoderConfig(width=128, depth=2, mlp_dim=256, num_heads=4, num_kv_heads=1, head_dim=32),
    ),
    # PaliGemma 1: SigLIP So400m/14 and Gemma 2B.
    "3b": PaliGemmaNetworks(
        _SO400M,
        DecoderConfig(width=2048, depth=18, mlp_dim=16_384, num_heads=8, num_kv_heads=1, head_dim=256),
        vocabulary_size=_ROWS,
    ),
    # PaliGemma 2: the same encoder and Gemma 2 2B, 9B, 27B.
    "2-nano": PaliGemmaNetworks(
        VisionConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_size=8),
        dataclasses.replace(
            _GEMMA_2, width=32, depth=2, mlp_dim=64, num_heads=4, num_kv_heads=2, head_dim=16, window=8
        ),
    ),
    "2-3b": PaliGemmaNetworks(_SO400M, _GEMMA_2, vocabulary_size=_ROWS),
    "2-10b": PaliGemmaNetworks(
        _SO400M,
        dataclasses.replace(_GEMMA_2, width=3584, depth=42, mlp_dim=14_336, num_heads=16, num_kv_heads=8),
        vocabulary_size=_ROWS,
    ),
    "2-28b": PaliGemmaNetworks(
        _SO400M,
        dataclasses.replace(
            _GEMMA_2,
            width=4608,
            depth=46,
            mlp_dim=36_864,
            num_heads=32,
            num_kv_heads=16,
            head_dim=128,
            query_scalar=4608 / 32,
        ),
        vocabulary_size=_ROWS,
    ),
}
HUGGING_FACE = ("paligemma",)
# What other versions of transformers wrote: `model.` before everything, the two names of the decoder swapped, and the
# encoder without the name of the wrapper around it.
RENAMES = (
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.", ""),
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model."),
)
HEAD = "language_model.lm_head.weight"
# The encoder's pooling head, and a buffer of old versions.
UNUSED = (r"vision_tower\.vision_model\.head\.", r".*\.position_ids$")


class PaliGemmaModule(nn.Module):
    """The two networks joined; `vocabulary_size` and `networks` fix every parameter's shape but the image's."""

    networks: PaliGemmaNetworks
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

    def read(self, batch: Mapping[str, Array]) -> Reading:
        """Hidden states at the text's tokens, and the memory of image and text."""
        text = batch["text"]
        return self.join(
            self.img(batch["image"]), text, batch.get("mask_ar", jnp.zeros_like(text)), batch["mask_input"]
        )

    def join(
        self,
        image_tokens: Float[Array, "b n d"],
        text: Int[Array, "b t"],
        mask_ar: Int[Array, "b t"],
        mask_input: Bool[Array, "b t"],
    ) -> Reading:
        """The same, given the image's tokens: they come first, unscaled and as part of the prefix."""
        n_image = image_tokens.shape[1]
        x = jnp.concatenate([image_tokens, self.llm.embed(text)], axis=1)
        mask_ar = _before(mask_ar, n_image, 0)
        valid = _before(mask_input, n_image, True)
        positions = positions_of(valid)
        masks = self._masks(mask_ar, valid, positions)
        hidden, keys_values = self.llm(x, positions, masks)
        return Reading(hidden[:, n_image:], Past(keys_values, positions), valid, valid.sum(axis=-1))

    def _masks(self, mask_ar, valid, positions) -> Masks:
        """The prefix sees all of itself in local layers too: the window bounds the suffix alone."""
        everywhere = prefix_lm_mask(mask_ar, valid)
        if not self.networks.decoder.window:
            return Masks(everywhere)
        prefix = jnp.cumsum(mask_ar, axis=-1) == 0
        near = window_mask(positions, positions, self.networks.decoder.window)
        return Masks(everywhere, everywhere & (near | (prefix[:, :, None] & prefix[:, None, :])))

    def extend(
        self,
        text: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        mask: Bool[Array, "b t s"],
        past: Past,
        slot: Int[Array, ""] | int,
    ) -> tuple[Float[Array, "b t d"], Past]:
        """Hidden states at more text after what `past` remembers, which is written into its slots from `slot` on."""
        return self.llm.extend(text, positions, mask, past, slot)

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Logits of the next token, at the hidden states where they are needed."""
        return self.llm.logits(hidden)


def build(config: ModelConfig, networks: PaliGemmaNetworks) -> GenerativeModel:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary can't be read or has more pieces than the model has rows.
    """
    tokenizer = open_tokenizer(config.vocabulary)
    rows = networks.vocabulary_size or tokenizer.vocab_size
    check_rows(tokenizer, rows, config.size)
    module = PaliGemmaModule(
        networks=networks,
        vocabulary_size=rows,
        dropout=config.dropout,
        dtype=jnp.dtype(config.compute_dtype),
        param_dtype=jnp.dtype(config.parameter_dtype),
        scan=config.scan,
        remat=config.remat,
    )
    processor = Processor(tokenizer, config.image_size, config.prefix_length, config.suffix_length)
    layout = _hugging_face(dataclasses.replace(networks, vocabulary_size=rows), config.image_size)
    return GenerativeModel(f"{config.family}-{config.size}", config, module, processor, layout)


def networks_from(config: Mapping[str, Any]) -> tuple[PaliGemmaNetworks, int]:
    """Returns the networks that a `config.json` describes, and the side of its images in pixels.

    Raises:
      UserError: it asks for what isn't built here.
    """
    decoder = gemma.config_from(read_config(config, "text_config"))
    vision = siglip.config_from(read_config(config, "vision_config"))
    expect_config(config, {"text_config.use_bidirectional_attention": True})
    rows, image_token = read_config(config, "text_config.vocab_size"), read_config(config, "image_token_index")
    networks = PaliGemmaNetworks(vision, decoder, rows, image_token)
    return networks, read_config(config, "vision_config.image_size", default=siglip.IMAGE_SIZE)


def _hugging_face(networks: PaliGemmaNetworks, image_size: int) -> Layout:
    """Without an id of its own, the image's placeholder comes after the vocabulary, and rows are padded to 64."""
    rows, image_token = networks.vocabulary_size, networks.image_token or networks.vocabulary_size
    if not networks.image_token:
        rows = -(-(rows + 1) // 64) * 64
    decoder = gemma.hugging_face(networks.decoder, "llm/", "language_model.model.", head=HEAD, rows=rows)
    encoder = siglip.hugging_face("img/", "vision_tower.vision_model.")
    text_config = gemma.to_config(networks.decoder) | {
        "vocab_size": rows,
        "num_image_tokens": (image_size // networks.vision.patch_size) ** 2,
        "use_bidirectional_attention": True,
    }
    return Layout(
        rules=(*encoder, *siglip.dense("img/head", "multi_modal_projector.linear"), *decoder),
        config={
            "architectures": ["PaliGemmaForConditionalGeneration"],
            "model_type": "paligemma",
            "image_token_index": image_token,
            "bos_token_id": 2,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "hidden_size": networks.decoder.width,
            "projection_dim": networks.decoder.width,
            "tie_word_embeddings": networks.decoder.tied,
            "text_config": text_config,
            "vision_config": siglip.to_config(networks.vision, image_size) | {"projection_dim": networks.decoder.width},
        },
        renames=RENAMES,
        tied={HEAD: "language_model.model.embed_tokens.weight"} if networks.decoder.tied else {},
        unused=UNUSED,
    )


def _before(mask: Array, n_image: int, value: int | bool) -> Array:
    """The mask of image and text, from the text's: image tokens are real and belong to the prefix."""
    return jnp.pad(mask, ((0, 0), (n_image, 0)), constant_values=value)
