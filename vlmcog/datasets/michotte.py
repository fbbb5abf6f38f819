"""Two balls and a gate with people's ratings of what happened and would have, from a checkout of the public release."""

import pathlib
from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.public import STUDY, PublicBuilder
from vlmcog.humans import michotte
from vlmcog.humans.release import Release


class Michotte(PublicBuilder):
    """Pictures of clips, 1000 x 750."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    LOOK = "drawing"
    DESCRIPTION = """\
Pictures of clips in which ball A hits ball B on its way to a gate (Gerstenberg et al. 2017), with people's agreement,
0-100, with what happened and with what would have happened had A not been there: 14 and 13 people. What happened is
asked as it was of them: whether B missed the gate where it did, and whether it went through the middle where it did.
Sliders overshot: ratings above 100 are kept as they are."""
    CITATION = f"""\
{STUDY}
@article{{gerstenberg2017eye,
  title={{Eye-Tracking Causality}},
  author={{Gerstenberg, Tobias and Peterson, Matthew F. and Goodman, Noah D. and Lagnado, David A. and
    Tenenbaum, Joshua B.}},
  journal={{Psychological Science}},
  volume={{28}},
  number={{12}},
  pages={{1731--1744}},
  year={{2017}}
}}"""

    @classmethod
    def read(cls, release: pathlib.Path, frames: pathlib.Path | None = None) -> Release:
        """Reads the release; see `humans.michotte`."""
        return michotte.read(release)
