"""The noise with which the noisy simulator answers most as people do, fitted to their answers by likelihood."""

import dataclasses
import functools
import math

import numpy as np
from jaxtyping import Float

from vlmcog.datasets.read import TrialSource
from vlmcog.evaluation.people import People
from vlmcog.humans.heuristics import TOWER_FALLS
from vlmcog.humans.noisy_simulator import SIMULATIONS, Noise, log_likelihoods, p_fall
from vlmcog.scenes.scene import Block, Scene
from vlmcog.scenes.statics import is_column
from vlmcog.statistics.ceilings import Responses
from vlmcog.statistics.intervals import Interval, Weights, two_way_bootstrap

TRIED = np.geomspace(0.01, 1.0, 25)
"""Noises in sides: at the least only the closest towers are misjudged, at the greatest nearly all fall."""


@dataclasses.dataclass(frozen=True)
class FittedNoise:
    """A noise in sides, its 95 % interval over people and items, and to whom and how many items it is fitted."""

    position: float
    interval: Interval
    judges: str
    n: int

    @property
    def noise(self) -> Noise:
        """What the simulator takes."""
        return Noise(self.position)

    @property
    def name(self) -> str:
        """What the observer is called in tables."""
        return f"noisy simulator (fitted to {self.judges}: {self.position:.2g} sides)"


def fit(source: TrialSource, people: People | None, *, simulations: int = SIMULATIONS) -> FittedNoise | None:
    """Fits the simulator's noise to people's yes and no to "will it fall?" by likelihood.

    The observer is then scored against the very answers that it is fitted to, which its one parameter hardly flatters.
    Between the noises that are tried, the likelihood is taken for a parabola in the noise's logarithm. Where the best
    is the least or the greatest tried, that is the estimate.

    Args:
      source: the trials, in the order of `people`.
      people: what they said; None where nobody did.
      simulations: of each scene at each noise.

    Returns:
      None where there are no single answers of people, or a trial is no scene of one column of blocks.
    """
    scenes = _columns(source)
    if people is None or people.responses is None or not scenes:
        return None
    falls = np.array([[p_fall(blocks, Noise(float(x)), n=simulations) for blocks in scenes] for x in TRIED])
    best = _log_noises(falls, people.responses, *(np.ones((1, n)) for n in people.responses.shape))
    return FittedNoise(math.exp(best[0]), interval(falls, people.responses), people.name, len(scenes))


def interval(falls: Float[np.ndarray, "tried items"], responses: Responses) -> Interval:
    """The interval of the noise over people and items, from P(fall) of each item at each of the noises tried."""
    around = two_way_bootstrap(functools.partial(_log_noises, falls, responses), *responses.shape)
    return Interval(math.exp(around.low), math.exp(around.high))


def _columns(source: TrialSource) -> list[tuple[Block, ...]]:
    """The blocks of each trial; none at all where the analytic simulator can't answer every one."""
    if not all(trial.task == TOWER_FALLS and trial.scene for trial in source):
        return []
    scenes = [Scene.from_json(trial.scene).blocks for trial in source]
    return scenes if all(map(is_column, scenes)) else []


def _log_noises(
    falls: Float[np.ndarray, "tried items"], responses: Responses, people: Weights, items: Weights
) -> Float[np.ndarray, " r"]:
    """The logarithm of the most likely noise when people and items count as often as they were drawn."""
    given = ~np.isnan(responses)
    n_yes, n = people @ (responses == 1).astype(float), people @ given.astype(float)
    return _peaks(log_likelihoods(falls, items * n_yes, items * n))


def _peaks(likelihoods: Float[np.ndarray, "r tried"]) -> Float[np.ndarray, " r"]:
    rows, last = np.arange(len(likelihoods)), len(TRIED) - 1
    best = likelihoods.argmax(-1)
    inside = (best > 0) & (best < last)
    at = np.clip(best, 1, last - 1)
    before, top, after = (likelihoods[rows, at + step] for step in (-1, 0, 1))
    curvature = before - 2 * top + after
    offset = np.where(inside & (curvature < 0), (before - after) / np.where(curvature < 0, 2 * curvature, 1.0), 0.0)
    return np.log(TRIED[best]) + offset * math.log(TRIED[1] / TRIED[0])
