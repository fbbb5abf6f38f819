"""Parameters in Hugging Face's format: `config.json` and safetensors, for every family by its `Layout`.

A parameter is read tensor by tensor and put straight where it belongs on the devices, so that beyond the parameters the
host holds one tensor. All names and shapes are checked before the first is read.
"""

import collections
import dataclasses
import json
import math
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from vlmcog.checkpoints import placement, safetensors
from vlmcog.checkpoints.safetensors import Tensor
from vlmcog.errors import UserError, did_you_mean
from vlmcog.files import write_text
from vlmcog.models.boundary import Params
from vlmcog.models.hugging_face import Layout, Rule, load_config
from vlmcog.progress import Progress

CONFIG = "config.json"


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of a parameter and the (part of a) tensor that holds it.

    Attributes:
      rule: what ties them.
      name: the tensor's.
      place: index of the piece within the parameter; empty for the whole.
      shape: of the piece, on our side.
    """

    rule: Rule
    name: str
    place: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def their_shape(self) -> tuple[int, ...]:
        """The shape of the whole tensor."""
        shape = self.rule.shape(self.shape)
        return shape if self.rule.part is None else (shape[0] * self.rule.part[1], *shape[1:])

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """The same in a file with rows of padding."""
        return self.their_shape if self.rule.padded is None else (self.rule.padded, *self.their_shape[1:])

    def to_ours(self, tensor: np.ndarray) -> np.ndarray:
        """The piece, cut out of the tensor."""
        if self.rule.part is not None:
            index, count = self.rule.part
            tensor = np.split(tensor, count)[index]
        return self.rule.to_ours(tensor, self.shape)


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns `config.json` of a checkpoint's folder.

    Raises:
      UserError: it is absent or damaged.
    """
    return load_config(pathlib.Path(folder) / CONFIG)


def load(
    path: str | os.PathLike[str], layout: Layout, abstract_params: Mapping[str, Any], *, description: str = ""
) -> Params:
    """Reads the parameters of a model.

    Args:
      path: a checkpoint's folder, its `.safetensors` file or its index.
      layout: the model's, `model.hugging_face`.
      abstract_params: the tree of shapes and dtypes to match; a leaf with a sharding is put on its devices, one without
        is a numpy array.
      description: of the progress bar; empty for none.

    Raises:
      UserError: a file is damaged, a tensor is missing, has another shape or isn't in the model.
    """
    leaves = flatten_dict(abstract_params, sep="/")
    pieces, tensors = plan(layout, leaves), _named(path, layout)
    read = {}
    if not any(name in tensors for name in layout.new):
        read = {
            piece.rule.path: placement.blank(leaves[piece.rule.path]) for piece in pieces if piece.name in layout.new
        }
        pieces = [piece for piece in pieces if piece.name not in layout.new]
    _check(path, layout, pieces, tensors)
    with Progress(len(pieces), description, unit="tensor") as bar:
        for key, mine in _by_path(pieces).items():
            read[key] = _read(leaves[key], mine, tensors, bar)
    return unflatten_dict({key: read[key] for key in leaves}, sep="/")


def save(
    folder: str | os.PathLike[str],
    layout: Layout,
    params: Mapping[str, Any],
    *,
    shard_bytes: int = 5_000_000_000,
    description: str = "",
) -> None:
    """Writes `config.json` and safetensors that transformers and `load` read; dtypes stay as they are.

    Raises:
      UserError: the folder can't be written.
    """
    leaves = flatten_dict(params, sep="/")
    by_name: dict[str, list[Piece]] = collections.defaultdict(list)
    for piece in plan(layout, leaves):
        by_name[piece.name].append(piece)
    tensors = {name: _describe(pieces, leaves) for name, pieces in by_name.items()}
    with Progress(len(tensors), description, unit="tensor") as bar:

        def read(name: str) -> np.ndarray:
            bar.advance()
            return join(by_name[name], leaves)

        safetensors.write(folder, tensors, read, shard_bytes=shard_bytes)
    dtype = {str(tensor.dtype) for tensor in tensors.values()}
    config = {**layout.config, "dtype": dtype.pop() if len(dtype) == 1 else "float32"}
    write_text(pathlib.Path(folder) / CONFIG, json.dumps(config, indent=2) + "\n")


def plan(layout: Layout, leaves: Mapping[str, Any]) -> list[Piece]:
    """Returns every piece of every parameter, by the rules.

    Args:
      layout: the model's.
      leaves: the parameters, or their shapes, by path.

    Raises:
      ValueError: the rules leave a parameter or a part of one out, or name one that isn't there: a bug of the family.
    """
    pieces = []
    for rule in layout.rules:
        if rule.path not in leaves:
            raise ValueError(f"the rule of {rule.name} names {rule.path}, which isn't a parameter")
        pieces += _pieces(rule, leaves[rule.path].shape)
    for path, mine in ({path: [] for path in leaves} | _by_path(pieces)).items():
        places = {piece.place for piece in mine}
        n_covered = sum(math.prod(piece.shape) for piece in mine)
        if len(places) != len(mine) or n_covered != math.prod(leaves[path].shape):
            raise ValueError(f"the rules cover {n_covered} of {leaves[path].shape} numbers of {path}, at {places}")
    return pieces


