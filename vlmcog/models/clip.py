"""CLIP (https://arxiv.org/abs/2103.00020): a class token, a causal text tower read at end-of-text, a learned scale."""

from collections.abc import Mapping, Sequence
from typing import Any

from vlmcog.models import dual_encoder, image_encoder, images, text_encoder
from vlmcog.models.config import Activation, ModelConfig, VisionConfig
from vlmcog.models.dual_encoder import DualEncoder, DualNetworks, trainable
from vlmcog.models.hugging_face import KEYS, Layout, Rule, dense, expect_config, read_config, sizes_from, sizes_to
from vlmcog.models.image_encoder import BASE, LARGE
from vlmcog.models.text_encoder import TextConfig
from vlmcog.models.tokenizer import Tokenizer, open_tokenizer

HUGGING_FACE = ("clip",)
IN_BIG_VISION = False
_MARKERS = {"pad": "<|endoftext|>", "eos": "<|endoftext|>", "bos": "<|startoftext|>"}
_EPSILON = 1e-5
_ROWS = 49_408
_TEXT = (512, 12, 2048, 8)
_ACTIVATIONS: dict[str, Activation] = {"quick_gelu": "quick_gelu", "gelu": "gelu"}


def _networks(
    vision: Sequence[int],
    text: Sequence[int],
    *,
    patch_size: int,
    width: int,
    activation: Activation = "quick_gelu",
    length: int = 77,
    vocabulary_size: int = _ROWS,
) -> DualNetworks:
    """Towers of (width, depth, MLP width, heads)."""
    common: Any = {"activation": activation, "epsilon": _EPSILON}
    words = dict(zip(KEYS, text, strict=True)) | common
    return DualNetworks(
        image_encoder.vision(vision, patch_size, **image_encoder.CLIP, **common),
        TextConfig(length=length, causal=True, pool="eos", output_bias=False, **words),
        width,
        pool="class",
        image_head=True,
        bias=False,
        recipe=images.CLIP,
        clean="lower",
        bos=True,
        vocabulary_size=vocabulary_size,
    )


SIZES = {
    "nano": _networks((32, 2, 64, 2), (32, 2, 64, 4), patch_size=8, width=16, length=40, vocabulary_size=0),
    "tiny": _networks((192, 4, 768, 4), (128, 2, 256, 4), patch_size=16, width=128, length=40, vocabulary_size=0),
    "base-32": _networks(BASE, _TEXT, patch_size=32, width=512),
    "base-16": _networks(BASE, _TEXT, patch_size=16, width=512),
    "large-14": _networks(LARGE, BASE, patch_size=14, width=768),
    # Trained by LAION, with the exact GELU.
    "huge-14": _networks((1280, 32, 5120, 16), LARGE, patch_size=14, width=1024, activation="gelu"),
}

__all__ = ["HUGGING_FACE", "SIZES", "build", "networks_from", "trainable"]


def build(config: ModelConfig, networks: DualNetworks) -> DualEncoder:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary can't be read or has more pieces than the model has rows.
    """
    tokenizer = open_tokenizer(config.vocabulary, **_MARKERS)
    layout = _hugging_face(networks, config.image_size, tokenizer)
    return dual_encoder.build(config, networks, layout, tokenizer)


def networks_from(config: Mapping[str, Any]) -> tuple[DualNetworks, int]:
    """Returns the networks that a `config.json` describes, and the side of its images in pixels.

    Raises:
      UserError: it asks for what isn't built here.
    """
    vision, text = config.get("vision_config") or {}, config.get("text_config") or {}
    activation = read_config(vision, "hidden_act", default="quick_gelu")
    expect_config(vision, {"hidden_act": _ACTIVATIONS.get(activation), "num_channels": 3})
    expect_config({"text_config": text}, {"text_config.hidden_act": activation})
    for part in (vision, text):
        expect_config(part, {"layer_norm_eps": _EPSILON})
    networks = _networks(
        list(sizes_from(vision, KEYS, *BASE).values()),
        list(sizes_from(text, KEYS, *_TEXT).values()),
        patch_size=vision.get("patch_size", 32),
        width=config.get("projection_dim", 512),
        activation=activation,
        length=text.get("max_position_embeddings", 77),
        vocabulary_size=text.get("vocab_size", _ROWS),
    )
    return networks, vision.get("image_size", image_encoder.IMAGE_SIZE)


def _hugging_face(networks: DualNetworks, image_size: int, tokenizer: Tokenizer) -> Layout:
    common = {"projection_dim": networks.width}
    text = {
        "model_type": "clip_text_model",
        "vocab_size": networks.vocabulary_size or tokenizer.vocab_size,
        "max_position_embeddings": networks.text.length,
        "bos_token_id": tokenizer.bos,
        "eos_token_id": tokenizer.eos,
        "pad_token_id": tokenizer.pad,
    }
    vision = {"model_type": "clip_vision_model", "patch_size": networks.vision.patch_size, "image_size": image_size}
    return Layout(
        rules=(
            *image_encoder.hugging_face("img/", "vision_model.", networks.vision),
            *dense("img/head", "visual_projection", bias=False),
            *text_encoder.hugging_face("txt/", "text_model.", head="text_projection", head_bias=False),
            Rule("t", "logit_scale", " -> 1"),
        ),
        config={
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": networks.width,
            "text_config": common | text | _tower_config(networks.text),
            "vision_config": common | vision | _tower_config(networks.vision),
        },
        unused=(r".*\.position_ids$",),
    )


def _tower_config(tower: VisionConfig | TextConfig) -> dict[str, Any]:
    return {
        **sizes_to(tower, KEYS),
        "hidden_act": tower.activation,
        "layer_norm_eps": tower.epsilon,
    }
