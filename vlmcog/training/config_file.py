"""A config from a Python file and the command line: `--config FILE[:ARG]` and `--config.KEY=VALUE`."""

import dataclasses
import importlib.util
import pathlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import DEFINE_config_dict

from vlmcog.errors import UserError, did_you_mean
from vlmcog.training import tree
from vlmcog.training.config import TrainConfig

OVERRIDE = "--config."

T = TypeVar("T")


def load(path: str, overrides: Sequence[str] = (), kind: type[T] = TrainConfig) -> T:
    """Returns the config that `get_config(ARG)` of a file gives, with values replaced.

    Args:
      path: `FILE.py` or `FILE.py:ARG`; the file defines `get_config(arg="")`, which returns a ConfigDict.
      overrides: arguments such as `--config.seed=1`; a tuple is given as `--config.data.augment='("shift",)'`.
      kind: the class of the config.

    Raises:
      UserError: no such file, an unknown key or argument, or a value of another type.
    """
    config = dataclasses.asdict(tree.build(kind, _from_file(path).to_dict()))  # pyright: ignore[reportArgumentType]
    for argument in overrides:
        _check_argument(argument, list(tree.flatten(config)))
    return tree.build(kind, _override(ConfigDict(config, type_safe=False), list(overrides)).to_dict())


def choose(argument: str, choices: Mapping[str, T]) -> T:
    """Returns what a config file offers for its argument; the first where it is empty.

    Raises:
      UserError: it offers nothing for that argument.
    """
    tree.check_known("config argument", argument or next(iter(choices)), choices)
    return choices[argument or next(iter(choices))]


def _from_file(path: str) -> ConfigDict:
    name, _, argument = path.partition(":")
    file = pathlib.Path(name)
    if file.suffix != ".py" or not file.is_file():
        neighbours = [str(other) for other in sorted(file.parent.glob("*.py"))]
        raise UserError(
            f"--config {name} is not a Python file{did_you_mean(name, neighbours)}; use configs/NAME.py[:ARG]"
        )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(argument)


def _check_argument(argument: str, keys: Sequence[str]) -> None:
    if argument.startswith(OVERRIDE):
        tree.check_known("config key", argument.removeprefix(OVERRIDE).partition("=")[0], keys)
    elif argument.startswith("-"):
        name = argument.partition("=")[0]
        known = [
            "--config",
            "--workdir",
            "--dry_run",
            "--skip_damaged",
            "--devices",
            "--help",
            *(f"{OVERRIDE}{key}" for key in keys),
        ]
        raise UserError(f"unknown argument {name}{did_you_mean(name, known)}; see --help")


def _override(config: ConfigDict, overrides: list[str]) -> ConfigDict:
    arguments, values = ["vlmcog", *overrides], flags.FlagValues()
    try:
        holder = DEFINE_config_dict("config", config, flag_values=values, sys_argv=arguments)
        rest = values(arguments)[1:]
    except (flags.Error, TypeError, ValueError) as error:
        raise UserError(" ".join(str(error).split())) from error
    if rest:
        raise UserError(f"what is {rest[0]!r}? Values are given as {OVERRIDE}KEY=VALUE; see --help")
    return holder.value
