"""Matched pairs of towers in simulated worlds: the same offsets in another order, one stands and one falls."""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.towers import TOWER_FALLS


class CubeworldPairs(SyntheticBuilder):
    """Matched pairs of towers of 3-4 (small) and 5-7 (large) cubes."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_pairs")
    DESCRIPTION = """\
Rendered pairs of towers of opposite truth: items 2k and 2k + 1 of a split have equal height, place of the top block,
extents of the silhouette, colours, light and camera, and the same offsets between blocks in another order."""
    TASKS = (TOWER_FALLS,)
