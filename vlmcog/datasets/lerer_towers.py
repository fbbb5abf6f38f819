"""Photographs of wooden block towers with the judgments of 107 people, from a checkout of the public release."""

import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.features import Judgment, Trial, encode
from vlmcog.datasets.trial_builder import TrialBuilder
from vlmcog.humans import lerer
from vlmcog.tasks.towers import TOWER_FALLS

LOOK = "photograph"


class LererTowers(TrialBuilder):
    """Reads the release from TFDS's manual folder, so `tfds build --manual_dir RELEASE` works too."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {"2.0.0": "Outcomes, confidence and more of each judgment.", "1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Give a checkout of https://github.com/lsbuschoff/multimodal as the manual folder."
    DESCRIPTION = """\
Photographs of towers of 2-4 wooden blocks (Lerer et al. 2016) with the question whether the tower will fall, what
really happened, and the yes/no judgment of every participant of Schulze Buschoff et al. (2025) on every photograph."""
    HOMEPAGE = "https://github.com/lsbuschoff/multimodal"
    LICENSE = "MIT"
    CITATION = """\
@article{buschoff2025visual,
  title={Visual cognition in multimodal large language models},
  author={Schulze Buschoff, Luca M. and Akata, Elif and Bethge, Matthias and Schulz, Eric},
  journal={Nature Machine Intelligence},
  volume={7},
  pages={96--106},
  year={2025}
}
@inproceedings{lerer2016learning,
  title={Learning Physical Intuition of Block Towers by Example},
  author={Lerer, Adam and Gross, Sam and Fergus, Rob},
  booktitle={International Conference on Machine Learning},
  year={2016}
}"""

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        release = lerer.read(pathlib.Path(dl_manager.manual_dir))
        self._note("release", release.digest())
        return {"test": self._generate_examples(release)}

    def _generate_examples(self, release: lerer.Release) -> Iterator[tuple[str, dict[str, Any]]]:
        judgments = dict(list(release.judgments.groupby("item")))
        for photo in release.photos:
            rows = judgments[photo.item]
            trial = Trial(
                image=photo.image,
                item=photo.item,
                task=TOWER_FALLS.name,
                question=TOWER_FALLS.question,
                options=TOWER_FALLS.answers.options,
                answer=photo.fell,
                judgments=tuple(map(Judgment, rows.participant, rows.response)),
                n_blocks=photo.n_blocks,
                look=LOOK,
            )
            yield photo.item, encode(trial, photo.png)
