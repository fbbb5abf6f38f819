"""Adapters in PEFT's layout (https://github.com/huggingface/peft): `adapter_config.json`, `adapter_model.safetensors`.

An adapter goes by the same table as its weight W, a matrix [out, in] on their side, whose product with x becomes
W x + (alpha / r) B A x: A is [r, in] and B is [out, r]. Where three weights of ours are parts of one of theirs, so are
the adapters: their A lie one below the other and their B along the diagonal, at three times the rank and alpha.
"""

import collections
import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.linalg

from vlmcog.checkpoints import hugging_face, safetensors
from vlmcog.checkpoints.hugging_face import Piece
from vlmcog.errors import UserError
from vlmcog.files import write_text
from vlmcog.models.hugging_face import Layout
from vlmcog.training.adapters import A, B
from vlmcog.training.config import LoraConfig, PartLora
from vlmcog.training.matrices import part_of

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_WEIGHT = ".weight"


@dataclasses.dataclass(frozen=True)
class Adapter:
    """The adapter of one module of theirs.

    Attributes:
      a: [r, in].
      b: [out, r].
      alpha: its product is scaled by alpha / r.
    """

    a: np.ndarray
    b: np.ndarray
    alpha: float

    @property
    def rank(self) -> int:
        """Its inner dimension r."""
        return len(self.a)


def save(
    folder: str | os.PathLike[str], layout: Layout, config: LoraConfig, params: Mapping[str, Any], *, base: str
) -> None:
    """Writes the adapters of a run.

    Args:
      folder: where.
      layout: the model's, `model.hugging_face`.
      config: what the adapters were made by.
      params: the parameters by name: arrays of the adapters, and the shapes at least of all others.
      base: what they were trained on, for `base_model_name_or_path`.

    Raises:
      UserError: the folder can't be written, or transformers keeps a weight with an adapter outside of a linear layer.
    """
    made = adapters(layout, config, params)
    tensors = {}
    for module, adapter in made.items():
        name = f"base_model.model.{module}"
        tensors |= {f"{name}.lora_A.weight": adapter.a, f"{name}.lora_B.weight": adapter.b}
    safetensors.write_file(pathlib.Path(folder) / WEIGHTS, tensors, tensors.__getitem__)
    write_text(pathlib.Path(folder) / CONFIG, json.dumps(_describe(config, made, base), indent=2) + "\n")


def adapters(layout: Layout, config: LoraConfig, params: Mapping[str, Any]) -> dict[str, Adapter]:
    """Returns every adapter by the name of its module in transformers; arguments and errors as of `save`."""
    shapes = {path: leaf for path, leaf in params.items() if not path.endswith((A, B))}
    by_name: dict[str, list[Piece]] = collections.defaultdict(list)
    for piece in hugging_face.plan(layout, shapes):
        if piece.rule.path + A in params:
            by_name[piece.name].append(piece)
    return {_module(layout, name): _join(pieces, config, params) for name, pieces in by_name.items()}


def _module(layout: Layout, name: str) -> str:
    if not name.endswith(_WEIGHT):
        raise UserError(
            f"transformers keeps {name} outside of a linear layer, so that PEFT has no adapter for it: write the "
            "merged model with --to huggingface, or train without an adapter there"
        )
    return layout.module(name.removesuffix(_WEIGHT))


def _join(pieces: list[Piece], config: LoraConfig, params: Mapping[str, Any]) -> Adapter:
    pieces = sorted(pieces, key=lambda piece: piece.rule.part or (0, 1))
    parts = [_adapter(piece, config.parts[part_of(piece.rule.path)], params) for piece in pieces]
    b = np.asarray(scipy.linalg.block_diag(*[part.b for part in parts]))
    return Adapter(np.concatenate([part.a for part in parts]), b, sum(part.alpha for part in parts))


def _adapter(piece: Piece, part: PartLora, params: Mapping[str, Any]) -> Adapter:
    """Ours, [*summed, r] and [r, *left], whose axes flatten in the order of theirs."""
    a, b = (np.asarray(params[piece.rule.path + end][piece.place]) for end in (A, B))
    a, b = (np.ascontiguousarray(x.T) for x in (a.reshape(-1, part.rank), b.reshape(part.rank, -1)))
    assert (len(b), a.shape[1]) == piece.rule.shape(piece.shape), piece.name
    return Adapter(a, b, part.alpha)


def _describe(config: LoraConfig, made: Mapping[str, Adapter], base: str) -> dict[str, Any]:
    """The rank and alpha of the first module hold for all that aren't listed; PEFT knows one dropout, of training."""
    first = next(iter(made.values()))
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "inference_mode": True,
        "bias": "none",
        "fan_in_fan_out": False,
        "r": first.rank,
        "lora_alpha": first.alpha,
        "lora_dropout": max(part.dropout for part in config.parts.values() if part.rank),
        "rank_pattern": {name: each.rank for name, each in made.items() if each.rank != first.rank},
        "alpha_pattern": {name: each.alpha for name, each in made.items() if each.alpha != first.alpha},
        "target_modules": list(made),
    }
