"""How a family's parameters are called and shaped in Hugging Face's files, as data.

Each network says its own table beside its parameters (`siglip.hugging_face`, `gemma.hugging_face`), and a family joins
those of its networks into one `Layout`. A row of a table says of a parameter and the public tensor that holds the same
numbers:

    Rule("llm/layers/attn/q_einsum/w", "model.layers.{layer}.self_attn.q_proj.weight", "(n h) d -> n d h")

`{layer}` stands for each layer where ours stacks them on its first axis. The letters name axes, theirs left of the
arrow and ours right of it: a group in brackets is one axis of theirs that ours splits, and `1` an axis that only ours
has. Sizes come from our shape, so that a row holds for every size of the family and reads both ways.
"""

import dataclasses
import json
import math
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vlmcog.errors import UserError


@dataclasses.dataclass(frozen=True)
class Rule:
    """One parameter, or a part of one, and its public tensor, or a part of one.

    Attributes:
      path: ours, such as `img/head/kernel`.
      name: theirs; with `{layer}` where ours stacks the layers on its first axis.
      axes: `theirs -> ours` of one layer, as above; empty where they are the same.
      index: where several tensors share a parameter, the place of this one on its first axis (after that of layers).
      part: where several parameters share a tensor: (k, n) is the k-th of n equal parts of its first axis.
      padded: where files may pad theirs: the number of rows on their first axis. Rows beyond ours are dropped on the
        way in, and none are written: they would take a share of the softmax.
      stride: where ours stacks every so-manieth layer of theirs only: `{layer}` is stride * place + offset.
      offset: the first of these layers.
    """

    path: str
    name: str
    axes: str = ""
    index: int | None = None
    part: tuple[int, int] | None = None
    padded: int | None = None
    stride: int = 1
    offset: int = 0

    def shape(self, ours: Sequence[int]) -> tuple[int, ...]:
        """The shape of their (part of a) tensor, from that of our (part of a) parameter."""
        groups, sizes = _groups(self.axes, ours), _sizes(self.axes, ours)
        return tuple(math.prod(sizes[letter] for letter in group) for group in groups)

    def to_ours(self, theirs: np.ndarray, ours: Sequence[int]) -> np.ndarray:
        """Our array, of shape `ours`, from theirs, whose shape is `self.shape(ours)` or has rows of padding below."""
        sizes, flat, order = _sizes(self.axes, ours), *_orders(self.axes, ours)
        if self.padded is not None:
            theirs = theirs[: self.shape(ours)[0]]
        split = theirs.reshape([sizes[letter] for letter in flat])
        return split.transpose([flat.index(letter) for letter in order]).reshape(tuple(ours))

    def to_theirs(self, ours: np.ndarray) -> np.ndarray:
        """Undoes `to_ours`, but for rows of padding."""
        sizes, flat, order = _sizes(self.axes, ours.shape), *_orders(self.axes, ours.shape)
        split = ours.reshape([sizes[letter] for letter in order])
        return split.transpose([order.index(letter) for letter in flat]).reshape(self.shape(ours.shape))


@dataclasses.dataclass(frozen=True)
class Layout:
    """All that ties a model to Hugging Face's format.

    Attributes:
      rules: a row for every parameter, in the names that the public checkpoints bear; written in these names too.
      config: what `config.json` says of the model.
      renames: (pattern, replacement) pairs, applied in order to the names in a file, for those that other versions of
        transformers wrote.
      tied: names that some files hold beside the tensor whose copy they are: {copy: original}.
      unused: patterns of tensors that the family never reads, such as buffers.
      new: tensors that only vlmcog's files hold; where a file has none of them, what they hold starts at zero.
      modules: (pattern, replacement) pairs that make of a name that `rules` uses that of the module in the classes of
        transformers 5, where the two differ.
    """

    rules: tuple[Rule, ...]
    config: Mapping[str, Any]
    renames: tuple[tuple[str, str], ...] = ()
    tied: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unused: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    modules: tuple[tuple[str, str], ...] = ()

    def canonical(self, name: str) -> str:
        """The name that `rules` uses for a name found in a file."""
        return _rename(self.renames, name)

    def module(self, name: str) -> str:
        """The name in transformers' classes of what bears the name `name` in `rules`."""
        return _rename(self.modules, name)


def load_config(path: str | os.PathLike[str], kinds: Sequence[str] = ()) -> dict[str, Any]:
    """Returns a `config.json`.

    Args:
      path: of the file.
      kinds: the `model_type`s that are wanted; empty for any.

    Raises:
      UserError: it is absent, damaged or of another `model_type`.
    """
    try:
        config = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; name a folder with config.json and weights") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON ({error}); fetch it again") from error
    if not isinstance(config, dict) or (kinds and config.get("model_type") not in kinds):
        found = config.get("model_type") if isinstance(config, dict) else None
        raise UserError(
            f"{path} is of model_type {found!r}, not {' or '.join(map(repr, kinds))}; set model.family to its"
        )
    return config


# What a `config.json` calls the sizes of a transformer.
KEYS = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "mlp_dim": "intermediate_size",
    "num_heads": "num_attention_heads",
}
DECODER_KEYS = {**KEYS, "num_kv_heads": "num_key_value_heads"}


