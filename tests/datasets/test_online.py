"""Trials on the fly: by index, always the same, and those of the built set."""

import dataclasses

import numpy as np
import pytest

from vlmcog.datasets.build import build
from vlmcog.datasets.online import OnlineTrials
from vlmcog.datasets.read import load
from vlmcog.datasets.specs import parse
from vlmcog.errors import UserError

TOWERS = "cubeworld_towers/cubeworld_small-size16-train4-validation1-test1"


def test_first_trials_are_those_of_the_built_set(tmp_path, quick_renderer):
    build(TOWERS, tmp_path)
    online = OnlineTrials(parse(TOWERS))
    made = {trial.item: trial for trial in (online[index] for index in range(4))}
    for trial in load(TOWERS, "train", tmp_path):
        other = made[trial.item]
        np.testing.assert_array_equal(trial.image, other.image)
        assert (trial.scene, trial.answer, trial.question) == (other.scene, other.answer, other.question)


def test_any_index_at_any_time_gives_the_same_trial(quick_renderer):
    far = 123_456_789
    one, other = (OnlineTrials(parse(TOWERS))[far] for _ in range(2))
    assert dataclasses.replace(one, image=other.image).scene == other.scene
    np.testing.assert_array_equal(one.image, other.image)
    assert one.scene != OnlineTrials(parse(TOWERS))[far + 1].scene


def test_tasks_take_turns(quick_renderer):
    online = OnlineTrials(parse("cubeworld_pyramids/cubeworld_small-size16"))
    assert [online[index].task for index in range(2)] == ["red_block_any", "red_block_count"]
    assert online[0].item == online[1].item
    alone = OnlineTrials(online.spec, tasks=("red_block_count",))
    assert alone[0].answer == online[1].answer
    assert alone.asked() == {(alone[0].question, alone[0].options)}


def test_mistakes_are_named():
    with pytest.raises(UserError, match="no trial of task 'tower_falls'"):
        OnlineTrials(parse("cubeworld_pyramids"), tasks=("tower_falls",))
    with pytest.raises(UserError, match="not made from scenes"):
        OnlineTrials(parse("lerer_towers"))
