"""Intuitive physics: does the counterweight balance the beam?"""

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary
from vlmcog.tasks.task import Task


def _falls(labelled: LabelledScene) -> int:
    return int(any(labelled.outcome.fell))


BEAM_FALLS = Task(
    name="beam_falls",
    domain="intuitive_physics",
    question="Will the beam fall?",
    answers=binary(),
    truth=_falls,
)
