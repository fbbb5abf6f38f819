"""Two agents in a grid world with people's ratings of what one wants of the other, from a checkout of the release."""

import pathlib
from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.public import STUDY, PublicBuilder
from vlmcog.humans import agents
from vlmcog.humans.release import Release


class Agents(PublicBuilder):
    """Pictures of a grid world, about 1695 x 1407."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    LOOK = "drawing"
    DESCRIPTION = """\
Pictures of a red agent on its way to a star and a blue one that helps or hinders it (Wu et al. 2023), with the ratings,
0-100, of 50 people whether blue wanted to hinder or to help, and of 50 others whether red would have succeeded without
blue. Worker ids are replaced by numbers; answers that name no picture are left out."""
    CITATION = f"""\
{STUDY}
@article{{wu2023computational,
  title={{A computational model of responsibility judgments from counterfactual simulations and intention inferences}},
  author={{Wu, Sarah A. and Sridhar, Shruti and Gerstenberg, Tobias}},
  journal={{Proceedings of the Annual Meeting of the Cognitive Science Society}},
  volume={{45}},
  year={{2023}}
}}"""

    @classmethod
    def read(cls, release: pathlib.Path, frames: pathlib.Path | None = None) -> Release:
        """Reads the release; see `humans.agents`."""
        return agents.read(release)
