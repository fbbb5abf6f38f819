"""Intuitive physics: will this tower fall?"""

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary
from vlmcog.tasks.task import Task


def _falls(labelled: LabelledScene) -> int:
    return int(any(labelled.outcome.fell))


TOWER_FALLS = Task(
    name="tower_falls",
    domain="intuitive_physics",
    question="Will this block tower fall?",
    answers=binary(),
    truth=_falls,
)
