"""Observers that answer from a trial's scene: simple rules, the exact simulator, a noisy one.

Each maps a trial to P(option), or to None where it has no answer: a rule about towers before a pyramid, a simulator
before a photograph (`why_not_simulated` says why). None of them is a person, and none sees a picture.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float

from vlmcog.humans import noisy_simulator as simulator
from vlmcog.humans.noisy_simulator import Noise
from vlmcog.scenes.labelled import LabelledScene, Outcome
from vlmcog.scenes.scene import Scene
from vlmcog.tasks import perception
from vlmcog.tasks.registry import get_task

TOWER_FALLS = "tower_falls"
MIDDLE_HEIGHT = 4.5
"""In blocks: midway between the lowest and the highest tower."""
NOISE = Noise(position=0.1)
SIMULATIONS = 10
"""Of a scene that has to be simulated, which takes 3-60 ms a time: an answer is graded in steps of 10 %."""


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

    @property
    def outcome(self) -> str:
        """What its simulation showed, as JSON; empty for a photograph."""
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
    """The noisy simulator: in each simulation the blocks that fall decide the answer, as they do in the truth.

    A column's fall is judged by statics, 200 times; what has to be simulated is so `SIMULATIONS` times.
    """
    if why_not_simulated(stimulus):
        return None
    scene, outcome = Scene.from_json(stimulus.scene), Outcome.from_json(stimulus.outcome)
    task = get_task(stimulus.task)
    truth, is_any = task.truth, task.answers.kind == "binary"  # a yes or no is about whether any block falls
    assert truth is not None
    n = SIMULATIONS if takes_long(stimulus) else simulator.SIMULATIONS
    fell = simulator.falling(scene.blocks, noise, removed=outcome.removed, n=n, is_any=is_any)
    answers = [truth(LabelledScene(scene, dataclasses.replace(outcome, fell=tuple(flags)))) for flags in fell.tolist()]
    return np.bincount([answer for answer in answers if answer is not None], minlength=len(stimulus.options)) / n


def takes_long(stimulus: Stimulus) -> bool:
    """Whether the noisy simulator has to simulate: statics don't tell what happens in the scene."""
    if why_not_simulated(stimulus):
        return False
    removed = Outcome.from_json(stimulus.outcome).removed
    return not simulator.is_analytic(Scene.from_json(stimulus.scene).blocks, NOISE, removed=removed)


def why_not_simulated(stimulus: Stimulus) -> str:
    """Says why the noisy simulator has no answer to a trial; empty where it has one."""
    if not stimulus.scene or not stimulus.outcome:
        return "no scene to simulate"
    if Outcome.from_json(stimulus.outcome).clearances is not None:
        return "the scene does not hold how its balls roll"
    if get_task(stimulus.task).domain == perception.DOMAIN:
        return "the question is not about what falls"
    return ""


NOISY_SIMULATOR = f"noisy simulator ({NOISE.position:g} sides)"
OBSERVERS: dict[str, Callable[[Stimulus], Probabilities | None]] = {
    "height": height,
    "lean": lean,
    "exact simulator": exact_simulator,
    NOISY_SIMULATOR: noisy_simulator,
}


def _yes(probability: float) -> Probabilities:
    return np.array([1 - probability, probability])
