import dataclasses

import numpy as np
import pytest

from vlmcog.scenes.equilibrium import in_equilibrium
from vlmcog.scenes.physics import FRICTION, simulate
from vlmcog.scenes.scene import CYLINDER, Block
from vlmcog.scenes.statics import tower_margin
from vlmcog.scenes.towers import sample_tower
from vlmcog.scenes.truth import UNAMBIGUOUS, counterfactuals, label, perturbed

SIDE = 0.2


def _cube(x: float, level: float = 0.0, **fields) -> Block:
    return Block(size=(SIDE,) * 3, position=(x, 0.0, (level + 0.5) * SIDE), **fields)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_standing_and_a_falling_tower():
    standing = label([_cube(0.0), _cube(0.1 * SIDE, 1)], _rng())
    assert standing is not None
    assert (standing.fell, standing.first, standing.fall_time) == ((False, False), None, None)
    assert (standing.margin, standing.confidence, standing.equilibrium) == (pytest.approx(0.4), 1.0, True)
    falling = label([_cube(0.0), _cube(0.8 * SIDE, 1)], _rng())
    assert falling is not None
    assert falling.fall_time is not None
    assert (falling.fell, falling.first, falling.equilibrium) == ((False, True), 1, False)
    assert falling.confidence == 1.0
    assert falling.fall_time > 0


@pytest.mark.parametrize("offset", [0.49, 0.51])
def test_a_tower_on_the_edge_has_no_label(offset):
    assert label([_cube(0.0), _cube(offset * SIDE, 1)], _rng()) is None


@pytest.mark.parametrize("offset", [0.1, 0.8])
def test_a_tower_that_statics_judge_otherwise_has_no_label(offset, monkeypatch):
    tower = [_cube(0.0), _cube(offset * SIDE, 1)]
    assert label(tower, _rng()) is not None
    monkeypatch.setattr("vlmcog.scenes.truth.in_equilibrium", lambda *of, **by: not in_equilibrium(*of, **by))
    assert label(tower, _rng()) is None


def test_confidence_falls_towards_the_edge():
    """At +-10 % of noise a margin of 0.07 sides is lost now and then."""
    outcomes = [label([_cube(0.0), _cube(0.43 * SIDE, 1)], np.random.default_rng(seed)) for seed in range(12)]
    assert min(outcome.confidence for outcome in outcomes if outcome) < 1


def test_blocks_inside_each_other_have_no_label():
    assert label([_cube(0.0), _cube(0.9 * SIDE)], _rng()) is None


def test_a_scene_that_does_not_stand_asks_nothing_about_removal():
    blocks = [_cube(0.0), _cube(0.8 * SIDE, 1), _cube(3.0)]
    assert label(blocks, _rng(), removed=2) is None


def test_what_removal_does():
    blocks = [_cube(0.0), _cube(0.0, 1), _cube(0.05 * SIDE, 2), _cube(3.0)]
    outcome = label(blocks, _rng(), removed=1)
    assert outcome is not None
    assert (outcome.fell, outcome.first, outcome.removed) == ((False, False, True, False), 2, 1)
    assert (outcome.margin, outcome.confidence, outcome.equilibrium) == (None, 1.0, False)
    assert label(blocks, _rng(), removed=1) == outcome


def test_counterfactuals_of_a_stack_on_a_table():
    table = Block(size=(1.0, 1.0, 0.1), position=(0.0, 0.0, 0.05), fixed=True)
    stack = [Block((SIDE,) * 3, (0.0, 0.0, 0.1 + (level + 0.5) * SIDE)) for level in range(3)]
    assert counterfactuals([table, *stack]) == (
        (False, True, True, True),
        (False, False, True, True),
        (False, False, False, True),
        (False, False, False, False),
    )


def test_a_support_that_can_roll_is_labelled_too():
    rollers = [_cube(x, shape=CYLINDER, orientation=(2**-0.5, 2**-0.5, 0.0, 0.0)) for x in (-0.2, 0.2)]
    board = Block(size=(0.8, SIDE, 0.05), position=(0.0, 0.0, SIDE + 0.025))
    outcome = label([*rollers, board], _rng(), removed=1)
    assert outcome is not None
    assert outcome.fell == (False, False, True)


def test_noise_keeps_contacts_walls_and_what_is_between_them():
    wall = _cube(0.0, fixed=True)
    jammed, free = _cube(SIDE), _cube(9.0)
    blocks = [wall, jammed, dataclasses.replace(wall, position=(2 * SIDE, 0.0, SIDE / 2)), free]
    for seed in range(5):
        moved = perturbed(blocks, np.random.default_rng(seed), 0.03)
        assert [moved[0], moved[2]] == [blocks[0], blocks[2]]
        assert moved[1].position[0] == pytest.approx(SIDE, abs=1e-3 * SIDE)
        assert moved[1].density != jammed.density
        assert all(abs(a - b) <= 0.03 * SIDE for a, b in zip(moved[3].position, free.position, strict=True))
        assert moved[3].position[:2] != free.position[:2]
        assert moved[3].position[2] == free.position[2]


def test_labels_follow_the_sign_of_the_margin():
    rng = np.random.default_rng(5)
    for falls in (False, True):
        outcomes = [label(sample_tower(rng, n_blocks=4, falls=falls), rng) for _ in range(4)]
        assert all(any(outcome.fell) == falls for outcome in outcomes if outcome)
        assert any(outcomes)


@pytest.mark.slow
def test_perturbed_columns_fall_as_statics_say():
    """The label doesn't simulate these: 400 perturbed towers show that it need not."""
    rng = np.random.default_rng(6)
    judged = 0
    while judged < 400:
        tower = sample_tower(rng, n_blocks=int(rng.integers(2, 8)), falls=bool(rng.integers(2)))
        blocks = perturbed(tower, rng, 0.1)
        if abs(tower_margin(blocks)) >= UNAMBIGUOUS:
            frictions = (FRICTION * rng.uniform(0.9, 1.1, len(blocks))).tolist()
            falls = any(simulate(blocks, frictions=frictions, stop_at_first=True).fell)
            assert falls == (tower_margin(blocks) < 0)
            judged += 1
