"""Shortcut baselines: they find the cue that gives the answer away, and stay at chance where nothing does."""

import dataclasses
import math

import numpy as np
import pytest

from vlmcog.datasets.features import NO_ANSWER, Trial
from vlmcog.datasets.shortcuts import shortcut_baselines
from vlmcog.errors import UserError

NOISE = Trial(np.zeros((8, 8, 3), np.uint8), "", "tower_falls", "?", ("no", "yes"), height=1.0, n_blocks=3)
SIZE, OFFSET, PIXELS = "number of blocks and height", "top-block offset", "pixels at 32 px"


def _trials(count: int, given_away: str, seed: int) -> list[Trial]:
    rng = np.random.default_rng(seed)
    trials = []
    for index in range(count):
        answer = int(rng.integers(2))
        image = rng.integers(0, 100, (8, 8, 3), dtype=np.uint8)
        image[2, 3] += np.uint8(120 * answer * (given_away == PIXELS))
        trials.append(
            dataclasses.replace(
                NOISE,
                item=str(index),
                image=image,
                answer=answer,
                height=1 + answer * (given_away == SIZE) + 0.1 * rng.normal(),
                top_offset=answer * (given_away == OFFSET) + 0.1 * rng.normal(),
            )
        )
    return trials


@pytest.mark.parametrize("given_away", [SIZE, OFFSET, PIXELS, "nothing"])
def test_the_cue_that_gives_the_answer_away_is_found(given_away):
    test = _trials(200, given_away, seed=1)
    baselines = {baseline.name: baseline for baseline in shortcut_baselines(_trials(300, given_away, seed=0), test)}
    assert list(baselines) == [SIZE, OFFSET, PIXELS]
    for name, baseline in baselines.items():
        assert baseline.correct.mean() > 0.95 if name == given_away else 0.35 < baseline.correct.mean() < 0.65
        truths = np.array([trial.answer for trial in test])
        np.testing.assert_array_equal(baseline.correct, (baseline.probability > 0.5) == truths)


def test_cue_that_scenes_lack_is_left_out():
    train, test = (
        [dataclasses.replace(trial, top_offset=math.nan) for trial in _trials(50, SIZE, seed)] for seed in (0, 1)
    )
    assert [baseline.name for baseline in shortcut_baselines(train, test)] == [SIZE, PIXELS]


@pytest.mark.parametrize("changes", [{"options": ("0", "1", "2")}, {"answer": NO_ANSWER}])
def test_other_questions_are_refused(changes):
    trials = [dataclasses.replace(trial, **changes) for trial in _trials(10, SIZE, 0)]
    with pytest.raises(UserError, match="no yes/no question"):
        shortcut_baselines(trials, trials)


def test_one_answer_in_training_is_refused():
    trials = [trial for trial in _trials(10, SIZE, 0) if trial.answer]
    with pytest.raises(UserError, match="every answer of the training trials"):
        shortcut_baselines(trials, trials)
