"""Causal reasoning about heaps on a table: what happens without the red brick, and how much is owed to it?"""

from vlmcog.scenes.heaps import MOST_BRICKS
from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary, count, rating
from vlmcog.tasks.task import Task


def _any(labelled: LabelledScene) -> int:
    return int(any(labelled.outcome.fell))


def _count(labelled: LabelledScene) -> int:
    return sum(labelled.outcome.fell)


def _responsibility(labelled: LabelledScene) -> int:
    """The share of the other bricks that would fall without the red one: a counterfactual measure of our own."""
    others = sum(not block.fixed for block in labelled.scene.blocks) - 1
    return round(100 * sum(labelled.outcome.fell) / others)


RED_BRICK_ANY = Task(
    name="red_brick_any",
    domain="causal_reasoning",
    question="If the red brick were not there, would any other brick fall?",
    answers=binary(),
    truth=_any,
)

RED_BRICK_COUNT = Task(
    name="red_brick_count",
    domain="causal_reasoning",
    question="If the red brick were not there, how many other bricks would fall?",
    answers=count(MOST_BRICKS - 1),
    truth=_count,
)

RED_BRICK_RESPONSIBLE = Task(
    name="red_brick_responsible",
    domain="causal_reasoning",
    question="From 0 to 100, how responsible is the red brick for the other bricks staying where they are?",
    answers=rating(),
    truth=_responsibility,
)
