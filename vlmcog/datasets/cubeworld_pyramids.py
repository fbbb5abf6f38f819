"""Pyramids of blocks in simulated worlds: what would fall if the red block were taken away?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.pyramids import RED_BLOCK_ANY, RED_BLOCK_COUNT


class CubeworldPyramids(SyntheticBuilder):
    """Small (2-3 rows) and large (4-5 rows) pyramids with one red block; two questions about each."""

    VERSION = tfds.core.Version("3.0.0")
    RELEASE_NOTES: ClassVar = {
        "3.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls; "
        "of four rows, balanced by whether any block falls.",
        "2.0.0": "Outcomes, confidence and more of each judgment.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_pyramids")
    DESCRIPTION = """\
Rendered pyramids of blocks with one red block, with the counterfactual questions whether any other block would fall if
the red block were taken away, and how many would. Truths come from a rigid-body simulation of the pyramid without the
red block; a pyramid is kept where simulations with perturbed masses, frictions and positions agree on every block."""
    TASKS = (RED_BLOCK_ANY, RED_BLOCK_COUNT)
