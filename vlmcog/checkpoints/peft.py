"""Adapters in PEFT's layout (https://github.com/huggingface/peft): `adapter_config.json`, `adapter_model.safetensors`.

An adapter goes by the same table as its weight W, a matrix [out, in] on their side, whose product with x becomes
W x + (alpha / r) B A x: A is [r, in] and B is [out, r]. Where three weights of ours are parts of one of theirs, so are
the adapters: their A lie one below the other and their B along the diagonal, at three times the rank and alpha.

PEFT adapts linear layers; biases go beside them. What else has learnt is kept with the whole module around it, adapters
merged (`modules_to_save`). So are Gemma 3's projection and the attention that pools SigLIP's images: PEFT's own module
around torch's MultiheadAttention (0.21) adds the change of its `out_proj` twice.
"""

import collections
import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Callable, Collection, Mapping
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
_ROOT = "base_model.model."
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


@dataclasses.dataclass(frozen=True)
class Plan:
    """What becomes of a run's parameters, by their names in Hugging Face's files.

    Attributes:
      adapted: the weights whose adapters are written, with their pieces.
      whole: the modules that are kept as they are once adapters are merged.
      kept: the tensors of these modules, and biases beside them, with their pieces.
    """

    adapted: Mapping[str, list[Piece]]
    whole: tuple[str, ...]
    kept: Mapping[str, list[Piece]]


def plan(layout: Layout, config: LoraConfig, params: Mapping[str, Any]) -> Plan:
    """Returns what becomes of a run's parameters; arguments as of `save`.

    Raises:
      UserError: something that has learnt has no place in PEFT's layout.
    """
    everything = _tensors(layout, params, lambda path: True)
    adapted = _tensors(layout, params, lambda path: path + A in params)
    also = _tensors(layout, params, lambda path: any(re.fullmatch(pattern, path) for pattern in config.also))
    for name in also:
        _check_place(layout, name)
    modules = [_module(name) for name in adapted if not name.endswith(_WEIGHT)]
    modules += [_module(name) for name in also if not _is_bias(name)]
    whole = tuple(sorted({module for module in modules if not _is_in(modules, module)}))
    linear = {name: pieces for name, pieces in adapted.items() if not _is_in(whole, name)}
    if not linear:
        raise UserError("no adapter of this run is of a linear layer of transformers; use --to huggingface")
    return Plan(linear, whole, {name: everything[name] for name in everything if name in also or _is_in(whole, name)})


def save(
    folder: str | os.PathLike[str],
    layout: Layout,
    config: LoraConfig,
    params: Mapping[str, Any],
    *,
    base: str,
    merged: Mapping[str, Any] | None = None,
) -> None:
    """Writes what a run with adapters has learnt.

    Args:
      folder: where.
      layout: the model's, `model.hugging_face`.
      config: what the adapters were made by.
      params: the parameters by name: arrays of the adapters, and the shapes at least of all others.
      base: what they were trained on, for `base_model_name_or_path`.
      merged: the parameters, by name, of the model that does without adapters what it does with them; read where the
        plan has something to be kept.

    Raises:
      UserError: the folder can't be written, or something that has learnt has no place in PEFT's layout.
    """
    planned = plan(layout, config, params)
    made = adapters(layout, config, params)
    tensors = {}
    for module, adapter in made.items():
        tensors |= {f"{module}.lora_A.weight": adapter.a, f"{module}.lora_B.weight": adapter.b}
    for name, pieces in planned.kept.items():
        module, dot, last = layout.module(name).rpartition(".")
        place = f"{module}.base_layer" if module in made else module
        tensors[place + dot + last] = hugging_face.join(pieces, merged or {})
    tensors = {_ROOT + name: array for name, array in tensors.items()}
    safetensors.write_file(pathlib.Path(folder) / WEIGHTS, tensors, tensors.__getitem__)
    described = _describe(config, made, base) | {
        "bias": "all" if any(not _is_in(planned.whole, name) for name in planned.kept) else "none",
        "modules_to_save": [layout.module(f"{module}.").removesuffix(".") for module in planned.whole] or None,
    }
    write_text(pathlib.Path(folder) / CONFIG, json.dumps(described, indent=2) + "\n")


def adapters(layout: Layout, config: LoraConfig, params: Mapping[str, Any]) -> dict[str, Adapter]:
    """Returns the adapters by the name of their linear layer in transformers; arguments and errors as of `save`."""
    adapted = plan(layout, config, params).adapted
    return {layout.module(name.removesuffix(_WEIGHT)): _join(adapted[name], config, params) for name in adapted}


def _tensors(layout: Layout, params: Mapping[str, Any], wanted: Callable[[str], bool]) -> dict[str, list[Piece]]:
    """The pieces of their tensors, of the parameters whose path is wanted."""
    shapes = {path: leaf for path, leaf in params.items() if not path.endswith((A, B))}
    by_name: dict[str, list[Piece]] = collections.defaultdict(list)
    for piece in hugging_face.plan(layout, shapes):
        if wanted(piece.rule.path):
            by_name[piece.name].append(piece)
    return by_name


def _check_place(layout: Layout, name: str) -> None:
    conditions = {
        "transformers has it": name not in layout.new,
        "it is tied to no other": name not in layout.tied.values(),
        "it lies in a module": _is_bias(name) or bool(_module(name)),
    }
    for condition, holds in conditions.items():
        if not holds:
            raise UserError(
                f"lora.also: PEFT keeps {name} beside adapters only if {condition}: write the merged model with "
                "--to huggingface, or train with another lora.also"
            )


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _is_bias(name: str) -> bool:
    return "bias" in name.rpartition(".")[2]


def _is_in(modules: Collection[str], name: str) -> bool:
    """Whether a tensor or a module is part of one of the modules."""
    return any(name.startswith(f"{module}.") for module in modules)


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
        "fan_in_fan_out": False,
        "r": first.rank,
        "lora_alpha": first.alpha,
        "lora_dropout": max(part.dropout for part in config.parts.values() if part.rank),
        "rank_pattern": {name: each.rank for name, each in made.items() if each.rank != first.rank},
        "alpha_pattern": {name: each.alpha for name, each in made.items() if each.alpha != first.alpha},
        "target_modules": list(made),
    }
