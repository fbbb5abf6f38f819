"""Nested mappings to dataclasses and back, with errors that name the dotted key."""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from vlmcog.errors import UserError, did_you_mean

T = TypeVar("T")

MOST_LISTED = 8


def build(cls: type[T], tree: Mapping[str, Any], *, key: str = "") -> T:
    """Returns the dataclass `cls` with the values of `tree`; fields that it lacks keep their defaults.

    Lists become tuples and whole numbers reals where the field's type says so.

    Raises:
      UserError: a key that is no field, or a value of another type; `key` is the dotted key of `tree`.
    """
    hints = typing.get_type_hints(cls)
    for name in tree:
        check_known("config key", f"{key}{name}", [f"{key}{field}" for field in hints])
    return cls(**{name: _convert(value, hints[name], f"{key}{name}") for name, value in tree.items()})


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of a nested mapping by dotted key."""
    leaves = {}
    for name, value in tree.items():
        nested = isinstance(value, Mapping)
        leaves |= flatten(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return leaves


def check_known(what: str, value: str, known: Iterable[str]) -> None:
    """Raises UserError, with the nearest known value or all, unless `value` is one of them."""
    known = list(known)
    if value not in known:
        listed = f"; use {' or '.join(known)}" if len(known) <= MOST_LISTED else ""
        raise UserError(f"{what} {value!r} is unknown{did_you_mean(value, known) or listed}")


def check_at_least(key: str, value: float, least: float) -> None:
    """Raises UserError unless `value` is a number from `least` up."""
    if not value >= least:  # NaN is not
        raise UserError(f"{key}={value} is too small; give {least} or more")


def _convert(value: Any, hint: Any, key: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return build(typing.cast(type, hint), value, key=f"{key}.")
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) == len(value):
            return tuple(_convert(item, kind, key) for item, kind in zip(value, kinds, strict=True))
    if origin is Literal and isinstance(value, str):
        check_known(key, value, arguments)
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is hint:
        return value
    raise UserError(f"{key} must be {_describe(hint)}, not {value!r}")


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        kinds = [_describe(kind) for kind in typing.get_args(hint) if kind is not Ellipsis]
        return f"a tuple of ({', '.join(kinds)})"
    if dataclasses.is_dataclass(hint):
        return "a group of keys"
    return {int: "a whole number", float: "a number", str: "text", bool: "True or False"}.get(hint, "text")
