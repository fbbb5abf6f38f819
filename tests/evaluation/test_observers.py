import numpy as np

from vlmcog.datasets.shortcuts import Shortcut
from vlmcog.evaluation.observers import observer_metrics
from vlmcog.statistics.intervals import wilson


def test_observers(answers_table):
    answers = answers_table(np.full((10, 2), 0.5), [1] * 6 + [0] * 3 + [-1])
    shortcut = Shortcut("height", np.array([True] * 7 + [False] * 2), np.full(9, 0.5))
    chance, majority, logistic = observer_metrics(answers, [shortcut])
    assert (chance.model, chance.value, chance.n) == ("observer: chance", 0.5, 9)
    assert np.isnan(chance.interval.low)  # exact: nothing was sampled
    assert (majority.model, majority.value, majority.interval) == ("observer: majority", 6 / 9, wilson(6, 9))
    assert (logistic.model, logistic.value) == ("observer: logistic (height)", 7 / 9)


def test_chance_among_many_options(answers_table):
    answers = answers_table(np.full((4, 15), 1 / 15), [3, 4, 3, 0], task="red_block_count")
    chance, majority = observer_metrics(answers)
    assert (chance.value, majority.value) == (1 / 15, 0.5)


def test_no_truth_no_observers(answers_table):
    assert observer_metrics(answers_table([[0.5, 0.5]], [-1])) == []
