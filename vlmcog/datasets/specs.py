"""Which dataset: `NAME/CONFIG`, where the name and the options determine each other.

The CONFIG of a synthetic set is `{look}_{small|large}` and a suffix for each option that differs from its default,
in a fixed order: `cubeworld_towers/wooden_large-size64-train4000-seed1`. Different options never share a folder.
A public set has one configuration and no CONFIG: `lerer_towers`.
"""

import dataclasses
import re
from collections.abc import Iterable

from vlmcog.datasets import registry
from vlmcog.errors import UserError, did_you_mean
from vlmcog.scenes.looks import LOOKS

SPLITS = ("train", "validation", "test")
SPLIT_SIZES = ("small", "large")
DEFAULT_CONFIG = "cubeworld_small"
SUFFIXES = {
    "size": "image_size",
    "train": "train",
    "validation": "validation",
    "test": "test",
    "seed": "seed",
    "limit": "shortcut_limit",
}
LEAST = {"image_size": 16, "train": 1, "validation": 1, "test": 1, "seed": 0, "shortcut_limit": 50}
NO_LIMIT = 100


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """One dataset with every option.

    Attributes:
      name: the dataset's key in the registry.
      look: how a synthetic set looks; empty for a public set, as is `split_size`.
      split_size: `small` or `large` towers or pyramids.
      image_size: side of the square images in pixels.
      train: number of scenes in the train split.
      validation: number of scenes in the validation split.
      test: number of scenes in the test split.
      seed: drives everything random.
      shortcut_limit: the percentage of test trials that no simple cue may answer right, or the set isn't made (see
        `shortcuts.py`); `NO_LIMIT` asks nothing.

    Raises:
      UserError: an unknown name, look or size, or an option out of range.
    """

    name: str
    look: str = ""
    split_size: str = ""
    image_size: int = 224
    train: int = 8000
    validation: int = 500
    test: int = 1000
    seed: int = 0
    shortcut_limit: int = NO_LIMIT

    def __post_init__(self) -> None:
        _check_known("dataset", self.name, registry.NAMES)
        if not self.is_synthetic:
            if self.config:
                raise UserError(f"dataset {self.name} has a single configuration; leave out {self.config!r}")
            return
        _check_known("look", self.look, LOOKS)
        _check_known("split size", self.split_size, SPLIT_SIZES)
        for field, least in LEAST.items():
            if getattr(self, field) < least:
                raise UserError(f"dataset {self}: {field} is {getattr(self, field)}; it must be at least {least}")
        if self.shortcut_limit > NO_LIMIT:
            raise UserError(f"dataset {self}: shortcut_limit is {self.shortcut_limit}; it is a percentage, at most 100")

    @property
    def is_synthetic(self) -> bool:
        """Whether the set is made from scenes, rather than read from a public release."""
        return self.name in registry.SYNTHETIC

    @property
    def kind(self) -> str:
        """The kind of scenes of a synthetic set, such as `towers`."""
        return self.name.removeprefix("cubeworld_")

    @property
    def config(self) -> str:
        """The CONFIG part of the name; empty for a public set."""
        values = {suffix: getattr(self, field) for suffix, field in SUFFIXES.items()}
        changed = [f"-{suffix}{value}" for suffix, value in values.items() if value != _default(suffix)]
        return "_".join(filter(None, (self.look, self.split_size))) + "".join(changed)

    def __str__(self) -> str:
        return f"{self.name}/{self.config}" if self.config else self.name


def parse(text: str) -> DatasetSpec:
    """Reads what `str(spec)` writes; the bare name of a synthetic set stands for `NAME/cubeworld_small`.

    Raises:
      UserError: not such a name, with the nearest one; every set has exactly one spelling.
    """
    name, slash, config = text.partition("/")
    _check_known("dataset", name, registry.NAMES)
    if name not in registry.SYNTHETIC:
        if slash:
            raise UserError(f"dataset {name} has a single configuration; leave out '/{config}'")
        return DatasetSpec(name)
    spec = _parse_synthetic(name, config if slash else DEFAULT_CONFIG)
    if slash and str(spec) != text:
        raise UserError(f"dataset {text!r} is spelled {str(spec)!r}: options that differ from their defaults, in order")
    return spec


def parse_joined(text: str) -> tuple[DatasetSpec, ...]:
    """Reads the names of several sets with `+` between; raises UserError as `parse` does, or where one comes twice."""
    specs = tuple(map(parse, text.split("+")))
    for spec in specs:
        if specs.count(spec) > 1:
            raise UserError(f"dataset {spec} comes twice in {text!r}; name it once")
    return specs


def _parse_synthetic(name: str, config: str) -> DatasetSpec:
    match = re.fullmatch(r"([a-z]+)_([a-z]+)((?:-[a-z]+-?[0-9]+)*)", config)
    if match is None:
        raise UserError(
            f"dataset {name}: cannot read config {config!r}; it is LOOK_SIZE and options, such as "
            "cubeworld_small or wooden_large-size64-seed1"
        )
    look, split_size, options = match.groups()
    values = {}
    for suffix, value in re.findall(r"-([a-z]+)(-?[0-9]+)", options):
        _check_known("option", suffix, SUFFIXES)
        values[SUFFIXES[suffix]] = int(value)
    return DatasetSpec(name, look, split_size, **values)


def _default(suffix: str) -> int:
    return getattr(DatasetSpec, SUFFIXES[suffix])


def _check_known(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UserError(f"no {kind} {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")
