import itertools

import pytest

from vlmcog.datasets import registry
from vlmcog.datasets.specs import LOOKS, SPLIT_SIZES, DatasetSpec, parse
from vlmcog.errors import UserError
from vlmcog.evaluation import ladder

EVERY = [DatasetSpec(*parts, image_size=64) for parts in itertools.product(registry.SYNTHETIC, LOOKS, SPLIT_SIZES)]


@pytest.mark.parametrize("tuned_on", EVERY, ids=str)
def test_five_rungs_each_one_step_away(tuned_on):
    rungs = ladder.rungs((tuned_on,))
    assert tuple(rung.name for rung in rungs) == ladder.LADDER
    assert rungs[0].spec == tuned_on
    assert all(ladder.classify((tuned_on,), rung.spec) == rung.name for rung in rungs)
    assert all(rung.is_binary for rung in rungs)
    assert {rung.spec.image_size for rung in rungs if rung.spec.is_synthetic} == {64}


def test_the_ladder_of_small_towers():
    names = [
        rung.evaluated_on for rung in ladder.rungs((parse("cubeworld_towers/cubeworld_small-train100-test50-limit80"),))
    ]
    assert names == [
        "cubeworld_towers/cubeworld_small-train100-test50-limit80",
        "cubeworld_towers/cubeworld_large-train1-validation1-test50",
        "cubeworld_towers/wooden_small-train1-validation1-test50",
        "lerer_towers",
        "cubeworld_pyramids/cubeworld_small-train1-validation1-test50",
    ]


def test_two_steps_away_is_elsewhere():
    tuned_on = parse("cubeworld_towers/cubeworld_small")
    assert ladder.classify((tuned_on,), parse("cubeworld_towers/wooden_large")) == ladder.ELSEWHERE


def test_another_kind_of_scene_in_the_same_domain_is_elsewhere():
    tuned_on = parse("cubeworld_towers/cubeworld_small")
    assert ladder.classify((tuned_on,), parse("cubeworld_sides/cubeworld_small")) == ladder.ELSEWHERE
    assert ladder.classify((tuned_on,), parse("cubeworld_heaps/cubeworld_small")) == ladder.OTHER_DOMAIN


def test_another_question_is_elsewhere():
    pyramids = parse("cubeworld_pyramids/cubeworld_small")
    assert ladder.rung("cubeworld_pyramids/cubeworld_small", (pyramids,)).name == ladder.SAME_SPLIT
    assert ladder.rung("cubeworld_pyramids/cubeworld_small:red_block_count", (pyramids,)).name == ladder.ELSEWHERE


def test_options_do_not_move_a_set_on_the_ladder():
    tuned_on = parse("cubeworld_towers/cubeworld_small")
    assert ladder.classify((tuned_on,), parse("cubeworld_towers/cubeworld_small-size64-seed3")) == ladder.SAME_SPLIT


def test_a_public_set_is_its_own_rung():
    assert [rung.name for rung in ladder.rungs((parse("lerer_towers"),))] == [ladder.SAME_SPLIT]


def test_names_and_rungs_determine_each_other():
    tuned_on = EVERY[0]
    for name in (*map(str, EVERY), "lerer_towers", "cubeworld_pyramids/wooden_large:red_block_count"):
        assert ladder.rung(name, (tuned_on,)).evaluated_on == name
    stems = {ladder.rung(str(spec), (tuned_on,)).stem for spec in EVERY}
    assert len(stems) == len(EVERY)
    assert not any(set(stem) & set("/:") for stem in stems)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cubeworld_tower/cubeworld_small", "did you mean 'cubeworld_towers'"),
        ("cubeworld_towers/cubeworld_smal", "did you mean 'small'"),
        ("cubeworld_pyramids/cubeworld_small:red_block_cuont", "did you mean 'red_block_count'"),
    ],
)
def test_an_unknown_name_is_a_user_error(name, message):
    with pytest.raises(UserError, match=message):
        ladder.rung(name, EVERY[:1])


def test_every_registered_dataset_has_a_main_task():
    assert set(ladder.MAIN_TASK) == set(registry.NAMES)


def test_of_several_sets_the_nearest_counts():
    small, pyramids = parse("cubeworld_towers/cubeworld_small"), parse("cubeworld_pyramids/cubeworld_small")
    joint = (small, pyramids)
    assert {ladder.classify(joint, spec) for spec in joint} == {ladder.SAME_SPLIT}
    assert ladder.classify(joint, parse("cubeworld_pyramids/cubeworld_large")) == ladder.OPPOSITE_SPLIT
    assert ladder.classify(joint, parse("cubeworld_gates/cubeworld_small")) == ladder.ELSEWHERE
    rungs = ladder.rungs(joint)
    assert len({rung.stem for rung in rungs}) == len(rungs)
    assert [rung.name for rung in rungs] == [
        *[ladder.SAME_SPLIT] * 2,
        *[ladder.OPPOSITE_SPLIT] * 2,
        *[ladder.OTHER_LOOK] * 2,
        ladder.REAL_PHOTOS,
    ]
