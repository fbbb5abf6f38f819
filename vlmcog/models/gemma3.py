"""Gemma 3 (https://arxiv.org/abs/2503.19786): SigLIP's patches, pooled, stand among the words of a chat.

Pan-and-scan is off: an image is one square. Letters: b batch, n image tokens, t text tokens, s cache slots, d width,
v vocabulary.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from vlmcog.models import gemma, gemma_vlm, image_encoder
from vlmcog.models.attention import positions_of, window_mask
from vlmcog.models.config import ModelConfig, VisionConfig
from vlmcog.models.gemma import Gemma, GemmaConfig, Masks, Past
from vlmcog.models.gemma_vlm import GemmaVLM
from vlmcog.models.generative import GenerativeModel, Reading, put_image
from vlmcog.models.hugging_face import Layout, Rule, expect_config, read_config
from vlmcog.models.image_encoder import SO400M, VisionTransformer, vision
from vlmcog.models.layers import computing, computing_as, dtypes_of
from vlmcog.models.norms import RMSNorm
from vlmcog.models.processor import Processor
from vlmcog.models.products import product
from vlmcog.models.tokenizer import Tokenizer, check_rows, open_tokenizer


@dataclasses.dataclass(frozen=True)
class Markers:
    """Ids of the tokens that no text becomes."""

    start_of_turn: int = 105
    end_of_turn: int = 106
    start_of_image: int = 255_999
    end_of_image: int = 256_000
    image: int = 262_144


@dataclasses.dataclass(frozen=True)
class Gemma3Networks:
    """The networks of a size.

    Attributes:
      vision: the encoder.
      decoder: the decoder.
      tokens_per_side: an image becomes the square of so many tokens, each the mean of a square of patches.
      vocabulary_size: rows of the embedding; 0 for as many as the tokenizer has pieces, and those of `markers` after.
      markers: ids of the markers of turns and images.
    """

    vision: VisionConfig
    decoder: GemmaConfig
    tokens_per_side: int = 16
    vocabulary_size: int = 0
    markers: Markers = Markers()

    @property
    def image_multiple(self) -> int:
        """Every image token pools a whole square of whole patches."""
        return self.vision.patch_size * self.tokens_per_side


_SO400M, _ROWS = vision(SO400M, 14), 262_208
SIZES = {
    "nano": Gemma3Networks(vision((32, 2, 64, 2), 4), gemma.SIZES["3-nano"], tokens_per_side=2),
    "4b": Gemma3Networks(_SO400M, gemma.SIZES["3-4b"], vocabulary_size=_ROWS),
    "12b": Gemma3Networks(_SO400M, gemma.SIZES["3-12b"], vocabulary_size=_ROWS),
    "27b": Gemma3Networks(_SO400M, gemma.SIZES["3-27b"], vocabulary_size=_ROWS),
}
HUGGING_FACE = ("gemma3",)
IN_BIG_VISION = False


class Gemma3Module(GemmaVLM):
    """Encoder, projector and decoder joined."""

    networks: Gemma3Networks
    vocabulary_size: int
    image_token: int

    def setup(self) -> None:
        """Names the encoder and the decoder as PaliGemma does."""
        tokens, width = self.networks.tokens_per_side, self.networks.decoder.width
        self.img = VisionTransformer(self.networks.vision, 0, **computing(self))
        self.projector = _Projector(tokens, width, **dtypes_of(self))
        self.llm = Gemma(self.networks.decoder, self.vocabulary_size, **computing(self))

    def read(self, batch: Mapping[str, Array]) -> Reading:
        """Reads image and text, among whose tokens the image's have their places."""
        text, valid = batch["text"], batch["mask_input"]
        is_image = (text == self.image_token) & valid
        x = put_image(self.llm.embed(text), self.projector(self.img(batch["image"])), is_image)
        positions = positions_of(valid)
        masks = _masks(is_image, valid, positions, self.networks.decoder.window)
        hidden, keys_values = self.llm(x, positions, masks)
        return Reading(hidden, Past(keys_values, positions), valid, valid.sum(axis=-1))


class _Projector(nn.Module):
    """Means of squares of patches, normalised and projected to the decoder's width."""

    tokens_per_side: int
    output_width: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, patches: Float[Array, "b n d"]) -> Float[Array, "b m e"]:
        b, n, d = patches.shape
        side = self.tokens_per_side
        pooled = math.isqrt(n) // side
        x = patches.reshape(b, side, pooled, side, pooled, d).mean(axis=(2, 4)).reshape(b, side * side, d)
        x = RMSNorm(**dtypes_of(self), name="norm")(x)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (d, self.output_width), self.param_dtype)
        return product(x, kernel.astype(self.dtype))


