"""A few stimuli of each set, some answered rightly and some wrongly, drawn at random rather than picked."""

import base64
import dataclasses
import io
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.datasets.read import TrialSource
from vlmcog.statistics import ceilings
from vlmcog.statistics.ceilings import Responses

MOST_PIXELS = 192


@dataclasses.dataclass(frozen=True)
class Example:
    """One stimulus with what was answered.

    Attributes:
      item: the stimulus within its set.
      question: what was asked.
      options: the answers as text.
      probabilities: the model's, one an option.
      response: index of the model's answer.
      answer: index of the truth, or -1.
      people: people's mean response, None where nobody was asked.
      png: the picture, base64.
    """

    item: str
    question: str
    options: tuple[str, ...]
    probabilities: tuple[float, ...]
    response: int
    answer: int
    people: float | None
    png: str


def examples(
    source: TrialSource, answers: pd.DataFrame, responses: Responses | None, *, each: int = 3, seed: int = 0
) -> list[Example]:
    """Draws up to `each` right and `each` wrong answers; where there is no truth, that many of any."""
    means = None if responses is None else ceilings.item_means(responses)
    return [_example(source, answers, means, index) for index in _draw(answers, each, seed)]


def to_json(chosen: Sequence[Example]) -> str:
    """Returns examples as JSON."""
    return json.dumps([dataclasses.asdict(example) for example in chosen], indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Example]:
    """Reads what `to_json` wrote; raises TypeError, KeyError or ValueError on anything else."""
    return [
        Example(**{**fields, "options": tuple(fields["options"]), "probabilities": tuple(fields["probabilities"])})
        for fields in json.loads(text)
    ]


def _draw(answers: pd.DataFrame, each: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    outcome = np.where(answers.answer == NO_ANSWER, "none", (answers.answer == answers.response).astype(str))
    groups = [np.flatnonzero(outcome == kind) for kind in ("True", "False", "none")]
    return [int(index) for group in groups for index in rng.permutation(group)[:each]]


def _example(source: TrialSource, answers: pd.DataFrame, means: np.ndarray | None, index: int) -> Example:
    trial, row = source[index], answers.iloc[index]
    return Example(
        item=trial.item,
        question=trial.question,
        options=trial.options,
        probabilities=tuple(json.loads(row.probabilities)),
        response=int(row.response),
        answer=trial.answer,
        people=None if means is None or np.isnan(means[index]) else float(means[index]),
        png=_png(trial.image),
    )


def _png(image: UInt8[np.ndarray, "h w 3"]) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
