"""Walls of bricks in simulated worlds: what would fall if the red brick were taken away?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.pyramids import RED_BLOCK_ANY, RED_BLOCK_COUNT


class CubeworldWalls(SyntheticBuilder):
    """Walls of 2-3 (small) and 4-5 (large) courses of bricks, one of them red."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_walls")
    DESCRIPTION = """\
Rendered walls of bricks, each brick across a joint of the course below, one brick fewer a course, with the questions
whether any other block would fall if the red one were taken away, and how many would. Few falls dominate by nature, so
that half of the walls are such that none falls."""
    TASKS = (RED_BLOCK_ANY, RED_BLOCK_COUNT)
