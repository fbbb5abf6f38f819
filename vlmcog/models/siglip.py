"""SigLIP (https://arxiv.org/abs/2303.15343) and SigLIP 2 (https://arxiv.org/abs/2502.14786) at fixed resolution.

The second has the first's networks, a larger vocabulary and another tokenizer.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from vlmcog.models import dual_encoder, image_encoder, images, text_encoder
from vlmcog.models.config import ModelConfig
from vlmcog.models.dual_encoder import DualEncoder, DualNetworks, trainable
from vlmcog.models.hugging_face import KEYS, Layout, Rule, expect_config, sizes_from, sizes_to
from vlmcog.models.image_encoder import BASE, LARGE, SO400M
from vlmcog.models.text_encoder import TextConfig
from vlmcog.models.tokenizer import open_tokenizer

HUGGING_FACE = ("siglip",)
IN_BIG_VISION = True
_MARKERS = {"pad": "</s>", "eos": "</s>", "bos": "</s>"}  # of the first
_EPSILON = 1e-6
_LENGTH = 64
_ROWS, _ROWS_2 = 32_000, 256_000  # of the English C4 vocabulary and of Gemma's


def _networks(
    vision: Sequence[int],
    text: Sequence[int],
    *,
    patch_size: int,
    width: int = 0,
    length: int = _LENGTH,
    vocabulary_size: int = _ROWS,
) -> DualNetworks:
    """Towers of (width, depth, MLP width, heads); the shared space has the image's width."""
    words: Any = dict(zip(KEYS, text, strict=True))
    second = vocabulary_size == _ROWS_2
    return DualNetworks(
        image_encoder.vision(vision, patch_size),
        TextConfig(**words, length=length),
        width or vision[0],
        recipe=images.BIG_VISION if second else images.SIGLIP,
        clean="lower" if second else "canonical",
        vocabulary_size=vocabulary_size,
    )


_GIANT = (1536, 40, 6144, 16)
SIZES = {
    "nano": _networks((32, 2, 64, 2), (32, 2, 64, 2), patch_size=8, length=40, vocabulary_size=0),
    "tiny": _networks((192, 4, 768, 4), (128, 2, 256, 4), patch_size=16, length=40, vocabulary_size=0),
    "base-16": _networks(BASE, BASE, patch_size=16),
    "large-16": _networks(LARGE, LARGE, patch_size=16),
    "so400m-14": _networks(SO400M, SO400M, patch_size=14),
    "2-base-16": _networks(BASE, BASE, patch_size=16, vocabulary_size=_ROWS_2),
    "2-base-32": _networks(BASE, BASE, patch_size=32, vocabulary_size=_ROWS_2),
    "2-large-16": _networks(LARGE, LARGE, patch_size=16, vocabulary_size=_ROWS_2),
    "2-so400m-14": _networks(SO400M, SO400M, patch_size=14, vocabulary_size=_ROWS_2),
    "2-so400m-16": _networks(SO400M, SO400M, patch_size=16, vocabulary_size=_ROWS_2),
    "2-giant-16": _networks(_GIANT, SO400M, patch_size=16, vocabulary_size=_ROWS_2),
}

__all__ = ["HUGGING_FACE", "SIZES", "build", "networks_from", "trainable"]


def build(config: ModelConfig, networks: DualNetworks) -> DualEncoder:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary can't be read or has more pieces than the model has rows.
    """
    tokenizer = open_tokenizer(config.vocabulary, **({} if networks.vocabulary_size == _ROWS_2 else _MARKERS))
    rows = networks.vocabulary_size or tokenizer.vocab_size
    layout = _hugging_face(dataclasses.replace(networks, vocabulary_size=rows), config.image_size)
    return dual_encoder.build(config, networks, layout, tokenizer)


def networks_from(config: Mapping[str, Any]) -> tuple[DualNetworks, int]:
    """Returns the networks that a `config.json` describes, and the side of its images in pixels.

    Raises:
      UserError: it asks for what isn't built here.
    """
    vision, text = config.get("vision_config") or {}, config.get("text_config") or {}
    for part in (vision, text):
        expect_config(part, {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": _EPSILON, "num_channels": 3})
    made = image_encoder.config_from(vision)
    networks = _networks(
        [getattr(made, key) for key in KEYS],
        list(sizes_from(text, KEYS, *BASE).values()),
        patch_size=made.patch_size,
        width=text.get("projection_size", text.get("hidden_size", 768)),
        length=text.get("max_position_embeddings", _LENGTH),
        vocabulary_size=text.get("vocab_size", _ROWS),
    )
    expect_config({"text_config": {"projection_size": networks.width}}, {"text_config.projection_size": made.width})
    return networks, vision.get("image_size", image_encoder.IMAGE_SIZE)


def _hugging_face(networks: DualNetworks, image_size: int) -> Layout:
    text = networks.text
    return Layout(
        rules=(
            *image_encoder.hugging_face("img/", "vision_model."),
            *image_encoder.pooling_rules("img/", "vision_model."),
            *text_encoder.hugging_face("txt/", "text_model.", head="text_model.head", head_bias=True),
            Rule("t", "logit_scale"),
            Rule("b", "logit_bias"),
        ),
        config={
            "architectures": ["SiglipModel"],
            "model_type": "siglip",
            "text_config": {
                "model_type": "siglip_text_model",
                **sizes_to(text, KEYS),
                "vocab_size": networks.vocabulary_size,
                "max_position_embeddings": text.length,
                "projection_size": networks.width,
                "hidden_act": "gelu_pytorch_tanh",
                "layer_norm_eps": _EPSILON,
            },
            "vision_config": image_encoder.to_config(networks.vision, image_size) | {"vision_use_head": True},
        },
        unused=(r".*\.position_ids$",),
    )
