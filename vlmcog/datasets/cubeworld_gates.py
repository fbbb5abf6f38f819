"""Two balls that collide before a gate in simulated worlds: did the red one go through, and would it have alone?"""

from typing import ClassVar

import tensorflow_datasets as tfds

from vlmcog.datasets.synthetic import SyntheticBuilder, default_configs
from vlmcog.tasks.gates import GATE_PASSED, GATE_PASSED_ALONE


class CubeworldGates(SyntheticBuilder):
    """Events of two balls on tables of 10-12 (small) and 15-17 (large) ball diameters."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Pictures by the look's sensor, less haze.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = default_configs("cubeworld_gates")
    DESCRIPTION = """\
Rendered events after Gerstenberg et al. 2017: two balls collide on a table, and the red one goes through a gate or
misses it. Arrows show how both rolled. The questions are whether the red ball went through the gate, which the picture
shows, and whether it would have gone through if the other ball had not been there, which has to be imagined. All four
combinations of the answers are equally frequent; the collisions are elastic and computed in closed form."""
    TASKS = (GATE_PASSED, GATE_PASSED_ALONE)
