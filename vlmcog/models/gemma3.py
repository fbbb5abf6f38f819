"""Gemma 3 (https://arxiv.org/abs/2503.19786): SigLIP's patches, pooled, stand among the words of a chat.

Pan-and-scan is off: an image is one square. Letters: b batch, n image tokens, t text tokens, s cache slots, d width,
v vocabulary.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from vlmcog.models import gemma, siglip
from vlmcog.models.attention import positions_of, window_mask
from vlmcog.models.config import DecoderConfig, ModelConfig, VisionConfig
from vlmcog.models.gemma import Gemma, Masks, Past
from vlmcog.models.generative import GenerativeModel, Reading
from vlmcog.models.hugging_face import Layout, Rule, expect_config, read_config
from vlmcog.models.layers import dtypes_of
from vlmcog.models.norms import RMSNorm
from vlmcog.models.paligemma import HEAD, RENAMES, UNUSED
from vlmcog.models.processor import Processor
from vlmcog.models.products import product
from vlmcog.models.siglip import VisionTransformer
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
    decoder: DecoderConfig
    tokens_per_side: int = 16
    vocabulary_size: int = 0
    markers: Markers = Markers()

    @property
    def image_multiple(self) -> int:
        """Every image token pools a whole square of whole patches."""
        return self.vision.patch_size * self.tokens_per_side


_SO400M = VisionConfig(width=1152, depth=27, mlp_dim=4304, num_heads=16, patch_size=14)
_ROWS = 262_208
_4B = DecoderConfig(
    width=2560,
    depth=34,
    mlp_dim=10_240,
    num_heads=8,
    num_kv_heads=4,
    head_dim=256,
    post_norms=True,
    qk_norms=True,
    window=1024,
    pattern=6,
    wavelength=1_000_000.0,
    stretch=8.0,
)
SIZES = {
    "nano": Gemma3Networks(
        VisionConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_size=4),
        dataclasses.replace(
            _4B, width=32, depth=3, mlp_dim=64, num_heads=4, num_kv_heads=2, head_dim=16, window=8, pattern=3
        ),
        tokens_per_side=2,
    ),
    "4b": Gemma3Networks(_SO400M, _4B, vocabulary_size=_ROWS),
    "12b": Gemma3Networks(
        _SO400M,
        dataclasses.replace(_4B, width=3840, depth=48, mlp_dim=15_360, num_heads=16, num_kv_heads=8),
        vocabulary_size=_ROWS,
    ),
    "27b": Gemma3Networks(
        _SO400M,
        dataclasses.replace(
            _4B,
            width=5376,
            depth=62,
            mlp_dim=21_504,
            num_heads=32,
            num_kv_heads=16,
            head_dim=128,
            query_scalar=5376 / 32,
        ),
        vocabulary_size=_ROWS,
    ),
}
HUGGING_FACE = ("gemma3",)


class Gemma3Module(nn.Module):
    """Encoder, projector and decoder joined."""

    networks: Gemma3Networks
    vocabulary_size: int
    image_token: int
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    scan: bool = False
    remat: bool = False

    def setup(self) -> None:
        """Names the encoder and the decoder as PaliGemma does."""
        dtypes = dtypes_of(self)
        common = {"dropout": self.dropout, "scan": self.scan, "remat": self.remat, **dtypes}
        self.img = VisionTransformer(self.networks.vision, 0, **common)
        self.projector = _Projector(self.networks.tokens_per_side, self.networks.decoder.width, **dtypes)
        self.llm = Gemma(self.networks.decoder, self.vocabulary_size, **common)

    def read(self, batch: Mapping[str, Array]) -> Reading:
        """Reads image and text, among whose tokens the image's have their places."""
        text, valid = batch["text"], batch["mask_input"]
        is_image = (text == self.image_token) & valid
        x = _place(self.projector(self.img(batch["image"])), self.llm.embed(text), is_image)
        positions = positions_of(valid)
        masks = _masks(is_image, valid, positions, self.networks.decoder.window)
        hidden, keys_values = self.llm(x, positions, masks)
        return Reading(hidden, Past(keys_values, positions), valid, valid.sum(axis=-1))

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


def _place(image: Float[Array, "b n d"], text: Float[Array, "b t d"], where: Bool[Array, "b t"]):
    """The text's embeddings with the image's tokens, in order, at their places."""
    index = jnp.maximum(jnp.cumsum(where, axis=-1) - 1, 0)
    return jnp.where(where[..., None], jnp.take_along_axis(image, index[..., None], axis=1, mode="clip"), text)


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
        dropout=config.dropout,
        dtype=jnp.dtype(config.compute_dtype),
        param_dtype=jnp.dtype(config.parameter_dtype),
        scan=config.scan,
        remat=config.remat,
    )
    layout, processor = _hugging_face(networks, config.image_size), _processor(config, networks, tokenizer)
    return GenerativeModel(f"{config.family}-{config.size}", config, module, processor, layout)


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
        vision=siglip.config_from(read_config(config, "vision_config")),
        decoder=gemma.config_from(text),
        tokens_per_side=math.isqrt(read_config(config, "mm_tokens_per_image", default=256)),
        vocabulary_size=text.get("vocab_size", _ROWS),
        markers=markers,
    )
    return networks, read_config(config, "vision_config.image_size", default=siglip.IMAGE_SIZE)


def _hugging_face(networks: Gemma3Networks, image_size: int) -> Layout:
    rows, markers = networks.vocabulary_size, networks.markers
    decoder = gemma.hugging_face(networks.decoder, "llm/", "language_model.model.", head=HEAD, rows=rows)
    projector = (
        Rule("projector/norm/scale", "multi_modal_projector.mm_soft_emb_norm.weight"),
        Rule("projector/kernel", "multi_modal_projector.mm_input_projection_weight"),
    )
    return Layout(
        rules=(*siglip.hugging_face("img/", "vision_tower.vision_model."), *projector, *decoder),
        config={
            "architectures": ["Gemma3ForConditionalGeneration"],
            "model_type": "gemma3",
            "mm_tokens_per_image": networks.tokens_per_side**2,
            "boi_token_index": markers.start_of_image,
            "eoi_token_index": markers.end_of_image,
            "image_token_index": markers.image,
            "eos_token_id": [1, markers.end_of_turn],
            "tie_word_embeddings": networks.decoder.tied,
            "text_config": gemma.to_config(networks.decoder) | {"vocab_size": rows},
            "vision_config": siglip.to_config(networks.vision, image_size),
        },
        renames=RENAMES,
        tied={HEAD: "language_model.model.embed_tokens.weight"} if networks.decoder.tied else {},
        unused=UNUSED,
    )
