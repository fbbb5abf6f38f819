"""Which models the study trains, on which sets it tests them, and how far each set is from what a model was tuned on.

A model is a row of the generalisation matrix and a set a column (Schulze Buschoff et al. 2025, arXiv:2502.15678):

    rows     base; IP small, IP large, CR small, CR large (tuned on small or large towers, or pyramids); IP+CR jointly;
             IP on people's judgments
    columns  the same four sets' test scenes; small towers and pyramids in looks that no model was tuned on; photographs
             of real towers; photographs of bricks on a table (jenga)

IP is intuitive physics (will the tower fall?), CR causal reasoning (would a block fall without the red one?).
"""

import dataclasses
import itertools

from vlmcog.datasets.specs import SPLIT_SIZES, DatasetSpec
from vlmcog.evaluation.ladder import (
    ELSEWHERE,
    MAIN_TASK,
    OPPOSITE_SPLIT,
    OTHER_DOMAIN,
    OTHER_LOOK,
    REAL_PHOTOS,
    SAME_SPLIT,
)
from vlmcog.study.config import StudyConfig
from vlmcog.tasks.perception import PERCEPTION
from vlmcog.tasks.registry import get_task
from vlmcog.training.config import TrainConfig

IP, CR = "IP", "CR"
KINDS = {IP: "towers", CR: "pyramids"}
BASE, JOINT = "base", "IP+CR"
HUMAN, SIMULATED = "IP people", "IP simulated people"


@dataclasses.dataclass(frozen=True)
class Column:
    """A set that all models are tested on, by the main question of its dataset."""

    name: str
    spec: DatasetSpec

    @property
    def task(self) -> str:
        """The question."""
        return MAIN_TASK[self.spec.name]

    @property
    def domain(self) -> str:
        """The cognitive domain of the question."""
        return get_task(self.task).domain


@dataclasses.dataclass(frozen=True)
class Row:
    """A model: what it is tuned on, from the base model or, that one itself, from the beginning.

    Attributes:
      name: as in the tables.
      specs: the sets.
      items: how many scenes of each set.
      tasks: what is asked of them.
      judged: whether it learns from people's judgments, or simulated participants'.
      curve: the curve that it is a point of; empty for a row of the matrix.
    """

    name: str
    specs: tuple[DatasetSpec, ...]
    items: int
    tasks: tuple[str, ...]
    judged: bool = False
    curve: str = ""

    @property
    def domains(self) -> set[str]:
        """The cognitive domains that it is tuned on."""
        return {get_task(task).domain for task in self.tasks}


def columns(config: StudyConfig) -> tuple[Column, ...]:
    """Returns the sets to test on."""
    found = [
        Column(f"{domain} {size}", _tuned_on(config, kind, size))
        for domain, kind in KINDS.items()
        for size in SPLIT_SIZES
    ]
    for look, (domain, kind) in itertools.product(config.other_looks, KINDS.items()):
        found.append(Column(f"{domain} {look}", config.spec(kind, look=look)))
    if config.release:
        found += [Column("photographs", DatasetSpec("lerer_towers")), Column("jenga", DatasetSpec("jenga"))]
    return tuple(found)


