"""Towers of blocks in simulated worlds: will this tower fall?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.towers import TOWER_FALLS


class CubeworldTowers(SyntheticBuilder):
    """Small (2-4 blocks) and large (5-7 blocks) towers, stable and unstable in equal shares."""

    VERSION = tfds.core.Version("3.0.0")
    RELEASE_NOTES: ClassVar = {
        "3.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "2.0.0": "Outcomes, confidence and more of each judgment.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_towers")
    DESCRIPTION = """\
Rendered towers of blocks, each block offset and turned on the one below, with the question whether the tower will fall.
Truths come from a rigid-body simulation that agrees with the static margin of the tower; towers within 3 % of a block
side of the balance point are left out, and each height has as many stable towers as unstable ones."""
    TASKS = (TOWER_FALLS,)
