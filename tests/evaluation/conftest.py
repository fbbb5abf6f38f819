"""Trials in memory, and answers without a model."""

import json

import numpy as np
import pandas as pd
import pytest

from vlmcog.datasets.features import Judgment, Trial
from vlmcog.datasets.read import TrialSource
from vlmcog.evaluation.answers import COLUMNS
from vlmcog.tasks.registry import get_task


class TrialList(list):
    """Trials, as a dataset's source gives them."""

    judgments = TrialSource.judgments

    def asked(self):
        return {(trial.question, trial.options) for trial in self}


def make_trials(count, *, task="tower_falls", truths=None, responses=None, size=16, seed=0):
    """Noise images; `responses` is people x items, NaN where a person said nothing."""
    rng = np.random.default_rng(seed)
    space = get_task(task).answers
    truths = rng.integers(len(space.options), size=count) if truths is None else truths
    people = [
        tuple(Judgment(f"p{p}", float(r)) for p, r in enumerate(column) if not np.isnan(r))
        for column in (np.transpose(responses) if responses is not None else [[]] * count)
    ]
    return TrialList(
        Trial(
            image=rng.integers(256, size=(size, size, 3), dtype=np.uint8),
            item=f"item-{index}",
            task=task,
            question=get_task(task).question,
            options=space.options,
            answer=int(truths[index]),
            judgments=people[index],
            n_blocks=2 + index % 3,
        )
        for index in range(count)
    )


def make_answers(probabilities, answer, *, task="tower_falls", run="towers", on="cubeworld_towers/cubeworld_small"):
    """An answers table from an array of items x options."""
    probabilities = np.asarray(probabilities, float)
    rows = pd.DataFrame(
        {
            "run": run,
            "model": "tiny",
            "evaluated_on": on,
            "task": task,
            "item": [f"item-{index}" for index in range(len(probabilities))],
            "options": json.dumps(get_task(task).answers.options),
            "probabilities": [json.dumps(row.tolist()) for row in probabilities],
            "response": probabilities.argmax(-1),
            "log_probability": np.log(probabilities.max(-1)),
            "answer": np.asarray(answer, int),
            "text": "",
        }
    )
    return rows.loc[:, list(COLUMNS)]


@pytest.fixture(scope="session")
def trials():
    return make_trials


@pytest.fixture(scope="session")
def answers_table():
    return make_answers
