"""PaliGemma 1 and 2 (https://arxiv.org/abs/2407.07726, https://arxiv.org/abs/2412.03555), as one prefix-LM.

SigLIP's image tokens come before Gemma's text. Letters: b batch, n image tokens, t text tokens, s cache slots, d width,
v vocabulary.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vlmcog.models import gemma, gemma_vlm, image_encoder, images
from vlmcog.models.attention import positions_of, prefix_lm_mask, window_mask
from vlmcog.models.config import ModelConfig, VisionConfig
from vlmcog.models.gemma import Gemma, GemmaConfig, Masks, Past
from vlmcog.models.gemma_vlm import GemmaVLM
from vlmcog.models.generative import GenerativeModel, Reading
from vlmcog.models.hugging_face import Layout, dense, expect_config, read_config
from vlmcog.models.image_encoder import SO400M, VisionTransformer, vision
from vlmcog.models.images import ImageRecipe
from vlmcog.models.layers import computing, computing_as
from vlmcog.models.processor import Processor
from vlmcog.models.tokenizer import check_rows, open_tokenizer


@dataclasses.dataclass(frozen=True)
class PaliGemmaNetworks:
    """The two networks of a size.

    Attributes:
      vision: the encoder.
      decoder: the decoder.
      vocabulary_size: rows of the embedding; 0 for as many as the tokenizer has pieces.
      image_token: id of the image's placeholder in Hugging Face's texts; 0 for the first after the vocabulary.
      recipe: how images are prepared: big_vision resizes bilinearly, Hugging Face's processor bicubically.
    """

    vision: VisionConfig
    decoder: GemmaConfig
    vocabulary_size: int = 0
    image_token: int = 0
    recipe: ImageRecipe = images.BIG_VISION

    @property
    def image_multiple(self) -> int:
        """An image is cut into whole patches."""
        return self.vision.patch_size


_ROWS = 257_152
_SO400M = vision(SO400M, 14)
_NANO = vision((32, 2, 64, 2), 8)
SIZES = {
    "nano": PaliGemmaNetworks(_NANO, gemma.SIZES["nano"]),
    "tiny": PaliGemmaNetworks(vision((192, 4, 768, 4), 16), gemma.SIZES["tiny"]),
    # PaliGemma 1: SigLIP So400m/14 and Gemma 2B.
    "3b": PaliGemmaNetworks(_SO400M, gemma.SIZES["2b"], _ROWS),
    # PaliGemma 2: the same encoder and Gemma 2 2B, 9B, 27B.
    "2-nano": PaliGemmaNetworks(_NANO, gemma.SIZES["2-nano"]),
    "2-3b": PaliGemmaNetworks(_SO400M, gemma.SIZES["2-2b"], _ROWS),
    "2-10b": PaliGemmaNetworks(_SO400M, gemma.SIZES["2-9b"], _ROWS),
    "2-28b": PaliGemmaNetworks(_SO400M, gemma.SIZES["2-27b"], _ROWS),
}
HUGGING_FACE = ("paligemma",)
IN_BIG_VISION = True


class PaliGemmaModule(GemmaVLM):
    """The two networks joined; `vocabulary_size` and `networks` fix every parameter's shape but the image's."""

    networks: PaliGemmaNetworks
    vocabulary_size: int

    def setup(self) -> None:
        """Names the two networks as big_vision does."""
        self.img = VisionTransformer(self.networks.vision, self.networks.decoder.width, **computing(self))
        self.llm = Gemma(self.networks.decoder, self.vocabulary_size, **computing(self))

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
        hidden, keys_values = self.llm(x, positions, masks, tail=text.shape[1])
        return Reading(hidden, Past(keys_values, positions), valid, valid.sum(axis=-1))

    def _masks(self, mask_ar, valid, positions) -> Masks:
        """The prefix sees all of itself in local layers too: the window bounds the suffix alone."""
        everywhere = prefix_lm_mask(mask_ar, valid)
        if not self.networks.decoder.window:
            return Masks(everywhere)
        prefix = jnp.cumsum(mask_ar, axis=-1) == 0
        near = window_mask(positions, positions, self.networks.decoder.window)
        return Masks(everywhere, everywhere & (near | (prefix[:, :, None] & prefix[:, None, :])))


def build(config: ModelConfig, networks: PaliGemmaNetworks) -> GenerativeModel:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary can't be read or has more pieces than the model has rows.
    """
    tokenizer = open_tokenizer(config.vocabulary)
    rows = networks.vocabulary_size or tokenizer.vocab_size
    check_rows(tokenizer, rows, config.size, n_marks=1)
    module = PaliGemmaModule(
        networks=networks,
        vocabulary_size=rows,
        **computing_as(config),
    )
    lengths = (config.prefix_length, config.suffix_length)
    processor = Processor(tokenizer, config.image_size, *lengths, recipe=networks.recipe)
    layout = _hugging_face(dataclasses.replace(networks, vocabulary_size=rows), config.image_size)
    return GenerativeModel(config, module, processor, layout)


def networks_from(config: Mapping[str, Any]) -> tuple[PaliGemmaNetworks, int]:
    """Returns the networks that a `config.json` describes, and the side of its images in pixels.

    Raises:
      UserError: it asks for what isn't built here.
    """
    decoder = gemma.config_from(read_config(config, "text_config"))
    tower = image_encoder.config_from(read_config(config, "vision_config"))
    expect_config(config, {"text_config.use_bidirectional_attention": True})
    rows, image_token = read_config(config, "text_config.vocab_size"), read_config(config, "image_token_index")
    networks = PaliGemmaNetworks(tower, decoder, rows, image_token, images.SIGLIP)
    return networks, read_config(config, "vision_config.image_size", default=image_encoder.IMAGE_SIZE)


def _hugging_face(networks: PaliGemmaNetworks, image_size: int) -> Layout:
    """Without an id of its own, the image's placeholder is the first after the vocabulary.

    It needs no row, as its embedding is never looked up; public files have one, and more up to a multiple of 64.
    """
    rows = networks.vocabulary_size
    width = networks.decoder.width
    text_config = {
        "num_image_tokens": (image_size // networks.vision.patch_size) ** 2,
        "use_bidirectional_attention": True,
    }
    return gemma_vlm.layout(
        networks.vision,
        networks.decoder,
        dense("img/head", "multi_modal_projector.linear"),
        {
            "architectures": ["PaliGemmaForConditionalGeneration"],
            "model_type": "paligemma",
            "image_token_index": networks.image_token or rows,
            "bos_token_id": 2,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "hidden_size": width,
            "projection_dim": width,
            "text_config": text_config,
            "vision_config": {"projection_dim": width},
        },
        rows=rows,
        image_size=image_size,
        padded=None if networks.image_token else -(-(rows + 1) // 64) * 64,
    )


def _before(mask: Array, n_image: int, value: int | bool) -> Array:
    """The mask of image and text, from the text's: image tokens are real and belong to the prefix."""
    return jnp.pad(mask, ((0, 0), (n_image, 0)), constant_values=value)
