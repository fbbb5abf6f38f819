"""Rules that say something of every parameter by its name."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import jax

from vlmcog.errors import UserError

T = TypeVar("T")


def name_of(path: tuple[Any, ...]) -> str:
    """Returns the name of a leaf, such as `llm/layers/mlp/linear`, from its key path."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def apply_rules(key: str, rules: Sequence[tuple[str, T]], tree: Any) -> Any:
    """Returns a tree like `tree` with, at each leaf, the value of the first rule whose pattern matches its whole name.

    Args:
      key: the config key that holds the rules, for errors.
      rules: (regular expression, value) pairs.
      tree: parameters, or their shapes.

    Raises:
      UserError: a parameter that no rule matches, or a rule that decides on no parameter: most likely a typo.
    """
    unused = dict.fromkeys(pattern for pattern, _ in rules)

    def value_for(path: tuple[Any, ...], _: Any) -> T:
        for pattern, value in rules:
            if re.fullmatch(pattern, name_of(path)):
                unused.pop(pattern, None)
                return value
        raise UserError(f"{key}: no rule matches the parameter {name_of(path)}; end with a rule for '.*'")

    values = jax.tree_util.tree_map_with_path(value_for, tree)
    for pattern in unused:
        raise UserError(f"{key}: the rule {pattern!r} decides on no parameter; mend its pattern or leave it out")
    return values
