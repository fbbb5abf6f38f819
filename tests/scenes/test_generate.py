import collections

import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.scenes.generate import generate
from vlmcog.scenes.measures import n_blocks, top_offset

TOWERS = {"seed": 0, "split": "train", "look": "cubeworld"}
PYRAMIDS = {"seed": 0, "split": "test", "look": "cubeworld"}


def labelled(kind, count, **settings):
    return [made.labelled for made in generate(kind, count, **settings)]


def test_same_seed_same_scenes_however_many():
    few, more = labelled("towers", 6, **TOWERS), labelled("towers", 9, **TOWERS)
    assert few == more[:6]
    assert labelled("pyramids", 4, **PYRAMIDS) == labelled("pyramids", 4, **PYRAMIDS)


@pytest.mark.parametrize("changed", [{"seed": 1}, {"split": "test"}])
def test_another_seed_or_split_has_other_scenes(changed):
    ours = {one.scene.to_json() for one in labelled("towers", 12, **TOWERS)}
    theirs = {one.scene.to_json() for one in labelled("towers", 12, **(TOWERS | changed))}
    assert not ours & theirs


def test_truth_is_balanced_at_every_height():
    scenes = labelled("towers", 60, **TOWERS)
    counts = collections.Counter((n_blocks(one.scene), any(one.outcome.fell)) for one in scenes)
    assert set(counts.values()) == {10}
    for one in scenes:
        assert one.outcome.margin is not None
        assert (one.outcome.margin < 0) == any(one.outcome.fell)
        assert abs(one.outcome.margin) > 0.03


def test_top_offset_does_not_give_taller_towers_away():
    scenes = labelled("towers", 200, **(TOWERS | {"sizes": (4,)}))
    falls = np.array([any(one.outcome.fell) for one in scenes])
    offsets = np.array([top_offset(one.scene) for one in scenes])
    spread = offsets.std() / np.sqrt(len(scenes) / 2)
    assert abs(offsets[falls].mean() - offsets[~falls].mean()) < 4 * spread


def test_half_of_the_pyramids_have_falls_and_the_red_block_never_counts():
    scenes = labelled("pyramids", 16, **PYRAMIDS)
    assert sum(any(one.outcome.fell) for one in scenes) == 8
    for one in scenes:
        assert one.outcome.removed is not None
        assert one.scene.blocks[one.outcome.removed].colour_name == "red"
        assert not one.outcome.fell[one.outcome.removed]


def test_unknown_look_suggests_a_known_one():
    with pytest.raises(UserError, match=r"'cubeword'.*did you mean 'cubeworld'"):
        labelled("towers", 1, **(TOWERS | {"look": "cubeword"}))
