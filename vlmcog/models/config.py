"""What a model is made of: sizes by name, and the one dataclass that a training config holds."""

import dataclasses
from typing import Literal

from vlmcog.errors import UserError, did_you_mean

DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class VisionConfig:
    """A SigLIP-style vision transformer on square patches of `patch_size` pixels."""

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    patch_size: int


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """A Gemma decoder; `num_heads` query heads share `num_kv_heads` heads of keys and values."""

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int


@dataclasses.dataclass(frozen=True)
class Size:
    """The networks of a named size; `vocabulary_size` 0 means as many rows as the tokenizer has pieces."""

    vision: VisionConfig
    decoder: DecoderConfig
    vocabulary_size: int = 0


SIZES: dict[str, dict[str, Size]] = {
    "paligemma": {
        "nano": Size(
            VisionConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_size=8),
            DecoderConfig(width=32, depth=2, mlp_dim=64, num_heads=2, num_kv_heads=1, head_dim=16),
        ),
        "tiny": Size(
            VisionConfig(width=192, depth=4, mlp_dim=768, num_heads=4, patch_size=16),
            DecoderConfig(width=128, depth=2, mlp_dim=256, num_heads=4, num_kv_heads=1, head_dim=32),
        ),
        # PaliGemma 1 (https://arxiv.org/abs/2407.07726): SigLIP So400m/14 and Gemma 2B.
        "3b": Size(
            VisionConfig(width=1152, depth=27, mlp_dim=4304, num_heads=16, patch_size=14),
            DecoderConfig(width=2048, depth=18, mlp_dim=16_384, num_heads=8, num_kv_heads=1, head_dim=256),
            vocabulary_size=257_152,
        ),
    }
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which model to build, and how it computes.

    Attributes:
      family: the model family, a key of `SIZES`.
      size: the size within the family: `nano` is for tests, `tiny` learns from scratch on a laptop's CPU.
      image_size: side of the square image in pixels, a multiple of the patch size.
      vocabulary: path of a SentencePiece model; empty for the small one that ships with the package.
      prefix_length: most tokens of a question, with its begin-of-text and line feed.
      suffix_length: most tokens of an answer, with its end-of-text.
      dropout: share of activations dropped after each attention and MLP block in training.
      parameter_dtype: dtype in which parameters are made and kept.
      compute_dtype: dtype of activations; logits, softmax and loss are float32 in any case.
      scan: run the layers as one rolled loop: compiles faster, runs slower on CPU; the parameters are the same.
      remat: recompute activations in the backward pass: less memory, slower.

    Raises:
      UserError: a value is unknown or two values can't go together.
    """

    family: str = "paligemma"
    size: str = "tiny"
    image_size: int = 64
    vocabulary: str = ""
    prefix_length: int = 20
    suffix_length: int = 4
    dropout: float = 0.0
    parameter_dtype: Literal["float32", "bfloat16"] = "float32"
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    scan: bool = False
    remat: bool = False

    def __post_init__(self) -> None:
        _check_choice("family", self.family, SIZES)
        _check_choice("size", self.size, SIZES[self.family])
        _check_choice("parameter_dtype", self.parameter_dtype, DTYPES)
        _check_choice("compute_dtype", self.compute_dtype, DTYPES)
        patch = self.networks.vision.patch_size
        if self.image_size <= 0 or self.image_size % patch:
            raise UserError(
                f"model.image_size={self.image_size} is no multiple of the {patch}-pixel patch of size {self.size!r}; "
                f"use for example {max(round(self.image_size / patch), 1) * patch}"
            )
        if self.prefix_length < 2 or self.suffix_length < 2:
            raise UserError(
                f"model.prefix_length={self.prefix_length} and model.suffix_length={self.suffix_length} must be 2 "
                "or more: each holds a marker and at least one token of text"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"model.dropout={self.dropout} is not a share; use a number from 0 to below 1")

    @property
    def networks(self) -> Size:
        """The networks of this family and size."""
        return SIZES[self.family][self.size]


def _check_choice(key: str, value: str, known) -> None:
    if value not in known:
        raise UserError(f"model.{key}={value!r} is unknown{did_you_mean(value, known)}; use one of {', '.join(known)}")
