"""Intuitive physics: will the displaced top block fall?"""

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary
from vlmcog.tasks.task import Task


def _falls(labelled: LabelledScene) -> int:
    return int(any(labelled.outcome.fell))


TOP_FALLS = Task(
    name="top_falls",
    domain="intuitive_physics",
    question="Will the top block fall?",
    answers=binary(),
    truth=_falls,
)
