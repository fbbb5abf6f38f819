"""Intuitive physics: does the side block hold what overhangs?"""

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary
from vlmcog.tasks.task import Task


def _falls(labelled: LabelledScene) -> int:
    return int(any(labelled.outcome.fell))


SIDE_FALLS = Task(
    name="side_falls",
    domain="intuitive_physics",
    question="Will any of these blocks fall?",
    answers=binary(),
    truth=_falls,
)
