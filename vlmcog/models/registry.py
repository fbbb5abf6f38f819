"""The model families, by name: a new family is one file and one line here.

The file offers what `Family` says. It is imported when first asked for, so that a run pays for its own family alone.
"""

import importlib
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from vlmcog.models.boundary import VisionLanguageModel
    from vlmcog.models.config import ModelConfig, Networks

FAMILIES = {
    "clip": "vlmcog.models.clip",
    "flamingo": "vlmcog.models.flamingo",
    "gemma3": "vlmcog.models.gemma3",
    "paligemma": "vlmcog.models.paligemma",
    "qwen": "vlmcog.models.qwen",
    "siglip": "vlmcog.models.siglip",
}


class Family(Protocol):
    """What a family's file offers.

    Attributes:
      SIZES: its networks, by the name of their size: public ones, a `tiny` that learns on a laptop, a `nano` for tests.
      HUGGING_FACE: the `model_type` of the `config.json` that it reads.
      IN_BIG_VISION: whether big_vision has the model too, and so a file format for it.
    """

    SIZES: "Mapping[str, Networks]"
    HUGGING_FACE: tuple[str, ...]
    IN_BIG_VISION: bool

    # Optional: `trainable(config)`, rules as of `optimizer.trainable`, where not all of a pre-trained model learns.

    def build(self, config: "ModelConfig", networks: "Networks") -> "VisionLanguageModel":
        """Builds the model of a config, with networks of any size of the family."""
        ...

    def networks_from(self, config: Mapping[str, Any]) -> "tuple[Networks, int]":
        """Returns the networks that a `config.json` describes, and the side of its images in pixels.

        Raises:
          UserError: it asks for what the family doesn't build.
        """
        ...


def family(name: str) -> Family:
    """Returns a family, importing its file."""
    return typing.cast(Family, importlib.import_module(FAMILIES[name]))


def trainable(config: "ModelConfig") -> tuple[tuple[str, bool], ...]:
    """Rules that say which parameters of a pre-trained model learn unless a run says otherwise: most often, all."""
    rules = getattr(family(config.family), "trainable", None)
    return ((".*", True),) if rules is None else rules(config)


def build(config: "ModelConfig") -> "VisionLanguageModel":
    """Builds the model that `config` names; no parameters are made yet."""
    return family(config.family).build(config, config.networks)
