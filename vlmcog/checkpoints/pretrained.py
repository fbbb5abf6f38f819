"""Public checkpoints as models, whatever their format: big_vision's npz, or a folder with safetensors."""

import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from vlmcog.checkpoints import big_vision, hugging_face
from vlmcog.errors import UserError
from vlmcog.files import atomic_path
from vlmcog.models import registry
from vlmcog.models.boundary import Params, VisionLanguageModel
from vlmcog.models.config import CUSTOM, ModelConfig

TOKENIZERS = ("tokenizer.model", "tokenizer.json", "spiece.model")
# What the processors of transformers read beside a tokenizer, and nothing here does.
_OF_PROCESSORS = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "vocab.json",
)


def config_of(folder: str | os.PathLike[str], **values: Any) -> ModelConfig:
    """Returns the config of the model in a folder of Hugging Face's format, by its `config.json`.

    Args:
      folder: with `config.json` and, if it is to read text, one of `TOKENIZERS`.
      **values: of `ModelConfig`, that replace the folder's.

    Raises:
      UserError: the folder is none, or no family here reads its `model_type`.
    """
    folder = pathlib.Path(folder).absolute()
    config = hugging_face.read_config(folder)
    family = _family(folder, config.get("model_type"))
    _, image_size = registry.family(family).networks_from(config)
    tokenizers = [str(folder / name) for name in TOKENIZERS if (folder / name).is_file()]
    own = {
        "family": family,
        "size": CUSTOM,
        "config_json": str(folder / hugging_face.CONFIG),
        "image_size": image_size,
        "vocabulary": tokenizers[0] if tokenizers else "",
    }
    return ModelConfig(**(own | values))


def load(
    path: str | os.PathLike[str],
    model: VisionLanguageModel,
    abstract_params: Mapping[str, Any],
    *,
    description: str = "",
) -> Params:
    """Reads a model's parameters from an `.npz` in big_vision's format, or else in Hugging Face's.

    Args:
      path: an `.npz`, a `.safetensors`, an index of shards, or a folder that holds one of the last two.
      model: whose parameters they are.
      abstract_params: their shapes and dtypes; a leaf with a sharding is put on its devices.
      description: of the progress bar; empty for none.

    Raises:
      UserError: the checkpoint can't be read or is one of another model.
    """
    if pathlib.Path(path).suffix == ".npz":
        return big_vision.load(path, abstract_params, description=description)
    return hugging_face.load(path, model.hugging_face, abstract_params, description=description)


def check_tokenizer(path: str | os.PathLike[str], model: VisionLanguageModel) -> None:
    """Refuses to read a checkpoint's words with the small tokenizer that ships, unless it is the checkpoint's.

    Args:
      path: as of `load`.
      model: that is to read questions; one whose embedding has a row for each piece of its tokenizer fits no other.

    Raises:
      UserError: it would, in silence: any ids that are low enough have an embedding.
    """
    if model.config.vocabulary or not getattr(model.config.networks, "vocabulary_size", 0):
        return
    folder = pathlib.Path(path) if pathlib.Path(path).is_dir() else pathlib.Path(path).parent
    found = [folder / name for name in TOKENIZERS if (folder / name).is_file()]
    if not any(file.read_bytes() == model.processor.tokenizer.path.read_bytes() for file in found):
        name = found[0] if found else f"its {' or '.join(TOKENIZERS)}"
        raise UserError(f"{path} was trained with a tokenizer of its own: set model.vocabulary to {name}")


def save_tokenizer(folder: str | os.PathLike[str], model: VisionLanguageModel) -> None:
    """Copies a model's tokenizer into a checkpoint's folder, by the name that `config_of` finds it by.

    The files that transformers makes its processor of go with it, where they lie beside it.

    Raises:
      UserError: the folder can't be written.
    """
    path = model.processor.tokenizer.path
    other = "tokenizer.json" if path.suffix == ".json" else "tokenizer.model"
    files = {path.name if path.name in TOKENIZERS else other: path}
    if path.name in TOKENIZERS:
        files |= {name: path.with_name(name) for name in (*TOKENIZERS, *_OF_PROCESSORS)}
    for name, file in files.items():
        if file.is_file():
            with atomic_path(pathlib.Path(folder) / name) as temporary:
                shutil.copyfile(file, temporary)


def _family(folder: pathlib.Path, kind: Any) -> str:
    known = {kind: name for name in registry.FAMILIES for kind in registry.family(name).HUGGING_FACE}
    if kind not in known:
        raise UserError(f"{folder}/config.json is of model_type {kind!r}; vlmcog reads {', '.join(sorted(known))}")
    return known[kind]
