"""Photographs of wooden block towers with the judgments of 107 people, from a checkout of the public release."""

import pathlib
from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.public import STUDY, PublicBuilder
from vlmcog.humans import lerer
from vlmcog.humans.release import Release


class LererTowers(PublicBuilder):
    """Photographs of towers, 224 x 224."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {"2.0.0": "Outcomes, confidence and more of each judgment.", "1.0.0": "First release."}
    LOOK = "photograph"
    DESCRIPTION = """\
Photographs of towers of 2-4 wooden blocks (Lerer et al. 2016) with the question whether the tower will fall, what
really happened, and the yes/no judgment of every participant of Schulze Buschoff et al. (2025) on every photograph."""
    CITATION = f"""\
{STUDY}
@inproceedings{{lerer2016learning,
  title={{Learning Physical Intuition of Block Towers by Example}},
  author={{Lerer, Adam and Gross, Sam and Fergus, Rob}},
  booktitle={{International Conference on Machine Learning}},
  year={{2016}}
}}"""

    @classmethod
    def read(cls, release: pathlib.Path, frames: pathlib.Path | None = None) -> Release:
        """Reads the release; see `humans.lerer`."""
        return lerer.read(release)
