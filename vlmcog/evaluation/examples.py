"""A few stimuli of each set: some drawn at random rather than picked, and those where model and people differ most."""

import base64
import dataclasses
import io
import json
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.datasets.read import TrialSource
from vlmcog.errors import UserError
from vlmcog.evaluation.metrics import as_arrays
from vlmcog.evaluation.people import People
from vlmcog.tasks.registry import get_task

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
    source: TrialSource, answers: pd.DataFrame, people: People | None, *, each: int = 3, seed: int = 0
) -> list[Example]:
    """Draws up to `each` right and `each` wrong answers; where there is no truth, that many of any."""
    return [_example(source, answers, people, index) for index in _draw(answers, each, seed)]


def differing(source: TrialSource, answers: pd.DataFrame, people: People, *, most: int = 6) -> list[Example]:
    """Returns the items on which the model's graded answer and people's mean differ most, the farthest first."""
    graded = as_arrays(answers, get_task(answers.task.iloc[0]).answers).graded
    distance = np.nan_to_num(np.abs(graded - people.means), nan=-1.0)
    order = np.argsort(-distance, kind="stable")[:most]
    return [_example(source, answers, people, int(index)) for index in order if distance[index] >= 0]


def to_json(chosen: Sequence[Example]) -> str:
    """Returns examples as JSON."""
    return json.dumps([dataclasses.asdict(example) for example in chosen], indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Example]:
    """Reads what `to_json` wrote; raises TypeError, KeyError or ValueError on anything else."""
    return [
        Example(**{**fields, "options": tuple(fields["options"]), "probabilities": tuple(fields["probabilities"])})
        for fields in json.loads(text)
    ]


def read(path: pathlib.Path, *, make_it: str) -> list[Example]:
    """Reads a file of examples; raises UserError with the command that makes it where it is missing or damaged."""
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"cannot read {path} ({type(error).__name__}); make it anew with: {make_it}") from None


def _draw(answers: pd.DataFrame, each: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    outcome = np.where(answers.answer == NO_ANSWER, "none", (answers.answer == answers.response).astype(str))
    groups = [np.flatnonzero(outcome == kind) for kind in ("True", "False", "none")]
    return [int(index) for group in groups for index in rng.permutation(group)[:each]]


def _example(source: TrialSource, answers: pd.DataFrame, people: People | None, index: int) -> Example:
    trial, row = source[index], answers.iloc[index]
    mean = np.nan if people is None else people.means[index]
    return Example(
        item=trial.item,
        question=trial.question,
        options=trial.options,
        probabilities=tuple(json.loads(row.probabilities)),
        response=int(row.response),
        answer=trial.answer,
        people=None if np.isnan(mean) else float(mean),
        png=_png(trial.image),
    )


def _png(image: UInt8[np.ndarray, "h w 3"]) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
