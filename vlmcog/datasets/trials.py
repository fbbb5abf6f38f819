"""From a labelled scene to the trials about it: one for each task of its set."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from vlmcog.datasets.features import Trial
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.scenes import measures
from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.task import Task


def item_name(split: str, index: int) -> str:
    """Returns the name of a split's scene `index`."""
    return f"{split}-{index:06d}"


def trials(
    spec: DatasetSpec, item: str, labelled: LabelledScene, image: UInt8[np.ndarray, "h w 3"], tasks: Sequence[Task]
) -> Iterator[Trial]:
    """Yields each task's question about a scene, with its truth; one that doesn't suit the scene is left out."""
    for task in tasks:
        assert task.truth is not None
        answer = task.truth(labelled)
        if answer is not None:
            yield _trial(spec, item, labelled, image, task, answer)


def _trial(spec: DatasetSpec, item: str, labelled: LabelledScene, image: np.ndarray, task: Task, answer: int) -> Trial:
    scene, margin = labelled.scene, labelled.outcome.margin
    confidence = labelled.outcome.confidence
    return Trial(
        image=image,
        item=f"{spec.split_size}-{item}",
        task=task.name,
        question=task.question,
        options=task.answers.options,
        answer=answer,
        n_blocks=measures.n_blocks(scene),
        height=measures.height(scene),
        margin=math.nan if margin is None else margin,
        top_offset=math.nan if margin is None else measures.top_offset(scene),
        look=scene.look,
        split_size=spec.split_size,
        scene=scene.to_json(),
        outcome=labelled.outcome.to_json(),
        confidence=math.nan if confidence is None else confidence,
    )