def _pieces(rule: Rule, shape: tuple[int, ...]) -> list[Piece]:
    layered = "{layer}" in rule.name
    own = () if rule.index is None else (rule.index,)
    rest = shape[layered + len(own) :]
    if not layered:
        return [Piece(rule, rule.name, own, rest)]
    layers = [str(rule.stride * place + rule.offset) for place in range(shape[0])]
    return [Piece(rule, rule.name.replace("{layer}", n), (i, *own), rest) for i, n in enumerate(layers)]


def _by_path(pieces: Iterable[Piece]) -> dict[str, list[Piece]]:
    grouped: dict[str, list[Piece]] = collections.defaultdict(list)
    for piece in pieces:
        grouped[piece.rule.path].append(piece)
    return grouped


def _named(path: str | os.PathLike[str], layout: Layout) -> dict[str, Tensor]:
    """The tensors by the names that the rules use, without copies and what the family doesn't read."""
    tensors: dict[str, Tensor] = {}
    for found, tensor in safetensors.find(path).items():
        name = layout.canonical(found)
        if any(re.match(pattern, name) for pattern in layout.unused):
            continue
        if name in tensors:
            raise UserError(f"{tensor.file} holds both {tensors[name].name} and {found}; keep one of them")
        tensors[name] = tensor
    for copy, original in layout.tied.items():
        _drop_copy(tensors, copy, original)
    return tensors


def _drop_copy(tensors: dict[str, Tensor], copy: str, original: str) -> None:
    if copy not in tensors or original not in tensors:
        return
    one, other = tensors.pop(copy), tensors[original]
    if one.shape != other.shape or not np.array_equal(one.read(), other.read()):
        raise UserError(
            f"{one.file}: {one.name} {list(one.shape)} differs from {other.name} {list(other.shape)}, whose copy this "
            "model makes it; set tie_word_embeddings in config.json to false if they are two"
        )


def _check(path: Any, layout: Layout, pieces: Iterable[Piece], tensors: Mapping[str, Tensor]) -> None:
    wanted = {piece.name: piece for piece in pieces}
    missing = [name for name in wanted if name not in tensors]
    extra = [name for name in tensors if name not in wanted]
    if missing:
        hint = did_you_mean(missing[0], extra)
        raise UserError(
            f"{path} lacks {_first(missing)}{hint}; the model's is {list(wanted[missing[0]].their_shape)}: "
            f"use a checkpoint of a {layout.config.get('model_type')} of this size"
        )
    if extra:
        tensor = tensors[extra[0]]
        raise UserError(
            f"{tensor.file} holds {_first([tensors[name].name for name in extra])}, {list(tensor.shape)}, which isn't "
            f"in the model; use a checkpoint of a {layout.config.get('model_type')} of this size"
        )
    for name, piece in wanted.items():
        _check_tensor(tensors[name], piece)


def _check_tensor(tensor: Tensor, piece: Piece) -> None:
    if tensor.shape not in (piece.their_shape, piece.padded_shape):
        raise UserError(
            f"{tensor.file}: {tensor.name} has shape {list(tensor.shape)} but the model's ({piece.rule.path}) is "
            f"{list(piece.their_shape)}; set model.size, model.image_size and model.vocabulary to the checkpoint's"
        )
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise UserError(
            f"{tensor.file}: {tensor.name} is {tensor.dtype}, not a float: a quantised checkpoint; fetch the original"
        )


def _first(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _read(leaf: Any, pieces: list[Piece], tensors: Mapping[str, Tensor], bar: Progress) -> np.ndarray | jax.Array:
    """One parameter, piece by piece, as numpy or where its sharding says."""
    whole: Any = None
    for piece in pieces:
        value = piece.to_ours(tensors[piece.name].read())
        if piece.place:
            whole = placement.write(placement.blank(leaf) if whole is None else whole, value, piece.place)
        else:
            whole = placement.place(leaf, value)
        bar.advance()
    return whole


def _describe(pieces: list[Piece], leaves: Mapping[str, Any]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(pieces[0].their_shape, leaves[pieces[0].rule.path].dtype)


def join(pieces: list[Piece], leaves: Mapping[str, Any]) -> np.ndarray:
    """Returns their tensor, from all its parts."""
    pieces = sorted(pieces, key=lambda piece: piece.rule.part or (0, 1))
    parts = [piece.rule.to_theirs(np.asarray(leaves[piece.rule.path][piece.place])) for piece in pieces]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
