"""Physion's clips, a frame of each, with how many people said that two objects will touch."""

import pathlib
from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.public import PublicBuilder
from vlmcog.humans import physion
from vlmcog.humans.release import Release


class Physion(PublicBuilder):
    """Frames in whatever size they are given."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    REPOSITORY = physion.REPOSITORY
    HOMEPAGE = physion.REPOSITORY
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
Give a checkout of {physion.REPOSITORY} as the manual folder. Put the clips' frames into its folder
{physion.FRAMES}: STIM_ID.png, or a folder STIM_ID of frames, of which the first is taken."""
    LOOK = "rendered clip"
    DESCRIPTION = """\
One frame of each clip of Physion (Bear et al. 2021) that people judged, with the question whether the red object will
touch the yellow one, whether it does, and the share of 66-96 people who said so: no single answers were published.
People saw a clip where this set has a frame."""
    CITATION = """\
@inproceedings{bear2021physion,
  title={Physion: Evaluating Physical Prediction from Vision in Humans and Machines},
  author={Bear, Daniel M. and Wang, Elias and Mrowca, Damian and Binder, Felix J. and Tung, Hsiao-Yu Fish and
    Pramod, R. T. and Holdaway, Cameron and Tao, Sirui and Smith, Kevin and Sun, Fan-Yun and Fei-Fei, Li and
    Kanwisher, Nancy and Tenenbaum, Joshua B. and Yamins, Daniel L. K. and Fan, Judith E.},
  booktitle={Advances in Neural Information Processing Systems, Datasets and Benchmarks Track},
  year={2021}
}"""

    @classmethod
    def read(cls, release: pathlib.Path, frames: pathlib.Path | None = None) -> Release:
        """Reads the release and the frames; see `humans.physion`."""
        return physion.read(release, frames)
