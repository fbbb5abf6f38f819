"""The one layout in which every dataset, made or collected, stores its trials."""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

NO_ANSWER = -1
NO_ORDER = -1
NOT_DECODED = np.zeros((0, 0, 3), np.uint8)
"""In place of a picture whose bytes are stored as they are."""


@dataclasses.dataclass(frozen=True)
class Judgment:
    """What one person said: the index of the option chosen, or the number where a count or a rating was asked.

    Attributes:
      participant: who, under a name that means nothing elsewhere.
      response: the answer.
      order: the trial's place in the person's session, from 0; None where unknown.
      response_time: seconds; None where unknown.
      excluded: why the answer doesn't count; empty where it does.
    """

    participant: str
    response: float
    order: int | None = None
    response_time: float | None = None
    excluded: str = ""


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """What `n` people said on average, with its 95 % interval, from a set that publishes no more; NaN is unknown."""

    mean: float
    n: int
    low: float = math.nan
    high: float = math.nan


NO_AGGREGATE = Aggregate(math.nan, 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """One question about one image, its ground truth, and what people said.

    Attributes:
      image: the picture.
      item: identifies the stimulus within its set; two questions about one image share it.
      task: the task's key in the registry.
      question: the text put to models and people.
      options: the answers as text.
      answer: index into `options`, or `NO_ANSWER`.
      judgments: the people's answers; may be empty.
      n_blocks: number of blocks; 0 where unknown.
      height: height of the scene in metres; NaN where unknown.
      margin: static margin in block sides; NaN where there is none.
      top_offset: horizontal distance of the top block from the bottom one in block sides; NaN where there is none.
      look: the look of a scene, or what kind of photograph it is.
      split_size: `small`, `large`, or empty.
      scene: the scene as JSON; empty for a photograph.
      outcome: what its simulation showed, as JSON; empty for a photograph.
      confidence: the share of perturbed simulations that agree on the truth; NaN where unknown.
      aggregate: the people's mean, where a set publishes no single judgments.
    """

    image: UInt8[np.ndarray, "h w 3"]
    item: str
    task: str
    question: str
    options: tuple[str, ...]
    answer: int = NO_ANSWER
    judgments: tuple[Judgment, ...] = ()
    n_blocks: int = 0
    height: float = math.nan
    margin: float = math.nan
    top_offset: float = math.nan
    look: str = ""
    split_size: str = ""
    scene: str = ""
    outcome: str = ""
    confidence: float = math.nan
    aggregate: Aggregate | None = None


def features() -> "tfds.features.FeaturesDict":
    """Returns the TFDS features of a trial. Reals are 32-bit in the file."""
    import tensorflow_datasets as tfds  # slow to import, and not needed to speak of trials

    text = tfds.features.Text
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), dtype=np.uint8, encoding_format="png"),
            "item": text(),
            "task": text(),
            "question": text(),
            "options": tfds.features.Sequence(text()),
            "answer": np.int64,
            "judgments": tfds.features.Sequence(
                {
                    "participant": text(),
                    "response": np.float32,
                    "order": np.int64,
                    "response_time": np.float32,
                    "excluded": text(),
                }
            ),
            "n_blocks": np.int64,
            "height": np.float32,
            "margin": np.float32,
            "top_offset": np.float32,
            "look": text(),
            "split_size": text(),
            "scene": text(),
            "outcome": text(),
            "confidence": np.float32,
            "aggregate": {"mean": np.float32, "n": np.int64, "low": np.float32, "high": np.float32},
        }
    )


def encode(trial: Trial, png: bytes) -> dict[str, Any]:
    """Returns the record that TFDS writes for a trial; `png` holds its image, since arrays would need TensorFlow."""
    fields = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial)}
    return {
        **fields,
        "image": png,
        "options": list(trial.options),
        "judgments": [_encode_judgment(judgment) for judgment in trial.judgments],
        "aggregate": dataclasses.asdict(trial.aggregate or NO_AGGREGATE),
    }


def judgments_by_trial(table: pd.DataFrame) -> dict[Any, tuple[Judgment, ...]]:
    """Returns the judgments of a judgment table by item and task."""
    columns = [field.name for field in dataclasses.fields(Judgment)]
    return {
        key: tuple(_judgment(*row) for row in zip(*(rows[name] for name in columns), strict=True))
        for key, rows in table.groupby(["item", "task"])
    }


def _judgment(participant: str, response: float, order: Any, response_time: float, excluded: str) -> Judgment:
    seconds = None if math.isnan(response_time) else response_time
    return Judgment(participant, response, None if pd.isna(order) else int(order), seconds, excluded)


_FLAT = {field.name for field in dataclasses.fields(Trial)} - {"image", "options", "judgments", "aggregate"}


def decode(record: Mapping[str, Any], image: UInt8[np.ndarray, "h w 3"]) -> Trial:
    """Returns the trial that `encode` made the record of; `image` is its decoded image."""
    fields = {name: _plain(value) for name, value in record.items() if name in _FLAT}
    aggregate = Aggregate(**{name: _plain(value) for name, value in record["aggregate"].items()})
    judgments = {name: [_plain(value) for value in values] for name, values in record["judgments"].items()}
    rows = (dict(zip(judgments, row, strict=True)) for row in zip(*judgments.values(), strict=True))
    return Trial(
        **fields,
        image=image,
        options=tuple(map(_plain, record["options"])),
        judgments=tuple(_decode_judgment(**row) for row in rows),
        aggregate=aggregate if aggregate.n else None,
    )


def _encode_judgment(judgment: Judgment) -> dict[str, Any]:
    fields = dataclasses.asdict(judgment)
    order = NO_ORDER if judgment.order is None else judgment.order
    seconds = math.nan if judgment.response_time is None else judgment.response_time
    return {**fields, "order": order, "response_time": seconds}


def _decode_judgment(*, order: int, response_time: float, **fields: Any) -> Judgment:
    return Judgment(
        **fields,
        order=None if order == NO_ORDER else order,
        response_time=None if math.isnan(response_time) else response_time,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
