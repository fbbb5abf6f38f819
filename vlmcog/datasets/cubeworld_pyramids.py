"""Pyramids of blocks in simulated worlds: what would fall if the red block were taken away?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.scenes.generate import GeneratedSet, labelled_pyramids
from vlmcog.tasks.pyramids import RED_BLOCK_ANY, RED_BLOCK_COUNT

ROWS = {"small": (2, 3), "large": (4, 5)}


class CubeworldPyramids(SyntheticBuilder):
    """Small (2-3 rows) and large (4-5 rows) pyramids with one red block; two questions about each."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {"2.0.0": "Outcomes, confidence and more of each judgment.", "1.0.0": "First release."}
    BUILDER_CONFIGS = default_configs("cubeworld_pyramids")
    DESCRIPTION = """\
Rendered pyramids of blocks with one red block, with the counterfactual questions whether any other block would fall if
the red block were taken away, and how many would. Truths come from a rigid-body simulation of the pyramid without the
red block; a pyramid is kept where simulations with perturbed masses, frictions and positions agree on every block."""
    TASKS = (RED_BLOCK_ANY, RED_BLOCK_COUNT)

    def _labelled(self, split: str, count: int) -> GeneratedSet:
        rows = ROWS[self.spec.split_size]
        return labelled_pyramids(count, seed=self.spec.seed, split=split, rows=rows, look=self.spec.look)
