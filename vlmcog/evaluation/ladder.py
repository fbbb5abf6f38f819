"""The ladder of generalisation: from new items of the set a model was tuned on to another domain altogether.

same split       new items of the same kind
opposite split   taller where it was tuned on small ones, and the other way round
other look       the same kind of scene, dressed otherwise
real photos      the same question about photographs of real towers, with people's judgments
other domain     the other cognitive domain, in the same look and size

Whatever differs in several ways, or asks another question than the dataset's main one, is elsewhere.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from vlmcog.datasets.registry import SYNTHETIC
from vlmcog.datasets.specs import LOOKS, NO_LIMIT, SPLIT_SIZES, DatasetSpec, parse
from vlmcog.tasks.registry import get_task

SAME_SPLIT, OPPOSITE_SPLIT, OTHER_LOOK = "same split", "opposite split", "other look"
REAL_PHOTOS, OTHER_DOMAIN, ELSEWHERE = "real photos", "other domain", "elsewhere"
LADDER = (SAME_SPLIT, OPPOSITE_SPLIT, OTHER_LOOK, REAL_PHOTOS, OTHER_DOMAIN)
_ORDER = (*LADDER, ELSEWHERE)

MAIN_TASK = {  # the question with which a dataset stands on the ladder, a yes/no question where it has one
    "cubeworld_towers": "tower_falls",
    "cubeworld_mixed": "mixed_tower_falls",
    "cubeworld_pyramids": "red_block_any",
    "cubeworld_walls": "red_block_any",
    "cubeworld_heaps": "red_brick_any",
    "cubeworld_tops": "top_falls",
    "cubeworld_sides": "side_falls",
    "cubeworld_counterweights": "beam_falls",
    "cubeworld_boards": "board_tips",
    "cubeworld_pairs": "tower_falls",
    "cubeworld_minimal": "tower_falls",
    "cubeworld_gates": "gate_passed",
    "lerer_towers": "tower_falls",
    "jenga": "jenga_count",
    "michotte": "michotte_outcome",
    "agents": "agents_intention",
    "physion": "physion_contact",
}
PHOTOS = DatasetSpec("lerer_towers")


@dataclasses.dataclass(frozen=True)
class Rung:
    """One question of one dataset's test split, and where it stands from the set that a model was tuned on.

    Attributes:
      name: one of `LADDER`, or `ELSEWHERE`.
      spec: the dataset.
      task: the question's key in the task registry.
    """

    name: str
    spec: DatasetSpec
    task: str

    @property
    def evaluated_on(self) -> str:
        """The name of what is evaluated, as in the metrics: the dataset's, and its task unless that is the main one."""
        return str(self.spec) if self.task == MAIN_TASK.get(self.spec.name) else f"{self.spec}:{self.task}"

    @property
    def is_binary(self) -> bool:
        """Whether it is a yes/no question."""
        return get_task(self.task).answers.kind == "binary"

    @property
    def stem(self) -> str:
        """The name of its files."""
        return self.evaluated_on.replace("/", ".").replace(":", ".")


def rungs(tuned_on: Sequence[DatasetSpec]) -> tuple[Rung, ...]:
    """Returns the rungs for a model tuned on synthetic sets, easiest first; a public set has its own rung alone.

    Sets that nobody trains on are asked for with a single training scene; their test scenes don't depend on that.
    """
    specs = list(tuned_on)
    for spec in (spec for own in tuned_on for spec in _elsewhere(own)):
        if not any(_differing(spec, other) == [] for other in specs):
            specs.append(spec)
    return tuple(sorted((rung(str(spec), tuned_on) for spec in specs), key=lambda rung: _ORDER.index(rung.name)))


def rung(evaluated_on: str, tuned_on: Sequence[DatasetSpec]) -> Rung:
    """Returns the rung that `NAME/CONFIG` or `NAME/CONFIG:TASK` is for a model tuned on `tuned_on`.

    Raises:
      UserError: an unknown dataset or task, with the nearest known one.
    """
    name, _, task = evaluated_on.partition(":")
    spec = parse(name)
    main = MAIN_TASK[spec.name]
    task = get_task(task or main).name
    return Rung(classify(tuned_on, spec) if task == main else ELSEWHERE, spec, task)


def classify(tuned_on: Sequence[DatasetSpec], spec: DatasetSpec) -> str:
    """Returns where a dataset stands on the ladder: the one thing in which it differs, or `ELSEWHERE` for several.

    Of the sets that a model was tuned on, the one counts that is nearest.
    """
    nearest = min((_classify(one, spec) for one in tuned_on), key=_ORDER.index)
    is_known_domain = _domain(spec.name) in {_domain(one.name) for one in tuned_on}
    return ELSEWHERE if nearest == OTHER_DOMAIN and is_known_domain else nearest


def _elsewhere(tuned_on: DatasetSpec) -> Iterator[DatasetSpec]:
    if tuned_on.is_synthetic:
        elsewhere = dataclasses.replace(tuned_on, train=1, validation=1, shortcut_limit=NO_LIMIT)
        yield dataclasses.replace(elsewhere, split_size=_other(tuned_on.split_size, SPLIT_SIZES))
        yield dataclasses.replace(elsewhere, look=_other(tuned_on.look, LOOKS))
        yield PHOTOS
        yield dataclasses.replace(elsewhere, name=_other_domain(tuned_on.name))


def _classify(tuned_on: DatasetSpec, spec: DatasetSpec) -> str:
    if spec == PHOTOS and tuned_on != PHOTOS:
        return REAL_PHOTOS
    differing = _differing(tuned_on, spec)
    return ELSEWHERE if len(differing) > 1 else differing[0] if differing else SAME_SPLIT


def _differing(first: DatasetSpec, second: DatasetSpec) -> list[str]:
    steps = {"name": OTHER_DOMAIN, "look": OTHER_LOOK, "split_size": OPPOSITE_SPLIT}
    return [step for field, step in steps.items() if getattr(first, field) != getattr(second, field)]


def _other_domain(name: str) -> str:
    """The first synthetic set whose question is of another cognitive domain."""
    return next(other for other in SYNTHETIC if _domain(other) != _domain(name))


def _domain(name: str) -> str:
    return get_task(MAIN_TASK[name]).domain


def _other(value: str, values: Iterable[str]) -> str:
    """The first of the others, where there are more than two."""
    return next(other for other in values if other != value)
