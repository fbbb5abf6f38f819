"""Heaps of bricks on a table in simulated worlds: what would fall if the red brick were not there?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.heaps import RED_BRICK_ANY, RED_BRICK_COUNT, RED_BRICK_RESPONSIBLE


class CubeworldHeaps(SyntheticBuilder):
    """Heaps of 5-7 (small) and 9-11 (large) bricks on a table, one of them red."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_heaps")
    DESCRIPTION = """\
Rendered heaps of bricks on a table, after Zhou et al. 2023, with one red brick and the questions whether any other
brick would fall if it were not there, how many would, and how responsible it is for the others staying where they are.
A brick falls where it moves by more than a quarter of its smallest side, on the table or off it. The truth of the last
question is a measure of our own: the share of the other bricks that would fall."""
    TASKS = (RED_BRICK_ANY, RED_BRICK_COUNT, RED_BRICK_RESPONSIBLE)
