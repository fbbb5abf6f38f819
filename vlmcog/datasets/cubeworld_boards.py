"""Boards on flat and round supports in simulated worlds: will the board tip over?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.boards import BOARD_TIPS


class CubeworldBoards(SyntheticBuilder):
    """Boards on two supports that carry columns of 1-2 (small) and 3-4 (large) cubes."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_boards")
    DESCRIPTION = """\
Rendered boards on two supports, each a box, an upright or a lying cylinder, or two balls, with a column of cubes off
the middle, and the question whether the board will tip over. A flat support carries up to its edge, a round one at its
middle. All bodies have one density."""
    TASKS = (BOARD_TIPS,)
