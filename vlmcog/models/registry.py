"""The model families, by name: a new family is one file and one line here."""

from collections.abc import Callable

from vlmcog.models import paligemma
from vlmcog.models.boundary import VisionLanguageModel
from vlmcog.models.config import ModelConfig

FAMILIES: dict[str, Callable[[ModelConfig], VisionLanguageModel]] = {"paligemma": paligemma.build}


def build(config: ModelConfig) -> VisionLanguageModel:
    """Builds the model that `config` names; no parameters are made yet."""
    return FAMILIES[config.family](config)
