"""Causal reasoning: what happens to the other blocks if the red block is taken away?"""

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary, count
from vlmcog.tasks.task import Task

MOST_BLOCKS = 15


def _count_fallen(labelled: LabelledScene) -> int:
    return sum(labelled.outcome.fell)


def _any_fallen(labelled: LabelledScene) -> int:
    return int(any(labelled.outcome.fell))


RED_BLOCK_ANY = Task(
    name="red_block_any",
    domain="causal_reasoning",
    question="If the red block were taken away, would any other block fall?",
    answers=binary(),
    truth=_any_fallen,
)

RED_BLOCK_COUNT = Task(
    name="red_block_count",
    domain="causal_reasoning",
    question="If the red block were taken away, how many other blocks would fall?",
    answers=count(MOST_BLOCKS - 1),
    truth=_count_fallen,
)
