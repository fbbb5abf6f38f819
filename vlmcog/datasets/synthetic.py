"""Builders of sets made from scenes: generate and label, render in batches, ask each task's question."""

import abc
import dataclasses
import io
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from vlmcog.datasets.features import Trial, encode
from vlmcog.datasets.specs import SPLIT_SIZES, SPLITS, DatasetSpec
from vlmcog.datasets.trial_builder import TrialBuilder
from vlmcog.progress import Progress
from vlmcog.scenes import measures
from vlmcog.scenes.generate import GeneratedSet
from vlmcog.scenes.labelled import LabelledScene
from vlmcog.scenes.looks import LOOKS
from vlmcog.tasks.task import Task

RENDER_BATCH = 64


@dataclasses.dataclass(eq=False)
class SyntheticConfig(tfds.core.BuilderConfig):
    """A TFDS config that holds a spec; the config is named after it."""

    spec: DatasetSpec = dataclasses.field(kw_only=True)


def config_of(spec: DatasetSpec) -> SyntheticConfig:
    """Returns the TFDS config of a spec with any options."""
    return SyntheticConfig(
        name=spec.config,
        description=f"{spec.split_size}, {spec.look} look, {spec.image_size} px, seed {spec.seed}",
        spec=spec,
    )


def default_configs(name: str) -> list[SyntheticConfig]:
    """Returns the configs of each look and split size with default options, which `tfds build` offers."""
    return [config_of(DatasetSpec(name, look, size)) for look, size in itertools.product(LOOKS, SPLIT_SIZES)]


class SyntheticBuilder(TrialBuilder, skip_registration=True):
    """Makes the splits train, validation and test of one look and split size."""

    HOMEPAGE = "https://arxiv.org/abs/2502.15678"
    LICENSE = "Apache-2.0"
    CITATION = """\
@inproceedings{buschoff2025testing,
  title={Testing the Limits of Fine-Tuning for Improving Visual Cognition in Vision Language Models},
  author={Schulze Buschoff, Luca M. and Voudouris, Konstantinos and Akata, Elif and Bethge, Matthias and
    Tenenbaum, Joshua B. and Schulz, Eric},
  booktitle={International Conference on Machine Learning},
  year={2025},
  note={the study whose design this set follows; arXiv:2502.15678}
}"""
    TASKS: tuple[Task, ...]

    @property
    def spec(self) -> DatasetSpec:
        """The options of this set."""
        assert isinstance(self.builder_config, SyntheticConfig)
        return self.builder_config.spec

    @abc.abstractmethod
    def _labelled(self, split: str, count: int) -> GeneratedSet:
        """Returns `count` labelled scenes of a split."""

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        from vlmcog.scenes.render import render  # imports jax, which readers and workers must not

        made = self._labelled(split, getattr(self.spec, split))
        self._note(split, {"simulated": made.simulated, "rejected": made.rejected})
        with Progress(len(made.scenes), f"rendering {split}", unit="image") as bar:
            for start in range(0, len(made.scenes), RENDER_BATCH):
                batch = made.scenes[start : start + RENDER_BATCH]
                images = render([labelled.scene for labelled in batch], size=self.spec.image_size)
                for index, (labelled, image) in enumerate(zip(batch, images, strict=True), start):
                    yield from self._examples(f"{split}-{index:06d}", labelled, image)
                bar.advance(len(batch))

    def _examples(self, item: str, labelled: LabelledScene, image: np.ndarray) -> Iterator[tuple[str, dict[str, Any]]]:
        png = _png(image)
        for task in self.TASKS:
            yield f"{item}/{task.name}", encode(self._trial(item, labelled, image, task), png)

    def _trial(self, item: str, labelled: LabelledScene, image: np.ndarray, task: Task) -> Trial:
        assert task.truth is not None
        scene, margin = labelled.scene, labelled.outcome.margin
        confidence = labelled.outcome.confidence
        return Trial(
            image=image,
            item=f"{self.spec.split_size}-{item}",
            task=task.name,
            question=task.question,
            options=task.answers.options,
            answer=task.truth(labelled),
            n_blocks=measures.n_blocks(scene),
            height=measures.height(scene),
            margin=math.nan if margin is None else margin,
            top_offset=math.nan if margin is None else measures.top_offset(scene),
            look=scene.look,
            split_size=self.spec.split_size,
            scene=scene.to_json(),
            outcome=labelled.outcome.to_json(),
            confidence=math.nan if confidence is None else confidence,
        )


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()
