"""Beams with a counterweight in simulated worlds: will the beam fall?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.counterweights import BEAM_FALLS


class CubeworldCounterweights(SyntheticBuilder):
    """Counterweighted beams on columns of 1-2 (small) and 3-4 (large) cubes."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze, colours apart; statics confirm what rests and falls.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_counterweights")
    DESCRIPTION = """\
Rendered columns of cubes with a beam that reaches too far to one side and a block on its other end, whose size and
place decide whether the beam falls. All blocks have one density."""
    TASKS = (BEAM_FALLS,)
