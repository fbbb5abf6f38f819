import collections

import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.scenes.generate import labelled_pyramids, labelled_towers
from vlmcog.scenes.measures import n_blocks, top_offset

TOWERS = {"seed": 0, "split": "train", "heights": (2, 3, 4), "look": "cubeworld"}
PYRAMIDS = {"seed": 0, "split": "test", "rows": (2, 3), "look": "cubeworld"}


def test_same_seed_same_scenes_however_many():
    few, more = labelled_towers(6, **TOWERS), labelled_towers(9, **TOWERS)
    assert few.scenes == more.scenes[:6]
    assert labelled_pyramids(4, **PYRAMIDS).scenes == labelled_pyramids(4, **PYRAMIDS).scenes


@pytest.mark.parametrize("changed", [{"seed": 1}, {"split": "test"}])
def test_another_seed_or_split_has_other_scenes(changed):
    ours = {one.scene.to_json() for one in labelled_towers(12, **TOWERS).scenes}
    theirs = {one.scene.to_json() for one in labelled_towers(12, **(TOWERS | changed)).scenes}
    assert not ours & theirs


def test_truth_is_balanced_at_every_height():
    scenes = labelled_towers(60, **TOWERS).scenes
    counts = collections.Counter((n_blocks(one.scene), any(one.outcome.fell)) for one in scenes)
    assert set(counts.values()) == {10}
    for one in scenes:
        assert one.outcome.margin is not None
        assert (one.outcome.margin < 0) == any(one.outcome.fell)
        assert abs(one.outcome.margin) > 0.03


def test_top_offset_does_not_give_taller_towers_away():
    scenes = labelled_towers(200, **(TOWERS | {"heights": (4,)})).scenes
    falls = np.array([any(one.outcome.fell) for one in scenes])
    offsets = np.array([top_offset(one.scene) for one in scenes])
    spread = offsets.std() / np.sqrt(len(scenes) / 2)
    assert abs(offsets[falls].mean() - offsets[~falls].mean()) < 4 * spread


def test_half_of_the_pyramids_have_falls_and_the_red_block_never_counts():
    scenes = labelled_pyramids(16, **PYRAMIDS).scenes
    assert sum(any(one.outcome.fell) for one in scenes) == 8
    for one in scenes:
        assert one.outcome.removed is not None
        assert one.scene.blocks[one.outcome.removed].colour_name == "red"
        assert not one.outcome.fell[one.outcome.removed]


def test_unknown_look_suggests_a_known_one():
    with pytest.raises(UserError, match=r"'cubeword'.*did you mean 'cubeworld'"):
        labelled_towers(1, **(TOWERS | {"look": "cubeword"}))
