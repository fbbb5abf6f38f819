"""Observers that answer from a trial's scene: simple rules, the exact simulator, a noisy one.

Each maps a trial to P(option), or to None where it has no answer: a rule about towers before a pyramid, a simulator
before a photograph. None of them is a person, and none sees a picture.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float

from vlmcog.humans.noisy_simulator import Noise, p_fall
from vlmcog.scenes.scene import Scene
from vlmcog.scenes.statics import is_column

TOWER_FALLS = "tower_falls"
MIDDLE_HEIGHT = 4.5
"""In blocks: midway between the lowest and the highest tower."""
NOISE = Noise(position=0.1)


class Stimulus(Protocol):
    """What an observer may know of a trial."""

    @property
    def task(self) -> str:
        """The question's name."""
        ...

    @property
    def options(self) -> tuple[str, ...]:
        """The answers as text."""
        ...

    @property
    def answer(self) -> int:
        """The index of the truth, or -1."""
        ...

    @property
    def n_blocks(self) -> int:
        """Number of blocks, 0 where unknown."""
        ...

    @property
    def top_offset(self) -> float:
        """Distance of top and bottom block in sides; NaN where unknown."""
        ...

    @property
    def scene(self) -> str:
        """The scene as JSON; empty for a photograph."""
        ...


Probabilities = Float[np.ndarray, " options"]


def height(stimulus: Stimulus) -> Probabilities | None:
    """High towers fall: even odds at 4.5 blocks, e to one for each block more."""
    if stimulus.task != TOWER_FALLS or not stimulus.n_blocks:
        return None
    return _yes(1 / (1 + math.exp(MIDDLE_HEIGHT - stimulus.n_blocks)))


def lean(stimulus: Stimulus) -> Probabilities | None:
    """Leaning towers fall: even odds where the top block's centre is over the bottom one's edge, half a side away."""
    if stimulus.task != TOWER_FALLS or math.isnan(stimulus.top_offset):
        return None
    return _yes(1 / (1 + math.exp((0.5 - stimulus.top_offset) / 0.1)))


def exact_simulator(stimulus: Stimulus) -> Probabilities | None:
    """The simulation that made the truth: right by construction, and the bound of anything that knows the scene."""
    if not stimulus.scene or stimulus.answer < 0:
        return None
    return np.eye(len(stimulus.options))[stimulus.answer]


def noisy_simulator(stimulus: Stimulus, noise: Noise = NOISE) -> Probabilities | None:
    """The noisy simulator of single columns, which takes no time; see `noisy_simulator.py` for other scenes."""
    if stimulus.task != TOWER_FALLS or not stimulus.scene:
        return None
    blocks = Scene.from_json(stimulus.scene).blocks
    return _yes(p_fall(blocks, noise)) if is_column(blocks) else None


OBSERVERS: dict[str, Callable[[Stimulus], Probabilities | None]] = {
    "height": height,
    "lean": lean,
    "exact simulator": exact_simulator,
    f"noisy simulator ({NOISE.position:g} sides)": noisy_simulator,
}


def _yes(probability: float) -> Probabilities:
    return np.array([1 - probability, probability])
