"""Where in a model the physics of a scene can be read off: linear probes of every layer (see `statistics.probes`)."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Shaped

from vlmcog.datasets.features import Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.datasets.shortcuts import CUES, PIXELS
from vlmcog.evaluation import batches
from vlmcog.models.boundary import Params, VisionLanguageModel
from vlmcog.progress import Progress, progress
from vlmcog.statistics.probes import FOLDS, Probe, probe

COLUMNS = ("network", "layer", "quantity", "value", "ci_low", "ci_high", "control", "n", "reason")
QUANTITIES = ("margin", "top_offset", "n_blocks")
RAW = "pixels"


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    """What networks hold of every trial, and what the trials have to be read off.

    Attributes:
      states: by network; `pixels`, in one row, is the picture itself.
      quantities: by name; NaN where a trial has none.
      items: which each trial shows.
    """

    states: dict[str, Float[np.ndarray, "l n d"]]
    quantities: dict[str, Float[np.ndarray, " n"]]
    items: Shaped[np.ndarray, " n"]


def probes(
    model: VisionLanguageModel,
    params: Params,
    source: TrialSource,
    *,
    batch_size: int,
    folds: int = FOLDS,
    seed: int = 0,
) -> pd.DataFrame:
    """Probes every layer of a model for every quantity of a set: a row each, in `COLUMNS`.

    `network` is `vision`, `language` where the model has a decoder, and `pixels`, the picture at 32 px, which shows
    what no network is needed for. `layer` 0 is what enters the first layer, k what leaves the k-th. At the last token
    of the prompt layer 0 of `language` knows nothing of the picture: a floor, as is `control`, of dealt-out quantities.
    `value` is R^2 on items that the probe was not fitted to, NaN with a `reason` where a set has no such quantity or
    but one of it; `n` counts items. The margin and the offset are in block sides.
    """
    shown = _show(model, params, source, batch_size)
    layers = [(network, layer) for network, states in shown.states.items() for layer in range(len(states))]
    rows = []
    for (network, layer), quantity in progress([*itertools.product(layers, QUANTITIES)], "probing", unit="probe"):
        states, truth = shown.states[network][layer], shown.quantities[quantity]
        rows.append((network, layer, quantity, probe(states, truth, shown.items, folds=folds, seed=seed)))
    return pd.DataFrame([_row(*row) for row in rows], columns=list(COLUMNS))


def _row(network: str, layer: int, quantity: str, found: Probe) -> tuple[object, ...]:
    ends = (found.interval.low, found.interval.high)
    return network, layer, quantity, found.value, *ends, found.control, found.n, found.reason


def _show(model: VisionLanguageModel, params: Params, source: TrialSource, batch_size: int) -> Shown:
    read, (cue, _) = _compiled(model), CUES[f"pixels at {PIXELS} px"]
    parts: list[dict[str, np.ndarray]] = []
    known: list[tuple[float, ...]] = []
    with Progress(len(source), f"reading states of {model.name}", unit="trial") as bar:
        for trials in batches.chunks(source, batch_size):
            filled = batches.filled(trials, batch_size)
            examples = [model.processor.prefix_example(trial.image, trial.question) for trial in filled]
            states = read(params, batches.stack(examples))
            pixels = np.stack([cue(trial) for trial in trials])[None]
            parts.append({RAW: pixels} | {name: np.asarray(of)[:, : len(trials)] for name, of in states.items()})
            known += [_quantities(trial) for trial in trials]
            bar.advance(len(trials))
    return Shown(
        {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]},
        dict(zip(QUANTITIES, np.array(known).T, strict=True)),
        np.array([trial.item for trial in source]),
    )


@functools.lru_cache(maxsize=1)
def _compiled(model: VisionLanguageModel) -> Callable[..., dict[str, Float[Array, "l b d"]]]:
    """One compilation for a model before and after tuning."""
    return jax.jit(model.hidden_states)


def _quantities(trial: Trial) -> tuple[float, ...]:
    return trial.margin, trial.top_offset, trial.n_blocks or math.nan
