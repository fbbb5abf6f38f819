"""Neutral questions: their truths are what a picture shows, by another way of looking at the scene."""

import dataclasses

import numpy as np
import pytest

from vlmcog.scenes.generate import generate
from vlmcog.scenes.labelled import LabelledScene
from vlmcog.tasks.perception import PERCEPTION

TRUTHS = {task.name: task.truth for task in PERCEPTION}


@pytest.fixture(scope="module")
def scenes():
    made = [
        generate(kind, 24, seed=3, split="train", look="cubeworld", split_size=size)
        for kind, size in (("towers", "small"), ("towers", "large"), ("pyramids", "small"))
    ]
    return [one.labelled for part in made for one in part]


def _mirrored(labelled: LabelledScene) -> LabelledScene:
    """The scene seen from a camera on the other side of x = 0, its blocks' centres there as well."""
    scene = labelled.scene
    x, y, z = scene.camera.position
    target = scene.camera.target
    camera = dataclasses.replace(scene.camera, position=(-x, y, z), target=(-target[0], *target[1:]))
    blocks = tuple(
        dataclasses.replace(block, position=(-block.position[0], *block.position[1:])) for block in scene.blocks
    )
    return dataclasses.replace(labelled, scene=dataclasses.replace(scene, blocks=blocks, camera=camera))


def test_left_and_right_change_places_in_a_mirror(scenes):
    asked = [labelled for labelled in scenes if TRUTHS["top_side"](labelled) is not None]
    assert {TRUTHS["top_side"](labelled) for labelled in asked} == {0, 1}
    for labelled in asked:
        assert TRUTHS["top_side"](_mirrored(labelled)) == 1 - TRUTHS["top_side"](labelled)


@pytest.mark.parametrize("name", ["block_count", "has_blue", "top_colour", "red_above_blue"])
def test_a_mirror_changes_nothing_else(name, scenes):
    for labelled in scenes:
        assert TRUTHS[name](_mirrored(labelled)) == TRUTHS[name](labelled)


def test_the_top_block_of_a_tower_is_the_last_one(scenes):
    for labelled in scenes:
        if labelled.scene.kind == "tower":
            expected = {"red": 0, "blue": 1}.get(labelled.scene.blocks[-1].colour_name)
            assert TRUTHS["top_colour"](labelled) == expected
            assert TRUTHS["block_count"](labelled) == len(labelled.scene.blocks)


def test_red_above_blue_turns_round_when_the_colours_change_places(scenes):
    swap = {"red": "blue", "blue": "red"}
    asked = 0
    for labelled in scenes:
        blocks = tuple(
            dataclasses.replace(block, colour_name=swap.get(block.colour_name, block.colour_name))
            for block in labelled.scene.blocks
        )
        swapped = dataclasses.replace(labelled, scene=dataclasses.replace(labelled.scene, blocks=blocks))
        before, after = (TRUTHS["red_above_blue"](one) for one in (labelled, swapped))
        assert (before is None) == (after is None)
        if before is not None:
            asked += 1
            assert before == 1 - after
    assert asked


def test_a_pile_is_tall_where_a_taller_one_is(scenes):
    """Stretched upwards about its foot, a tall pile stays tall."""
    asked = [labelled for labelled in scenes if TRUTHS["is_tall"](labelled) is not None]
    assert {TRUTHS["is_tall"](labelled) for labelled in asked} == {0, 1}
    for labelled in asked:
        if TRUTHS["is_tall"](labelled):
            blocks = tuple(
                dataclasses.replace(
                    block,
                    position=(*block.position[:2], 1.5 * block.position[2]),
                    size=tuple(np.multiply(block.size, (1, 1, 1.5)).tolist()),
                )
                for block in labelled.scene.blocks
            )
            stretched = dataclasses.replace(labelled.scene, blocks=blocks)
            assert TRUTHS["is_tall"](dataclasses.replace(labelled, scene=stretched)) == 1


def test_every_question_is_asked_of_some_scenes_and_answered_in_more_than_one_way(scenes):
    for name, truth in TRUTHS.items():
        answers = [truth(labelled) for labelled in scenes]
        assert len({answer for answer in answers if answer is not None}) > 1, name
