"""A task: a question, its answer space, and the truth as a function of a labelled scene."""

import dataclasses
from collections.abc import Callable

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.answer_space import AnswerSpace


@dataclasses.dataclass(frozen=True)
class Task:
    """What is asked of a stimulus.

    Attributes:
      name: the task's key in the registry.
      domain: the cognitive domain, such as `intuitive_physics` or `causal_reasoning`.
      question: the text put to models and people.
      answers: the answer space.
      truth: the index of the right option for a labelled scene, or None of a scene that the question doesn't suit; None
        for a question that is put to photographs alone.
    """

    name: str
    domain: str
    question: str
    answers: AnswerSpace
    truth: Callable[[LabelledScene], int | None] | None = None
