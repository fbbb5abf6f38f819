"""Causal reasoning about two balls: what happened at the gate, and what would have happened without one of them?"""

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import binary
from vlmcog.tasks.task import Task


def _with_other(labelled: LabelledScene) -> int:
    return _goes_through(labelled, 0)


def _alone(labelled: LabelledScene) -> int:
    return _goes_through(labelled, 1)


def _goes_through(labelled: LabelledScene, which: int) -> int:
    assert labelled.outcome.clearances is not None
    return int(labelled.outcome.clearances[which] > 0)


GATE_PASSED = Task(
    name="gate_passed",
    domain="causal_reasoning",
    question="The arrows show how two balls rolled. Did the red ball go through the gate?",
    answers=binary(),
    truth=_with_other,
)

GATE_PASSED_ALONE = Task(
    name="gate_passed_alone",
    domain="causal_reasoning",
    question="The arrows show how two balls rolled. Would the red ball have gone through the gate if the other ball "
    "had not been there?",
    answers=binary(),
    truth=_alone,
)
