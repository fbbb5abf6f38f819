"""Qwen2-VL (https://arxiv.org/abs/2409.12191) and Qwen2.5-VL (https://arxiv.org/abs/2502.13923), with one image.

The image keeps its shape: it is scaled so that both sides are whole blocks, and takes as many tokens as it has blocks,
`image_size`^2 pixels' worth at most. Its tokens stand among the text's where the placeholder stands.

Letters: b batch, t tokens of text and image, s cache slots, m image tokens, d width, v vocabulary, p patches.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vlmcog.errors import UserError
from vlmcog.models import images, llama, qwen_vision
from vlmcog.models.attention import KeysValues, prefix_lm_mask
from vlmcog.models.config import ModelConfig
from vlmcog.models.generative import GenerativeModel, Reading, put_image
from vlmcog.models.hugging_face import DECODER_KEYS, Layout, expect_config, read_config, sizes_from, sizes_to
from vlmcog.models.layers import Network, computing, computing_as
from vlmcog.models.llama import Llama, LlamaConfig
from vlmcog.models.processor import Example, Processor
from vlmcog.models.qwen_vision import FRAMES, MERGE, QwenVision, QwenVisionConfig
from vlmcog.models.rope import frequencies
from vlmcog.models.tokenizer import check_rows, open_tokenizer


@dataclasses.dataclass(frozen=True)
class QwenNetworks:
    """The two networks of a size.

    Attributes:
      vision: the image's tower.
      decoder: the decoder.
      sections: how many of a head's frequencies turn with time, with the row and with the column (M-RoPE).
      vocabulary_size: rows of the embedding; 0 for as many as the tokenizer has pieces, and the three marks below.
      marks: ids of the image's placeholder, and of the marks before and after it; empty for the first free ones.
    """

    vision: QwenVisionConfig
    decoder: LlamaConfig
    sections: tuple[int, int, int]
    vocabulary_size: int = 0
    marks: tuple[int, ...] = (151_655, 151_652, 151_653)

    @property
    def image_multiple(self) -> int:
        """An image is cut into whole blocks."""
        return self.vision.block_pixels


def _decoder(width: int, depth: int, mlp_dim: int, num_heads: int, num_kv_heads: int, **more: Any) -> LlamaConfig:
    sizes = dict(zip(DECODER_KEYS, (width, depth, mlp_dim, num_heads, num_kv_heads), strict=True))
    more = {"wavelength": 1_000_000.0, "qkv_bias": True, **more}
    return LlamaConfig(**sizes, head_dim=width // num_heads, **more)


_FIRST = QwenVisionConfig(width=1280, depth=32, mlp_dim=5120, num_heads=16)
_SECOND = QwenVisionConfig(
    width=1280, depth=32, mlp_dim=3420, num_heads=16, gated=True, window=112, full=(7, 15, 23, 31)
)
_LARGER = dataclasses.replace(_SECOND, mlp_dim=3456)
_SECTIONS = (16, 24, 24)
_NANO = QwenVisionConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_size=4)
SIZES = {
    "nano": QwenNetworks(_NANO, _decoder(32, 2, 64, 2, 1), (2, 3, 3), marks=()),
    "tiny": QwenNetworks(
        QwenVisionConfig(width=192, depth=4, mlp_dim=768, num_heads=4, patch_size=8),
        _decoder(128, 2, 256, 4, 2),
        (4, 6, 6),
        marks=(),
    ),
    "2-2b": QwenNetworks(_FIRST, _decoder(1536, 28, 8960, 12, 2, tied=True), _SECTIONS, 151_936),
    "2-7b": QwenNetworks(_FIRST, _decoder(3584, 28, 18_944, 28, 4), _SECTIONS, 152_064),
    "2-72b": QwenNetworks(_FIRST, _decoder(8192, 80, 29_568, 64, 8), _SECTIONS, 152_064),
    "2.5-nano": QwenNetworks(
        dataclasses.replace(_NANO, gated=True, window=16, full=(1,)), _decoder(32, 2, 64, 2, 1), (2, 3, 3), marks=()
    ),
    "2.5-3b": QwenNetworks(_SECOND, _decoder(2048, 36, 11_008, 16, 2, tied=True), _SECTIONS, 151_936),
    "2.5-7b": QwenNetworks(_SECOND, _decoder(3584, 28, 18_944, 28, 4), _SECTIONS, 152_064),
    "2.5-32b": QwenNetworks(_LARGER, _decoder(5120, 64, 27_648, 40, 8), _SECTIONS, 152_064),
    "2.5-72b": QwenNetworks(_LARGER, _decoder(8192, 80, 29_568, 64, 8), _SECTIONS, 152_064),
}
HUGGING_FACE = ("qwen2_vl", "qwen2_5_vl")
IN_BIG_VISION = False
_MARKERS = {"pad": "<|endoftext|>", "eos": "<|im_end|>", "bos": "<|im_start|>"}
_BEFORE = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"


class QwenModule(Network):
    """The two networks joined."""

    networks: QwenNetworks
    vocabulary_size: int
    image_token: int

    def setup(self) -> None:
        """Names the two networks."""
        self.img = QwenVision(self.networks.vision, self.networks.decoder.width, **computing(self))
        self.llm = Llama(self.networks.decoder, self.vocabulary_size, **computing(self))

    def read(self, batch: Mapping[str, Array]) -> Reading:
        """Hidden states at all tokens, the image's among them; every token sees those before it."""
        text, valid, grid = batch["text"], batch["mask_input"], batch["grid"]
        is_image = valid & (text == self.image_token)
        x = put_image(self.llm.embed(text), self.img(batch["patches"], grid), is_image)
        positions = positions_of(is_image, valid, grid // MERGE)
        mask = prefix_lm_mask(jnp.ones_like(text), valid)
        hidden, keys_values = self.llm(x, self._angles(positions), mask)
        last = jnp.max(positions, axis=(0, 2), where=valid[None], initial=-1)
        return Reading(hidden, keys_values, valid, last + 1)

    def extend(
        self,
        text: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        mask: Bool[Array, "b t s"],
        past: KeysValues,
        slot: Int[Array, ""] | int,
    ) -> tuple[Float[Array, "b t d"], KeysValues]:
        """Hidden states at more text after what `past` remembers, which is written into its slots from `slot` on."""
        angles = self._angles(jnp.broadcast_to(positions, (3, *positions.shape)))
        return self.llm(self.llm.embed(text), angles, mask, past, slot)

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Logits of the next token, at the hidden states where they are needed."""
        return self.llm.logits(hidden)

    def _angles(self, positions: Int[Array, "3 b t"]) -> Float[Array, "b t half"]:
        """M-RoPE: the first frequencies turn with time, the next with the row, the last with the column."""
        decoder = self.networks.decoder
        axis = np.repeat(np.arange(3), self.networks.sections)
        chosen = jnp.moveaxis(positions[axis], 0, -1).astype(jnp.float32)
        return chosen * frequencies(decoder.head_dim // 2, decoder.wavelength)[None, None]


class Qwen(GenerativeModel):
    """A `GenerativeModel` whose images are padded."""

    def _real_image_tokens(self, prefix: dict[str, Array]) -> Bool[Array, "b p"]:
        return jnp.arange(prefix["patches"].shape[1])[None] < prefix["grid"].prod(axis=-1)[:, None]


def positions_of(
    is_image: Bool[Array, "b t"], valid: Bool[Array, "b t"], grid: Int[Array, "b 2"]
) -> Int[Array, "3 b t"]:
    """Time, row and column of each token, padding left out.

    Text counts up in all three. The image stands still in time, and its rows and columns count from where it begins;
    the text goes on after the larger of the two.

                    t  t  i  i  i  i  i  i  t  t      a grid of 2 rows and 3 columns
        time        0  1  2  2  2  2  2  2  5  6
        row         0  1  2  2  2  3  3  3  5  6
        column      0  1  2  3  4  2  3  4  5  6
    """
    before = jnp.cumsum(valid & ~is_image, axis=-1)
    index = jnp.maximum(jnp.cumsum(is_image, axis=-1) - 1, 0)
    row, column = index // grid[:, 1:], index % grid[:, 1:]
    behind = jnp.cumsum(is_image, axis=-1) > 0
    text = jnp.maximum(before - 1 + jnp.where(behind, grid.max(axis=-1)[:, None], 0), 0)
    return jnp.stack([jnp.where(is_image, before + offset, text) for offset in (jnp.zeros_like(row), row, column)])


@dataclasses.dataclass(frozen=True)
class QwenProcessor(Processor):
    """Images of any shape as patches, among the words of the chat that the model was tuned to.

    A batch has, for `image`, `patches` float32 [b, p, 3, 2, y, x] and `grid` int32 [b, 2], its real rows and columns.

    Attributes:
      patch_size: side of a patch in pixels.
      marks: ids of the image's placeholder, and of the marks before and after it.
      chat: whether the tokenizer knows the marks of turns; otherwise the image comes right before the question.
    """

    patch_size: int = 14
    marks: tuple[int, ...] = ()
    chat: bool = True

    def read_image(self, image: np.ndarray) -> Example:
        """The image's patches, padded to the most that `image_size` allows, and its grid."""
        images.check(image)
        block = MERGE * self.patch_size
        size = smart_resize(
            *image.shape[:2], factor=block, most=self.image_size**2, least=min(2 * block, self.image_size) ** 2
        )
        pixels = self.recipe.scale(images.resize(image, size, self.recipe.resample).astype(np.float32))
        patches = cut(pixels, self.patch_size)
        missing = (self.image_size // self.patch_size) ** 2 - len(patches)
        padded = np.pad(patches, [(0, missing)] + [(0, 0)] * 4)
        return {"patches": padded, "grid": np.array(size, np.int32) // np.int32(self.patch_size)}

    def prefix_of(self, question: str, read: Example) -> list[int]:
        """The image and the question as the user's turn of a chat, up to where the assistant's begins."""
        count = int(read["grid"].prod()) // MERGE**2
        placeholder, start, end = self.marks
        image = [start, *[placeholder] * count, end]
        if not self.chat:
            return [self.tokenizer.bos, *image, *self.prefix(question)[1:]]
        say = self.tokenizer.encode
        return [*say(_BEFORE), *image, *say(f"{question}<|im_end|>\n<|im_start|>assistant\n")]


def smart_resize(height: int, width: int, *, factor: int, least: int, most: int) -> tuple[int, int]:
    """The size nearest to an image's whose sides are whole factors and whose pixels are from `least` to `most`.

    Raises:
      UserError: a side is more than 200 times the other.
    """
    if max(height, width) > 200 * min(height, width):
        raise UserError(f"an image of {height} x {width} pixels is too narrow; a side may be 200 times the other")
    sides = [round(side / factor) * factor for side in (height, width)]
    if math.prod(sides) > most:
        shrink = math.sqrt(height * width / most)
        sides = [max(factor, math.floor(side / shrink / factor) * factor) for side in (height, width)]
    elif math.prod(sides) < least:
        stretch = math.sqrt(least / (height * width))
        sides = [math.ceil(side * stretch / factor) * factor for side in (height, width)]
    return sides[0], sides[1]


def cut(pixels: Float[np.ndarray, "h w 3"], patch_size: int) -> Float[np.ndarray, "p 3 t y x"]:
    """The patches of an image, block by block, each shown twice."""
    height, width = (side // patch_size // MERGE for side in pixels.shape[:2])
    parts = pixels.reshape(height, MERGE, patch_size, width, MERGE, patch_size, 3)
    patches = parts.transpose(0, 3, 1, 4, 6, 2, 5).reshape(-1, 3, 1, patch_size, patch_size)
    return np.repeat(patches, FRAMES, axis=2)


def build(config: ModelConfig, networks: QwenNetworks) -> Qwen:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary can't be read or has more pieces than the model has rows.
    """
    tokenizer = open_tokenizer(config.vocabulary, **_MARKERS)
    marks = networks.marks or tuple(tokenizer.vocab_size + index for index in range(3))
    rows = networks.vocabulary_size or tokenizer.vocab_size + 3
    check_rows(tokenizer, rows, config.size)
    module = QwenModule(
        networks=networks,
        vocabulary_size=rows,
        image_token=marks[0],
        **computing_as(config),
    )
    processor = QwenProcessor(
        tokenizer,
        config.image_size,
        config.prefix_length,
        config.suffix_length,
        chat=bool(config.vocabulary),
        recipe=images.CLIP_SQUARE,
        patch_size=networks.vision.patch_size,
        marks=marks,
    )
    blank = np.zeros((config.image_size, config.image_size, 3), np.uint8)
    n_fixed = len(processor.prefix_of("", processor.read_image(blank)))
    processor = dataclasses.replace(processor, prefix_length=config.prefix_length + n_fixed, n_fixed=n_fixed)
    layout = _hugging_face(dataclasses.replace(networks, vocabulary_size=rows, marks=marks))
    return Qwen(config, module, processor, layout)


# What a `config.json` means by leaving a key out: the same in both generations.
_SIZES, _EPSILON, _ROWS = (8192, 80, 29_568, 64, 8), 1e-5, 152_064
_IMAGE_SIZE = 448  # an image's tokens are bounded by the user's choice, not by the checkpoint


def networks_from(config: Mapping[str, Any]) -> tuple[QwenNetworks, int]:
    """Returns the networks that a `config.json` describes, and a side of images in pixels, which it leaves open.

    Raises:
      UserError: it asks for what isn't built here.
    """
    text = {**config, **(config.get("text_config") or {})}  # old files keep the decoder's keys outside
    expect_config({"text": text}, {"text.hidden_act": "silu", "text.use_sliding_window": False})
    ropes = text.get("rope_parameters") or text.get("rope_scaling") or {}
    decoder = _decoder(
        **sizes_from(text, DECODER_KEYS, *_SIZES),
        wavelength=ropes.get("rope_theta") or text.get("rope_theta", 1_000_000.0),
        epsilon=text.get("rms_norm_eps", _EPSILON),
        tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
    )
    vision = _vision_from(config.get("vision_config") or {}, second=config.get("model_type") == "qwen2_5_vl")
    marks = [read_config(config, f"{key}_token_id", default=default) for key, default in _MARKS.items()]
    sections = tuple(ropes.get("mrope_section", _SECTIONS))
    rows = text.get("vocab_size", _ROWS)
    networks = QwenNetworks(vision, decoder, (sections[0], sections[1], sections[2]), rows, tuple(marks))
    block = vision.block_pixels
    return networks, _IMAGE_SIZE // block * block


_MARKS = {"image": 151_655, "vision_start": 151_652, "vision_end": 151_653}


def _vision_from(config: Mapping[str, Any], *, second: bool) -> QwenVisionConfig:
    fixed = {"spatial_merge_size": MERGE, "temporal_patch_size": FRAMES, "in_channels": 3}
    expect_config({"vision": config}, {f"vision.{key}": value for key, value in fixed.items()})
    expect_config({"vision": config}, {"vision.hidden_act": "silu" if second else "quick_gelu"})
    common = {"depth": config.get("depth", 32), "num_heads": config.get("num_heads", 16)}
    common |= {"patch_size": config.get("patch_size", 14)}
    if not second:
        width = config.get("embed_dim", 1280)
        return QwenVisionConfig(width=width, mlp_dim=int(width * config.get("mlp_ratio", 4)), **common)
    return QwenVisionConfig(
        width=config.get("hidden_size", 3584),
        mlp_dim=config.get("intermediate_size", 3420),
        gated=True,
        window=config.get("window_size", 112),
        full=tuple(config.get("fullatt_block_indexes", (7, 15, 23, 31))),
        **common,
    )


def _hugging_face(networks: QwenNetworks) -> Layout:
    vision, decoder, second = networks.vision, networks.decoder, networks.vision.gated
    kind = "qwen2_5_vl" if second else "qwen2_vl"
    text = {
        "model_type": f"{kind}_text",
        **sizes_to(decoder, DECODER_KEYS),
        "rms_norm_eps": decoder.epsilon,
        "vocab_size": networks.vocabulary_size,
        "hidden_act": "silu",
        "tie_word_embeddings": decoder.tied,
        "rope_theta": decoder.wavelength,
        "rope_scaling": {"type": "mrope", "mrope_section": list(networks.sections)},
    }
    image: dict[str, Any] = {
        "model_type": kind,
        "depth": vision.depth,
        "num_heads": vision.num_heads,
        "patch_size": vision.patch_size,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": FRAMES,
        "in_channels": 3,
        "hidden_act": "silu" if second else "quick_gelu",
    }
    if second:
        image |= {"hidden_size": vision.width, "intermediate_size": vision.mlp_dim, "out_hidden_size": decoder.width}
        image |= {"window_size": vision.window, "fullatt_block_indexes": list(vision.full)}
    else:
        image |= {"embed_dim": vision.width, "hidden_size": decoder.width, "mlp_ratio": vision.mlp_dim // vision.width}
    return Layout(
        rules=(
            *qwen_vision.hugging_face(vision, "img/", "visual."),
            *llama.hugging_face(decoder, "llm/", "model.", head="lm_head.weight"),
        ),
        config={
            "architectures": ["Qwen2_5_VLForConditionalGeneration" if second else "Qwen2VLForConditionalGeneration"],
            "model_type": kind,
            "tie_word_embeddings": decoder.tied,
            **dict(zip((f"{key}_token_id" for key in _MARKS), networks.marks, strict=True)),
            "text_config": text,
            "vision_config": image,
        },
        # transformers 5 writes `model.visual` and `model.language_model`.
        renames=((r"^model\.visual\.", "visual."), (r"^model\.language_model\.", "model.")),
        tied={"lm_head.weight": "model.embed_tokens.weight"} if decoder.tied else {},
        modules=((r"^model\.", "model.language_model."), (r"^visual\.", "model.visual.")),
    )
