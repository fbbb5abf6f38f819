"""A block beside a column in simulated worlds: does it hold what overhangs?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.sides import SIDE_FALLS


class CubeworldSides(SyntheticBuilder):
    """Overhanging blocks on columns of 1-2 (small) and 3-4 (large) cubes, each with a side block."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_sides")
    DESCRIPTION = """\
Rendered columns of cubes with a block on them and another block beside them, which holds the first one's overhang where
it is high enough. What the side block is for is our reading of the design of arXiv:2602.06033."""
    TASKS = (SIDE_FALLS,)
