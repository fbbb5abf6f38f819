"""What the builders of public sets share: a release is read whole, and each of its questions becomes a trial."""

import abc
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.features import NO_ANSWER, NOT_DECODED, Aggregate, Trial, encode, judgments_by_trial
from vlmcog.datasets.trial_builder import TrialBuilder
from vlmcog.humans import judgments
from vlmcog.humans.release import MULTIMODAL, Release, Stimulus

STUDY = """\
@article{buschoff2025visual,
  title={Visual cognition in multimodal large language models},
  author={Schulze Buschoff, Luca M. and Akata, Elif and Bethge, Matthias and Schulz, Eric},
  journal={Nature Machine Intelligence},
  volume={7},
  pages={96--106},
  year={2025}
}"""
"""The study whose release holds four of the sets."""


class PublicBuilder(TrialBuilder, skip_registration=True):
    """Reads a release from TFDS's manual folder, so `tfds build --manual_dir RELEASE` works too.

    Attributes:
      REPOSITORY: where the release is from.
      LOOK: what kind of pictures they are.
      frames_dir: a folder of pictures that are not in the release, where a set needs one; None is the set's default.
    """

    REPOSITORY: ClassVar[str] = MULTIMODAL
    HOMEPAGE = MULTIMODAL
    LICENSE = "MIT"
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Give a checkout of {MULTIMODAL} as the manual folder."
    LOOK: ClassVar[str]
    frames_dir: pathlib.Path | None = None

    @classmethod
    @abc.abstractmethod
    def read(cls, release: pathlib.Path, frames: pathlib.Path | None = None) -> Release:
        """Reads a release, checked; raises UserError for whatever is wrong with it."""

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        release = self.read(pathlib.Path(dl_manager.manual_dir), self.frames_dir)
        self._note("release", release.digest())
        self._note("notes", list(release.notes))
        return {"test": self._generate_examples(release)}

    def _generate_examples(self, release: Release) -> Iterator[tuple[str, dict[str, Any]]]:
        said = judgments_by_trial(release.judgments)
        columns = (release.aggregates[name] for name in judgments.AGGREGATE_COLUMNS)
        means = {(item, task): Aggregate(*values) for item, task, *values in zip(*columns, strict=True)}
        names = {stimulus.task.name for stimulus in release.stimuli}
        for stimulus in release.stimuli:
            key = (stimulus.item, stimulus.task.name)
            trial = dataclasses.replace(
                _trial(stimulus, self.LOOK), judgments=said.get(key, ()), aggregate=means.get(key)
            )
            yield stimulus.item if len(names) == 1 else "/".join(key), encode(trial, stimulus.png)


def _trial(stimulus: Stimulus, look: str) -> Trial:
    return Trial(
        image=NOT_DECODED,
        item=stimulus.item,
        task=stimulus.task.name,
        question=stimulus.question,
        options=stimulus.task.answers.options,
        answer=NO_ANSWER if stimulus.answer is None else stimulus.answer,
        n_blocks=stimulus.n_blocks,
        look=look,
    )
