import dataclasses
import json

import numpy as np
import pytest

from vlmcog.datasets.shortcuts import Shortcut
from vlmcog.evaluation import observers
from vlmcog.evaluation.metrics import model_metrics
from vlmcog.scenes.labelled import Outcome
from vlmcog.scenes.looks import LOOKS, dress
from vlmcog.scenes.scene import Block
from vlmcog.statistics.intervals import wilson


def by_model(table):
    return {model: rows for model, rows in table.groupby("model", sort=False)}


def test_chance_is_exact(answers_table):
    (chance,) = observers.chance(answers_table(np.full((10, 2), 0.5), [1] * 6 + [0] * 3 + [-1]))
    assert (chance.model, chance.value, chance.n) == ("observer: chance", 0.5, 9)
    assert np.isnan(chance.interval.low)  # nothing was sampled


def test_chance_among_many_options(answers_table):
    (chance,) = observers.chance(answers_table(np.full((4, 15), 1 / 15), [3, 4, 3, 0], task="red_block_count"))
    assert chance.value == 1 / 15


def test_observers_answer_as_models_do(answers_table, trials):
    truths = [1] * 6 + [0] * 3 + [-1]
    answers = answers_table(np.full((10, 2), 0.5), truths)
    probability = np.linspace(0.1, 0.9, 10)
    table = observers.observer_answers(
        trials(10, truths=truths), answers, [Shortcut("cue", probability > 0, probability)]
    )
    assert list(table.columns) == list(answers.columns)
    found = by_model(table)
    assert list(found) == ["observer: majority", "observer: logistic (cue)", "observer: height"]
    assert all((rows.item.tolist(), rows.answer.tolist()) == (answers.item.tolist(), truths) for rows in found.values())
    assert set(found["observer: majority"].response) == {1}
    accuracy = model_metrics(found["observer: majority"])[0]
    assert (accuracy.value, accuracy.interval) == (6 / 9, wilson(6, 9))
    assert [json.loads(p)[1] for p in found["observer: logistic (cue)"].probabilities] == pytest.approx(probability)


def test_the_majority_of_many_options(answers_table, trials):
    truths = [3, 4, 3, 0]
    answers = answers_table(np.full((4, 15), 1 / 15), truths, task="red_block_count")
    source = trials(4, task="red_block_count", truths=truths)
    found = by_model(observers.observer_answers(source, answers))
    assert list(found) == ["observer: majority"]  # rules about towers have no answer to pyramids
    assert set(found["observer: majority"].response) == {3}


def test_without_truths_there_is_no_chance_and_no_majority(answers_table, trials):
    answers = answers_table([[0.5, 0.5]], [-1])
    assert observers.chance(answers) == []
    assert set(observers.observer_answers(trials(1, truths=[-1]), answers).model) == {"observer: height"}


def test_the_noisy_simulator_says_why_it_has_no_answers(trials):
    (reason,) = observers.unanswered(trials(3))
    assert (reason.model, reason.name, reason.n) == ("observer: noisy simulator (0.1 sides)", "accuracy", 3)
    assert np.isnan(reason.value)
    assert reason.undefined == "no scene to simulate"
    scene = dress(
        "tower", (Block(size=(0.2,) * 3, position=(0.0, 0.0, 0.1)),), LOOKS["cubeworld"], np.random.default_rng(0)
    )
    shown = [dataclasses.replace(t, scene=scene.to_json(), outcome=Outcome((False,)).to_json()) for t in trials(3)]
    assert observers.unanswered(shown) == []
