"""Towers of blocks of unequal sizes and weights in simulated worlds: will this tower fall?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.mixed import MIXED_TOWER_FALLS


class CubeworldMixed(SyntheticBuilder):
    """Small (3-4 blocks) and large (5-7 blocks) towers of unequal sizes and weights."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_mixed")
    DESCRIPTION = """\
Rendered towers of blocks whose edges differ by up to a factor of 2.7 and of which the red ones are five times as dense
as the others, with the question whether the tower will fall. In half of the towers the answer would be the other one if
all blocks were equally dense. Truths are certain as those of cubeworld_towers are."""
    TASKS = (MIXED_TOWER_FALLS,)
