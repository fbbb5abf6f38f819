"""Intuitive physics: will this tower fall, where some blocks are heavier than others?"""

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary
from vlmcog.tasks.task import Task


def _falls(labelled: LabelledScene) -> int:
    return int(any(labelled.outcome.fell))


MIXED_TOWER_FALLS = Task(
    name="mixed_tower_falls",
    domain="intuitive_physics",
    question="Red blocks are five times as heavy as others of their size. Will this block tower fall?",
    answers=binary(),
    truth=_falls,
)