def _masks(is_image, valid, positions, window: int) -> Masks:
    """Causal, but for the image, which sees all of itself; in local layers nobody sees further back than the window.

                q  i  i  q        q words, i the image
    q           x
    i           x  x  x
    i           x  x  x
    q           x  x  x  x
    """
    causal = positions[:, None, :] <= positions[:, :, None]
    image = is_image[:, :, None] & is_image[:, None, :]
    seen = valid[:, None, :]
    everywhere = (causal | image) & seen
    ahead = positions[:, None, :] > positions[:, :, None]
    near = window_mask(positions, positions, window) | ahead
    return Masks(everywhere, everywhere & near if window else None)


@dataclasses.dataclass(frozen=True)
class Gemma3Processor(Processor):
    """Asks as a turn of a chat: the image, then the question; the answer is the model's turn.

    Attributes:
      markers: ids of the markers.
      n_image: tokens of an image.
    """

    markers: Markers = Markers()
    n_image: int = 256

    @property
    def stop_tokens(self) -> tuple[int, ...]:
        """The end of a turn or of all."""
        return (self.tokenizer.eos, self.markers.end_of_turn)

    def prefix(self, question: str) -> list[int]:
        """The turn of the user and the head of the model's."""
        say, markers = self.tokenizer.encode, self.markers
        image = [markers.start_of_image, *[markers.image] * self.n_image, markers.end_of_image]
        user = [markers.start_of_turn, *say("user\n\n\n"), *image, *say("\n\n" + question), markers.end_of_turn]
        return [self.tokenizer.bos, *user, *say("\n"), markers.start_of_turn, *say("model\n")]

    def suffix(self, answer: str) -> list[int]:
        """The answer and the end of the turn."""
        return [*self.tokenizer.encode(answer), self.markers.end_of_turn]


def build(config: ModelConfig, networks: Gemma3Networks) -> GenerativeModel:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary can't be read or has more pieces than the model has rows.
    """
    tokenizer = open_tokenizer(config.vocabulary)
    if not networks.vocabulary_size:
        first = tokenizer.vocab_size
        markers = Markers(*range(first, first + len(dataclasses.fields(Markers))))
        networks = dataclasses.replace(networks, vocabulary_size=markers.image + 1, markers=markers)
    check_rows(tokenizer, networks.vocabulary_size, config.size)
    module = Gemma3Module(
        networks=networks,
        vocabulary_size=networks.vocabulary_size,
        image_token=networks.markers.image,
        **computing_as(config),
    )
    layout, processor = _hugging_face(networks, config.image_size), _processor(config, networks, tokenizer)
    return GenerativeModel(config, module, processor, layout)


def _processor(config: ModelConfig, networks: Gemma3Networks, tokenizer: Tokenizer) -> Gemma3Processor:
    processor = Gemma3Processor(
        tokenizer,
        config.image_size,
        config.prefix_length,
        config.suffix_length,
        markers=networks.markers,
        n_image=networks.tokens_per_side**2,
    )
    n_fixed = len(processor.prefix(""))
    return dataclasses.replace(processor, prefix_length=config.prefix_length + n_fixed, n_fixed=n_fixed)


def networks_from(config: Mapping[str, Any]) -> tuple[Gemma3Networks, int]:
    """Returns the networks that a `config.json` describes, and the side of its images in pixels.

    Raises:
      UserError: it asks for what isn't built here.
    """
    text: dict[str, Any] = {"model_type": "gemma3_text"} | dict(read_config(config, "text_config"))
    expect_config(config, {"text_config.use_bidirectional_attention": False})
    markers = Markers(
        start_of_image=read_config(config, "boi_token_index", default=Markers.start_of_image),
        end_of_image=read_config(config, "eoi_token_index", default=Markers.end_of_image),
        image=read_config(config, "image_token_index", default=Markers.image),
    )
    networks = Gemma3Networks(
        vision=image_encoder.config_from(read_config(config, "vision_config")),
        decoder=gemma.config_from(text),
        tokens_per_side=math.isqrt(read_config(config, "mm_tokens_per_image", default=256)),
        vocabulary_size=text.get("vocab_size", _ROWS),
        markers=markers,
    )
    return networks, read_config(config, "vision_config.image_size", default=image_encoder.IMAGE_SIZE)


def _hugging_face(networks: Gemma3Networks, image_size: int) -> Layout:
    markers = networks.markers
    return gemma_vlm.layout(
        networks.vision,
        networks.decoder,
        (
            Rule("projector/norm/scale", "multi_modal_projector.mm_soft_emb_norm.weight"),
            Rule("projector/kernel", "multi_modal_projector.mm_input_projection_weight"),
        ),
        {
            "architectures": ["Gemma3ForConditionalGeneration"],
            "model_type": "gemma3",
            "mm_tokens_per_image": networks.tokens_per_side**2,
            "boi_token_index": markers.start_of_image,
            "eoi_token_index": markers.end_of_image,
            "image_token_index": markers.image,
            "eos_token_id": [1, markers.end_of_turn],
        },
        rows=networks.vocabulary_size,
        image_size=image_size,
    )
