"""The noise with which the noisy simulator answers most as people do, fitted to their answers by likelihood."""

import dataclasses
import functools
import math

import numpy as np
from jaxtyping import Float

from vlmcog.datasets.features import Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.evaluation.asking import ask
from vlmcog.evaluation.people import People
from vlmcog.humans.heuristics import noisy_simulator, takes_long, why_not_simulated
from vlmcog.humans.noisy_simulator import Noise, log_likelihoods
from vlmcog.statistics.ceilings import Responses
from vlmcog.statistics.intervals import Interval, Weights, two_way_bootstrap
from vlmcog.tasks.registry import get_task

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


def fit(source: TrialSource, people: People | None) -> FittedNoise | None:
    """Fits the simulator's noise to people's yes and no to "will it fall?" by likelihood.

    The observer is then scored against the very answers that it is fitted to, which its one parameter hardly flatters.
    Between the noises that are tried, the likelihood is taken for a parabola in the noise's logarithm. Where the best
    is the least or the greatest tried, that is the estimate. Of scenes that have to be simulated only each third noise
    is tried, for that takes some seconds a scene.

    Args:
      source: the trials, in the order of `people`.
      people: what they said; None where nobody did.

    Returns:
      None where there are no single answers of people, a trial can't be simulated, or not yes or no is asked.
    """
    if people is None or people.responses is None or not all(map(_is_asked_to_fall, source)):
        return None
    tried = TRIED[::3] if any(map(takes_long, source)) else TRIED
    simulators = [functools.partial(noisy_simulator, noise=Noise(float(x))) for x in tried]
    falls = np.array(ask(simulators, source))[..., 1]
    best = _log_noises(falls, people.responses, *(np.ones((1, n)) for n in people.responses.shape), tried=tried)
    around = interval(falls, people.responses, tried=tried)
    return FittedNoise(math.exp(best[0]), around, people.name, len(source))


def interval(
    falls: Float[np.ndarray, "tried items"], responses: Responses, *, tried: Float[np.ndarray, " tried"] = TRIED
) -> Interval:
    """The interval of the noise over people and items, from P(fall) of each item at each of the noises tried."""
    around = two_way_bootstrap(functools.partial(_log_noises, falls, responses, tried=tried), *responses.shape)
    return Interval(math.exp(around.low), math.exp(around.high))


def _is_asked_to_fall(trial: Trial) -> bool:
    """Whether a trial asks yes or no about a scene that the simulator can answer."""
    return get_task(trial.task).answers.kind == "binary" and not why_not_simulated(trial)


def _log_noises(
    falls: Float[np.ndarray, "tried items"],
    responses: Responses,
    people: Weights,
    items: Weights,
    *,
    tried: Float[np.ndarray, " tried"],
) -> Float[np.ndarray, " r"]:
    """The logarithm of the most likely noise when people and items count as often as they were drawn."""
    given = ~np.isnan(responses)
    n_yes, n = people @ (responses == 1).astype(float), people @ given.astype(float)
    return _peaks(log_likelihoods(falls, items * n_yes, items * n), tried)


def _peaks(likelihoods: Float[np.ndarray, "r tried"], tried: Float[np.ndarray, " tried"]) -> Float[np.ndarray, " r"]:
    rows, last = np.arange(len(likelihoods)), len(tried) - 1
    best = likelihoods.argmax(-1)
    inside = (best > 0) & (best < last)
    at = np.clip(best, 1, last - 1)
    before, top, after = (likelihoods[rows, at + step] for step in (-1, 0, 1))
    curvature = before - 2 * top + after
    offset = np.where(inside & (curvature < 0), (before - after) / np.where(curvature < 0, 2 * curvature, 1.0), 0.0)
    return np.log(tried[best]) + offset * math.log(tried[1] / tried[0])