def sizes_from(config: Mapping[str, Any], keys: Mapping[str, str], *defaults: int) -> dict[str, Any]:
    """The sizes that a `config.json` gives, by our names.

    Args:
      config: of the transformer.
      keys: theirs by ours.
      *defaults: what leaving a key out means, one for each key; none where all must be there.

    Raises:
      UserError: a key without default is absent.
    """
    given = defaults or (None,) * len(keys)
    sizes = zip(keys.items(), given, strict=True)
    return {ours: read_config(config, theirs, default=default) for (ours, theirs), default in sizes}


def sizes_to(made: Any, keys: Mapping[str, str]) -> dict[str, Any]:
    """Undoes `sizes_from`."""
    return {theirs: getattr(made, ours) for ours, theirs in keys.items()}


def read_config(config: Mapping[str, Any], key: str, *, default: Any = None) -> Any:
    """The value at a dotted key of a `config.json`.

    Raises:
      UserError: the key is absent and has no default.
    """
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None and default is None:
        raise UserError(f"config.json lacks {key}; use the config.json that came with the checkpoint")
    return default if value is None else value


def expect_config(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Checks what vlmcog builds in one way only, by dotted key; an absent key is taken to be as wanted.

    Raises:
      UserError: a value differs.
    """
    for key, value in wanted.items():
        found = read_config(config, key, default=value)
        if found != value:
            raise UserError(f"config.json: {key} is {found!r}, which vlmcog doesn't build; it builds {value!r}")


def within(rules: Sequence[Rule], path: str, name: str) -> list[Rule]:
    """The rules of a network inside a family: `path` before each of ours, `name` before each of theirs."""
    return [dataclasses.replace(rule, path=path + rule.path, name=name + rule.name) for rule in rules]


def dense(path: str, name: str, *, bias: bool = True) -> list[Rule]:
    """The rules of a dense layer."""
    return [
        Rule(f"{path}/kernel", f"{name}.weight", "f d -> d f"),
        *[Rule(f"{path}/bias", f"{name}.bias")][: int(bias)],
    ]


def norm(path: str, name: str, *, bias: bool = True) -> list[Rule]:
    """The rules of a LayerNorm or, without bias, of an RMSNorm."""
    return [Rule(f"{path}/scale", f"{name}.weight"), *[Rule(f"{path}/bias", f"{name}.bias")][: int(bias)]]


def heads(path: str, name: str, *, bias: bool = True) -> list[Rule]:
    """The rules of the projections to queries, keys and values: `q_proj`, `k_proj` and `v_proj`."""
    parts = ("query", "key", "value")
    kernels = [Rule(f"{path}{part}/kernel", f"{name}{part[0]}_proj.weight", "(n h) d -> d n h") for part in parts]
    biases = [Rule(f"{path}{part}/bias", f"{name}{part[0]}_proj.bias", "(n h) -> n h") for part in parts]
    return kernels + (biases if bias else [])


def packed_heads(path: str, weight: str, bias: str) -> list[Rule]:
    """The same where one matrix and one vector of theirs hold the three, one after the other."""
    return [
        rule
        for index, part in enumerate(("query", "key", "value"))
        for rule in (
            Rule(f"{path}{part}/kernel", weight, "(n h) d -> d n h", part=(index, 3)),
            Rule(f"{path}{part}/bias", bias, "(n h) -> n h", part=(index, 3)),
        )
    ]


def joined_heads(path: str, name: str, *, bias: bool = True) -> list[Rule]:
    """The rules of the projection from the heads back to the width."""
    return [
        Rule(f"{path}/kernel", f"{name}.weight", "d (n h) -> n h d"),
        *[Rule(f"{path}/bias", f"{name}.bias")][: int(bias)],
    ]


def gated_mlp(path: str, name: str, *, bias: bool) -> list[Rule]:
    """The rules of an MLP with a gate."""
    return [rule for part in ("gate", "up", "down") for rule in dense(path + part, f"{name}{part}_proj", bias=bias)]


def _rename(pairs: Sequence[tuple[str, str]], name: str) -> str:
    for pattern, replacement in pairs:
        name = re.sub(pattern, replacement, name)
    return name


def _split(axes: str, ours: Sequence[int]) -> tuple[str, list[str]]:
    """Their side of a rule, and our side's letters; without a rule, one letter an axis on both."""
    if axes:
        theirs, _, mine = axes.partition("->")
        return theirs, mine.split()
    letters = [chr(ord("a") + index) for index in range(len(ours))]
    return " ".join(letters), letters


def _groups(axes: str, ours: Sequence[int]) -> list[list[str]]:
    theirs, _ = _split(axes, ours)
    return [match.strip("()").split() for match in re.findall(r"\([^)]*\)|\S+", theirs)]


def _sizes(axes: str, ours: Sequence[int]) -> dict[str, int]:
    _, mine = _split(axes, ours)
    return dict(zip(mine, ours, strict=True))


def _orders(axes: str, ours: Sequence[int]) -> tuple[list[str], list[str]]:
    """The letters in their order and in ours."""
    flat = [letter for group in _groups(axes, ours) for letter in group]
    return flat, [letter for letter in _split(axes, ours)[1] if letter != "1"]
