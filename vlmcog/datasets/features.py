"""The one layout in which every dataset, made or collected, stores its trials."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

NO_ANSWER = -1


@dataclasses.dataclass(frozen=True)
class Judgment:
    """What one person said: the index of the option chosen, or the number where a count or a rating was asked."""

    participant: str
    response: float


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
            "judgments": tfds.features.Sequence({"participant": text(), "response": np.float32}),
            "n_blocks": np.int64,
            "height": np.float32,
            "margin": np.float32,
            "top_offset": np.float32,
            "look": text(),
            "split_size": text(),
            "scene": text(),
        }
    )


def encode(trial: Trial, png: bytes) -> dict[str, Any]:
    """Returns the record that TFDS writes for a trial; `png` holds its image, since arrays would need TensorFlow."""
    fields = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial)}
    judgments = [dataclasses.asdict(judgment) for judgment in trial.judgments]
    return {**fields, "image": png, "options": list(trial.options), "judgments": judgments}
