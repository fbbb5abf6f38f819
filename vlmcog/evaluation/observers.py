"""Observers that see nothing, one cue, or everything: what a model's answers are compared with.

Their answers are tables like a model's and are scored like a model's; their names say what they are.
"""

import functools
import json
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.datasets.read import TrialSource
from vlmcog.datasets.shortcuts import Shortcut
from vlmcog.evaluation.asking import ask
from vlmcog.evaluation.fitted_noise import FittedNoise
from vlmcog.evaluation.metrics import Metric
from vlmcog.humans.heuristics import NOISY_SIMULATOR, OBSERVERS, noisy_simulator, why_not_simulated
from vlmcog.tasks.registry import get_task

OBSERVER = "observer: "
CHANCE, MAJORITY, LOGISTIC = f"{OBSERVER}chance", f"{OBSERVER}majority", f"{OBSERVER}logistic"


def chance(answers: pd.DataFrame) -> list[Metric]:
    """Returns the accuracy of guessing among the options, which is exact; nothing where no item has a truth."""
    known = answers.loc[answers.answer != NO_ANSWER]
    if known.empty:
        return []
    accuracy = float(np.mean([1 / len(json.loads(options)) for options in known.options]))
    return [Metric(CHANCE, "accuracy", accuracy, len(known))]


def fitted(noise: FittedNoise | None) -> list[Metric]:
    """Returns the noise that was fitted to people, in sides; nothing where none was."""
    return [Metric(f"{OBSERVER}{noise.name}", "fitted_noise", noise.position, noise.n, noise.interval)] if noise else []


def unanswered(source: TrialSource) -> list[Metric]:
    """Returns why the noisy simulator has no answers to a set, where it has none, in the place of its first metric."""
    found = next(((trial, reason) for trial in source if (reason := why_not_simulated(trial))), None)
    if found is None:
        return []
    trial, reason = found
    name = get_task(trial.task).answers.metrics[0]
    return [Metric(f"{OBSERVER}{NOISY_SIMULATOR}", name, math.nan, len(source), reason=reason)]


def observer_answers(
    source: TrialSource,
    answers: pd.DataFrame,
    shortcuts: Sequence[Shortcut] = (),
    noise: FittedNoise | None = None,
) -> pd.DataFrame:
    """Returns the observers' answers to the trials that a model answered, in the layout of the model's.

    `majority` always gives the answer that is most often right in this very set, so no constant answer does better;
    `logistic` observers know one simple cue (see `datasets.shortcuts`); the others are those of `humans.heuristics`,
    and the noisy simulator once more with the `noise` that was fitted to people, if any. An observer that cannot answer
    every trial, such as a physical simulator before photographs, is left out.
    """
    tables = []
    known = answers.loc[answers.answer != NO_ANSWER, "answer"]
    if len(known):
        constant = [np.eye(len(json.loads(options)))[known.mode()[0]] for options in answers.options]
        tables.append(_table(answers, MAJORITY, constant))
    for shortcut in shortcuts:
        p_yes = list(np.stack([1 - shortcut.probability, shortcut.probability], -1))
        tables.append(_table(answers, f"{LOGISTIC} ({shortcut.name})", p_yes))
    observers = dict(OBSERVERS)
    if noise:
        observers[noise.name] = functools.partial(noisy_simulator, noise=noise.noise)
    for name, given in zip(observers, ask(list(observers.values()), source), strict=True):
        known = [probabilities for probabilities in given if probabilities is not None]
        if len(known) == len(answers):
            tables.append(_table(answers, f"{OBSERVER}{name}", known))
    return pd.concat(tables, ignore_index=True) if tables else answers.iloc[:0]


def _table(answers: pd.DataFrame, name: str, probabilities: Sequence[Float[np.ndarray, " o"]]) -> pd.DataFrame:
    with np.errstate(divide="ignore"):
        log_probability = [float(np.log(p.max())) for p in probabilities]
    return answers.assign(
        model=name,
        probabilities=[json.dumps(p.tolist()) for p in probabilities],
        response=[int(p.argmax()) for p in probabilities],
        log_probability=log_probability,
        text="",
    )
