"""What a model is made of: the dataclasses of networks, and the one that a training config holds."""

import dataclasses
from typing import Literal, Protocol

from vlmcog.errors import UserError, did_you_mean
from vlmcog.models import hugging_face, registry

DTYPES = ("float32", "bfloat16")
CUSTOM = "custom"
OBJECTIVES = ("softmax", "sigmoid", "linear")
Activation = Literal["gelu_tanh", "gelu", "quick_gelu", "silu", "relu"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """A transformer of pre-norm blocks with LayerNorm and biases; the defaults are SigLIP's."""

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    activation: Activation = "gelu_tanh"
    epsilon: float = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisionConfig(EncoderConfig):
    """A vision transformer on square patches; the defaults are SigLIP's.

    Attributes:
      patch_size: side of a patch in pixels.
      patch_bias: whether the projection of patches has a bias.
      class_token: whether a learned token comes before those of the patches.
      pre_norm: whether tokens are normalised before the first block.
    """

    patch_size: int
    patch_bias: bool = True
    class_token: bool = False
    pre_norm: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """A decoder, whose `num_heads` query heads share `num_kv_heads` heads of keys and values.

    Attributes:
      width: of the hidden states.
      depth: the number of layers.
      mlp_dim: width of the gated MLP.
      num_heads: query heads.
      num_kv_heads: heads of keys and values.
      head_dim: width of a head.
      wavelength: of the slowest rotary frequency (its theta), in radians a token.
      tied: logits are read off by the embedding; otherwise by a matrix of their own.
    """

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    wavelength: float = 10_000.0
    tied: bool = True


class Networks(Protocol):
    """The networks of a size, as one frozen dataclass of the family's own."""

    @property
    def image_multiple(self) -> int:
        """The side of an image is a multiple of so many pixels."""
        ...


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which model to build, and how it computes.

    Attributes:
      family: the model family, a key of `registry.FAMILIES`.
      size: the size within the family: `nano` is for tests, `tiny` learns from scratch on a laptop's CPU, and `custom`
        is what `config_json` describes.
      image_size: side of the square image in pixels, a multiple of the networks' `image_multiple`.
      config_json: path of a `config.json` in Hugging Face's format, with the networks of a `custom` size.
      vocabulary: path of a SentencePiece model, or of a `tokenizer.json`; empty for the small one that ships with the
        package.
      prefix_length: most tokens of a question, with its begin-of-text and line feed.
      suffix_length: most tokens of an answer, with its end-of-text.
      objective: how a family that compares (SigLIP, CLIP) learns and scores: options against each other (`softmax`),
        each by itself (`sigmoid`), or by a new `linear` read-out of the image, which suits one task and reads no words.
      max_options: the most options of a question that such a family learns from.
      dropout: share of activations dropped after each attention and MLP block in training.
      parameter_dtype: dtype in which parameters are made and kept.
      compute_dtype: dtype of activations; logits, softmax and loss are float32 in any case.
      scan: run the layers as one rolled loop: compiles faster, runs slower on CPU; the parameters are the same.
      remat: recompute activations in the backward pass: less memory, slower.
      loss_by_token: read off the logits of one answer token at a time: the loss of a long answer takes the memory of
        batch x vocabulary, not times the answer's length. For families that write.

    Raises:
      UserError: a value is unknown or two values can't go together.
    """

    family: str = "paligemma"
    size: str = "tiny"
    image_size: int = 64
    config_json: str = ""
    vocabulary: str = ""
    prefix_length: int = 28
    suffix_length: int = 4
    objective: Literal["softmax", "sigmoid", "linear"] = "softmax"
    max_options: int = 2
    dropout: float = 0.0
    parameter_dtype: Literal["float32", "bfloat16"] = "float32"
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    scan: bool = False
    remat: bool = False
    loss_by_token: bool = False

    def __post_init__(self) -> None:
        _check_choice("family", self.family, registry.FAMILIES)
        _check_choice("size", self.size, [*registry.family(self.family).SIZES, CUSTOM])
        if (self.size == CUSTOM) != bool(self.config_json):
            raise UserError(
                f"model.size={self.size!r} and model.config_json={self.config_json!r}: size {CUSTOM!r} alone takes its "
                "networks from a config.json"
            )
        _check_choice("parameter_dtype", self.parameter_dtype, DTYPES)
        _check_choice("compute_dtype", self.compute_dtype, DTYPES)
        _check_choice("objective", self.objective, OBJECTIVES)
        if self.max_options < 2:
            raise UserError(f"model.max_options={self.max_options} leaves nothing to tell apart; give 2 or more")
        multiple = self.networks.image_multiple
        if self.image_size <= 0 or self.image_size % multiple:
            raise UserError(
                f"model.image_size={self.image_size} is no multiple of the {multiple}-pixel patch of size "
                f"{self.size!r}; use for example {max(round(self.image_size / multiple), 1) * multiple}"
            )
        if self.prefix_length < 2 or self.suffix_length < 2:
            raise UserError(
                f"model.prefix_length={self.prefix_length} and model.suffix_length={self.suffix_length} must be 2 "
                "or more: each holds a marker and at least one token of text"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"model.dropout={self.dropout} is not a share; use a number from 0 to below 1")

    @property
    def networks(self) -> Networks:
        """The networks of this family and size.

        Raises:
          UserError: `config_json` can't be read or is another family's.
        """
        family = registry.family(self.family)
        if self.size != CUSTOM:
            return family.SIZES[self.size]
        return family.networks_from(hugging_face.load_config(self.config_json, family.HUGGING_FACE))[0]


def _check_choice(key: str, value: str, known) -> None:
    if value not in known:
        raise UserError(f"model.{key}={value!r} is unknown{did_you_mean(value, known)}; use one of {', '.join(known)}")
