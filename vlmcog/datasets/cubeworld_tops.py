"""Aligned columns with a displaced top in simulated worlds: will it fall?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.tops import TOP_FALLS


class CubeworldTops(SyntheticBuilder):
    """Columns of 2-4 (small) and 5-7 (large) cubes with a displaced top."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_tops")
    DESCRIPTION = """\
Rendered columns of aligned cubes of which the topmost is displaced by a drawn offset. Truths come from a rigid-body
simulation that agrees with the static margin; each height has as many stable columns as unstable ones."""
    TASKS = (TOP_FALLS,)
