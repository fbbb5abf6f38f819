"""Minimal pairs of towers in simulated worlds: only the red block is elsewhere, one stands and one falls."""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.towers import TOWER_FALLS


class CubeworldMinimal(SyntheticBuilder):
    """Minimal pairs of towers of 2-4 (small) and 5-7 (large) cubes."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_minimal")
    DESCRIPTION = """\
Rendered pairs of towers of opposite truth: items 2k and 2k + 1 of a split differ in where the red block is, and in
nothing else."""
    TASKS = (TOWER_FALLS,)
