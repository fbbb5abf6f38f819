"""Observers that see nothing, or next to nothing: what a model has to beat."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from vlmcog.datasets.features import NO_ANSWER
from vlmcog.datasets.shortcuts import Shortcut
from vlmcog.evaluation.metrics import Metric
from vlmcog.statistics.intervals import wilson

OBSERVER = "observer: "
CHANCE, MAJORITY, LOGISTIC = f"{OBSERVER}chance", f"{OBSERVER}majority", f"{OBSERVER}logistic"


def observer_metrics(answers: pd.DataFrame, shortcuts: Sequence[Shortcut] = ()) -> list[Metric]:
    """Returns the accuracy of each observer on the items that have a truth; none where no item has.

    `chance` guesses among the options; `majority` always gives the answer that is most often right in this very set, so
    no constant answer does better; `logistic` observers know one simple cue (see `datasets.shortcuts`).
    """
    known = answers.loc[answers.answer != NO_ANSWER]
    if known.empty:
        return []
    chance = float(np.mean([1 / len(json.loads(options)) for options in known.options]))
    constant = known.answer == known.answer.mode()[0]
    metrics = [Metric(CHANCE, "accuracy", chance, len(known)), _accuracy(MAJORITY, constant.to_numpy())]
    return metrics + [_accuracy(f"{LOGISTIC} ({shortcut.name})", shortcut.correct) for shortcut in shortcuts]


def _accuracy(name: str, correct: np.ndarray) -> Metric:
    return Metric(name, "accuracy", float(correct.mean()), len(correct), wilson(int(correct.sum()), len(correct)))
