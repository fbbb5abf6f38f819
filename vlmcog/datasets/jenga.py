"""Bricks on a table with people's judgments of what happens without one of them, from a checkout of the release."""

import pathlib
from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.public import STUDY, PublicBuilder
from vlmcog.humans import jenga
from vlmcog.humans.release import Release


class Jenga(PublicBuilder):
    """Pictures of bricks, 800 x 600."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    LOOK = "drawing"
    DESCRIPTION = """\
Pictures of 7-20 bricks on a table, one of them dark grey (Zhou et al. 2023, experiment 1), with the questions how many
of the red ones would fall off the table without it, judged by 31 people, and how responsible it is for the others
staying on, judged by 35. n_blocks counts all bricks. The number that falls is known of all pictures but one, trial 5,
which nobody judged; responsibility has no truth."""
    CITATION = f"""\
{STUDY}
@article{{zhou2023mental,
  title={{Mental Jenga: A counterfactual simulation model of causal judgments about physical support}},
  author={{Zhou, Liang and Smith, Kevin A. and Tenenbaum, Joshua B. and Gerstenberg, Tobias}},
  journal={{Journal of Experimental Psychology: General}},
  year={{2023}}
}}"""

    @classmethod
    def read(cls, release: pathlib.Path, frames: pathlib.Path | None = None) -> Release:
        """Reads the release; see `humans.jenga`."""
        return jenga.read(release)
