"""Simulated participants, for tests and demonstrations: noisy simulators with lapses and biases of their own.

They are not people. Their names begin with `simulated-`, and every table and figure that holds them says so.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from vlmcog.humans.judgments import KEYS
from vlmcog.humans.noisy_simulator import SIMULATIONS, Noise, p_fall
from vlmcog.scenes.scene import Block

PREFIX = "simulated-"
COLUMNS = (*KEYS, "response")


@dataclasses.dataclass(frozen=True)
class Population:
    """What simulated participants are drawn from.

    Attributes:
      noise: the median participant's noise.
      spread: standard deviation between participants of the logarithm of their noise.
      bias: standard deviation between participants of a shift of P(fall) in log-odds.
      lapse: the share of answers given at random.
    """

    noise: Noise
    spread: float = 0.0
    bias: float = 0.0
    lapse: float = 0.0


def simulated_judgments(
    scenes: Mapping[str, Sequence[Block]],
    population: Population,
    *,
    participants: int,
    task: str = "tower_falls",
    seed: int = 0,
    simulations: int = SIMULATIONS,
) -> pd.DataFrame:
    """Returns a judgment table in which each simulated participant says whether each scene will fall.

    Args:
      scenes: the blocks of each item.
      population: what participants are drawn from.
      participants: how many.
      task: the task that the table names, a question that 1 answers with "it falls".
      seed: of participants and answers.
      simulations: of each participant for each scene.
    """
    rows = []
    for index, rng in enumerate(np.random.default_rng(seed).spawn(participants)):
        scale = math.exp(population.spread * rng.standard_normal())
        noise = Noise(population.noise.position * scale, population.noise.force * scale)
        shift = population.bias * rng.standard_normal()
        for item, blocks in scenes.items():
            falls = p_fall(blocks, noise, n=simulations, seed=int(rng.integers(2**31)))
            biased = float(special.expit(special.logit(falls) + shift)) if 0 < falls < 1 else falls
            p_yes = (1 - population.lapse) * biased + population.lapse / 2
            rows.append((f"{PREFIX}{index + 1:03d}", item, task, float(rng.random() < p_yes)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def is_simulated(participant: str) -> bool:
    """Whether a participant's name is that of a simulated one."""
    return participant.startswith(PREFIX)
