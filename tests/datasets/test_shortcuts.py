"""Shortcut baselines: they find the cue that gives the answer away, and stay at chance where nothing does."""

import dataclasses
import math

import numpy as np
import pytest

from vlmcog.datasets.features import NO_ANSWER, Trial
from vlmcog.datasets.shortcuts import check, shortcut_baselines
from vlmcog.datasets.specs import parse
from vlmcog.errors import UserError

NOISE = Trial(np.zeros((8, 8, 3), np.uint8), "", "tower_falls", "?", ("no", "yes"), height=1.0, n_blocks=3)
SIZE, OFFSET, COLOURS = "number of blocks and height", "top-block offset", "colour histogram"
PIXELS, FEATURES = "pixels at 32 px", "frozen random features"
FROM_PIXELS = {  # which of the cues that read the picture find the one that gives the answer away
    SIZE: set(),
    OFFSET: set(),
    "nothing": set(),
    PIXELS: {PIXELS, FEATURES},
    COLOURS: {COLOURS, PIXELS, FEATURES},
}


def _trials(count: int, given_away: str, seed: int) -> list[Trial]:
    rng = np.random.default_rng(seed)
    trials = []
    for index in range(count):
        answer = int(rng.integers(2))
        image = rng.integers(0, 100, (8, 8, 3), dtype=np.uint8)
        if answer and given_away == PIXELS:  # the same colours, in other places
            image[:2], image[6:] = image[:2] // 2, image[6:] + np.uint8(50)
        elif given_away == PIXELS:
            image[6:], image[:2] = image[6:] // 2, image[:2] + np.uint8(50)
        image[..., 0] += np.uint8(100 * answer * (given_away == COLOURS))
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


@pytest.mark.parametrize("given_away", [SIZE, OFFSET, COLOURS, PIXELS, "nothing"])
def test_the_cue_that_gives_the_answer_away_is_found(given_away):
    test = _trials(200, given_away, seed=1)
    baselines = {baseline.name: baseline for baseline in shortcut_baselines(_trials(300, given_away, seed=0), test)}
    assert list(baselines) == [SIZE, OFFSET, COLOURS, PIXELS, FEATURES]
    for name, baseline in baselines.items():
        found = name in {given_away, *FROM_PIXELS[given_away]}
        assert baseline.accuracy > 0.95 if found else 0.35 < baseline.accuracy < 0.65
        assert baseline.interval.low < baseline.accuracy <= baseline.interval.high
        truths = np.array([trial.answer for trial in test])
        np.testing.assert_array_equal(baseline.correct, (baseline.probability > 0.5) == truths)


def test_cue_that_scenes_lack_is_left_out():
    train, test = (
        [dataclasses.replace(trial, top_offset=math.nan) for trial in _trials(50, SIZE, seed)] for seed in (0, 1)
    )
    assert [baseline.name for baseline in shortcut_baselines(train, test)] == [SIZE, COLOURS, PIXELS, FEATURES]


def test_each_task_is_audited_by_itself():
    """Of two questions about the same pictures, one is given away and its opposite as well: not half of both."""
    train, test = (
        [
            dataclasses.replace(trial, task=task, answer=abs(trial.answer - opposite))
            for trial in _trials(count, SIZE, seed)
            for task, opposite in (("one", 0), ("other", 1))
        ]
        for count, seed in ((100, 0), (100, 1))
    )
    found = {baseline.task: baseline for baseline in shortcut_baselines(train, test) if baseline.name == SIZE}
    assert list(found) == ["one", "other"]
    assert min(baseline.accuracy for baseline in found.values()) > 0.95


@pytest.mark.parametrize("changes", [{"options": ("0", "1", "2")}, {"answer": NO_ANSWER}])
def test_other_questions_are_refused(changes):
    trials = [dataclasses.replace(trial, **changes) for trial in _trials(10, SIZE, 0)]
    with pytest.raises(UserError, match="no yes/no question"):
        shortcut_baselines(trials, trials)


def test_one_answer_in_training_is_refused():
    trials = [trial for trial in _trials(10, SIZE, 0) if trial.answer]
    with pytest.raises(UserError, match="every answer of the training trials"):
        shortcut_baselines(trials, trials)


def test_limit_names_the_worst_shortcut_with_its_interval():
    train, test = _trials(300, SIZE, seed=0), _trials(200, SIZE, seed=1)
    spec, baselines = parse("cubeworld_towers"), shortcut_baselines(train, test)
    with pytest.raises(UserError, match=rf"{SIZE}' answers (0\.9|1\.0)\d+ \[.*over the limit of 70 %"):
        check(spec, baselines, 70)
    check(spec, [baseline for baseline in baselines if baseline.name != SIZE], 70)


def test_order_of_the_training_trials_changes_nothing():
    train, test = _trials(100, "nothing", seed=0), _trials(50, "nothing", seed=1)
    for one, other in zip(shortcut_baselines(train, test), shortcut_baselines(train[::-1], test), strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