def rows(config: StudyConfig) -> tuple[Row, ...]:
    """Returns the models of the matrix."""
    kinds = itertools.product(KINDS.items(), SPLIT_SIZES)
    tuned = [_row(f"{domain} {size}", (_tuned_on(config, kind, size),), config.train) for (domain, kind), size in kinds]
    small = tuple(_tuned_on(config, kind, SPLIT_SIZES[0]) for kind in KINDS.values())
    tuned.append(_row(JOINT, small, config.train // 2))
    if config.judgments or config.participants:
        name = HUMAN if config.judgments else SIMULATED
        tuned.append(dataclasses.replace(tuned[0], name=name, judged=True))
    return (base(config), *tuned)


def base(config: StudyConfig) -> Row:
    """Returns the base model: neutral questions about the scenes of all four training sets, a quarter of each."""
    specs = tuple(_tuned_on(config, kind, size) for kind, size in itertools.product(KINDS.values(), SPLIT_SIZES))
    return Row(BASE, specs, max(config.train // 4, 1), tuple(task.name for task in PERCEPTION))


def curves(config: StudyConfig) -> tuple[Row, ...]:
    """Returns the models of the data-scaling and of the look-diversity curve, all tuned on small towers.

    A point that is a model of the matrix has its name, so that it is trained once.
    """
    towers = _tuned_on(config, KINDS[IP], SPLIT_SIZES[0])
    scaled = [_row(f"IP small, {n} items", (towers,), n, curve="items") for n in config.curve_items]
    looks = [
        _row(f"IP small, {n} looks", _in_looks(config, n), config.train // n, curve="looks")
        for n in range(1, len(config.curve_looks) + 1)
        if n & (n - 1) == 0 or n == len(config.curve_looks)
    ]
    own = _row(f"{IP} {SPLIT_SIZES[0]}", (towers,), config.train)
    return tuple(
        dataclasses.replace(row, name=own.name) if (row.specs, row.items) == (own.specs, own.items) else row
        for row in (*scaled, *looks)
    )


def probed(config: StudyConfig) -> tuple[Row, ...]:
    """Returns the models whose layers are probed for what small towers are like: before tuning, and after either."""
    return tuple(row for row in rows(config) if row.name in (BASE, f"{IP} {SPLIT_SIZES[0]}", f"{CR} {SPLIT_SIZES[0]}"))


def relation(row: Row, column: Column) -> str:
    """Returns where a column stands on the ladder of generalisation for a model: see `evaluation.ladder`."""
    if row.name == BASE:
        return ELSEWHERE
    if column.domain not in row.domains:
        nearest = [_differing(spec, column.spec) for spec in row.specs]
        return OTHER_DOMAIN if ["name"] in nearest else ELSEWHERE
    if not column.spec.is_synthetic:
        return REAL_PHOTOS
    differing = min((_differing(spec, column.spec) for spec in row.specs), key=len)
    names = {"look": OTHER_LOOK, "split_size": OPPOSITE_SPLIT}
    return SAME_SPLIT if not differing else names[differing[0]] if len(differing) == 1 else ELSEWHERE


def train_config(
    config: StudyConfig, row: Row, seed: int, *, data_dir: str, init_from: str, judgments: str
) -> TrainConfig:
    """Returns how a model learns.

    Args:
      config: the study.
      row: the model.
      seed: of the run.
      data_dir: where the sets are.
      init_from: the base model's run, or the public checkpoint; empty for the base model itself.
      judgments: the table of judgments of a model that learns from them.
    """
    recipe = config.base if row.name == BASE else config.tune
    data = dataclasses.replace(
        recipe.data,
        dataset="+".join(map(str, row.specs)),
        data_dir=data_dir,
        tasks=row.tasks,
        items=row.items,
        **({"judgments": judgments, "targets": "distribution"} if row.judged else {}),
    )
    return dataclasses.replace(recipe, seed=seed, data=data, init_from=init_from, **_validated(row))


def _validated(row: Row) -> dict[str, int]:
    """Nobody judges validation scenes, so that a model that learns from judgments has no validations."""
    return {"eval_every": 0} if row.judged else {}


def _row(name: str, specs: tuple[DatasetSpec, ...], items: int, **more) -> Row:
    tasks = tuple(dict.fromkeys(MAIN_TASK[spec.name] for spec in specs))
    return Row(name, specs, items, tasks, **more)


def _tuned_on(config: StudyConfig, kind: str, split_size: str) -> DatasetSpec:
    """The set that models learn from: of small towers, as large as the longest curve."""
    is_towers = (kind, split_size) == (KINDS[IP], SPLIT_SIZES[0])
    return config.spec(kind, split_size, train=max((config.train, *config.curve_items)) if is_towers else config.train)


def _in_looks(config: StudyConfig, count: int) -> tuple[DatasetSpec, ...]:
    """Small towers in the first so many looks of the curve."""
    own = _tuned_on(config, KINDS[IP], SPLIT_SIZES[0])
    others = (config.spec(KINDS[IP], look=look, train=config.train // 2) for look in config.curve_looks[1:count])
    return (own, *others)


def _differing(first: DatasetSpec, second: DatasetSpec) -> list[str]:
    return [field for field in ("name", "look", "split_size") if getattr(first, field) != getattr(second, field)]
