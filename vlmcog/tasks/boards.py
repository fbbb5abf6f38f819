"""Intuitive physics: does the board on its supports tip over?"""

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary
from vlmcog.tasks.task import Task


def _falls(labelled: LabelledScene) -> int:
    return int(any(labelled.outcome.fell))


BOARD_TIPS = Task(
    name="board_tips",
    domain="intuitive_physics",
    question="Will the board tip over?",
    answers=binary(),
    truth=_falls,
)
