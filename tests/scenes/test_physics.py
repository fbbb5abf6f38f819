import concurrent.futures
import dataclasses

import numpy as np
import pytest

from vlmcog.scenes.geometry import turned
from vlmcog.scenes.physics import STIFF, STIFF_ELLIPTIC, Contacts, fallen, mass, overlapping, simulate
from vlmcog.scenes.scene import BOX, CYLINDER, SPHERE, Block
from vlmcog.scenes.statics import column_margin, tower_margin
from vlmcog.scenes.towers import _propose

SMALLEST_MARGIN = 0.03
MUJOCO_DEFAULT = Contacts(solref="0.02 1", solimp="0.9 0.95 0.001 0.5 2")


def _towers(count: int, *, n_blocks: int, largest_margin: float, seed: int = 0):
    """Towers straight from the proposal, truths as they come, near enough to the edge to be hard."""
    rng = np.random.default_rng(seed)
    towers = []
    while len(towers) < count:
        columns = _propose(rng, n_blocks)
        margins = np.abs(column_margin(sizes=columns.sizes, centres=columns.centres, yaws=columns.yaws))
        found = np.flatnonzero((margins > SMALLEST_MARGIN) & (margins < largest_margin))
        towers += [columns.tower(index) for index in found[:10]]
    return towers[:count]


def _disagreements(towers, contacts: Contacts, **settings) -> int:
    def disagrees(blocks) -> bool:
        falls = any(fallen(blocks, contacts=contacts, stop_at_first=True, **settings))
        return falls != (tower_margin(blocks) < 0)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return sum(pool.map(disagrees, towers))


@pytest.mark.parametrize("n_blocks", [2, 4, 7])
def test_verdicts_agree_with_statics_near_the_edge(n_blocks):
    assert _disagreements(_towers(40, n_blocks=n_blocks, largest_margin=0.08), STIFF) == 0


def test_soft_contacts_would_be_noticed():
    """MuJoCo's own defaults let towers lean: this test fails if the check above can't see that."""
    towers = _towers(40, n_blocks=7, largest_margin=0.05)
    assert _disagreements(towers, MUJOCO_DEFAULT, seconds=3.0, rest_speed=0.0) > 0


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [2, 3, 4, 5, 6, 7])
def test_verdicts_agree_with_statics_on_2400_towers(n_blocks):
    assert _disagreements(_towers(400, n_blocks=n_blocks, largest_margin=0.15, seed=1), STIFF) == 0


def _early_and_full(count: int, *, n_blocks: int):
    """What falls, and what falls first, with the simulation stopped early and not."""
    towers = _towers(count, n_blocks=n_blocks, largest_margin=0.08, seed=2)
    for tower in towers:
        early, full = simulate(tower, stop_at_first=True), simulate(tower, rest_speed=0.0)
        yield (any(early.fell), early.first, early.fall_time), (any(full.fell), full.first, full.fall_time)


def test_stopping_early_changes_no_verdict():
    verdicts = [pair for n_blocks in (3, 6) for pair in _early_and_full(10, n_blocks=n_blocks)]
    assert all(early == full for early, full in verdicts)
    assert {early[0] for early, _ in verdicts} == {False, True}


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [2, 3, 5, 7])
def test_stopping_early_changes_no_verdict_of_2000(n_blocks):
    assert all(early == full for early, full in _early_and_full(500, n_blocks=n_blocks))


def _mixed_scene() -> list[Block]:
    """A ball on a heavy cylinder beside a box that hangs over a table's edge."""
    return [
        Block(size=(0.2, 0.2, 0.3), position=(0.0, 0.0, 0.15), shape=CYLINDER, density=2000.0),
        Block(size=(0.2, 0.2, 0.2), position=(0.02, 0.0, 0.4), shape=SPHERE, density=200.0),
        Block(size=(0.5, 0.5, 0.1), position=(1.0, 0.0, 0.5), fixed=True),
        Block(size=(0.2, 0.2, 0.2), position=(1.26, 0.0, 0.65)),
    ]


def test_threads_and_what_was_simulated_before_change_nothing():
    scenes = [_mixed_scene(), *_towers(6, n_blocks=4, largest_margin=0.05)]
    alone = [simulate(scene) for scene in scenes]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(simulate, scenes[::-1] * 2))
    assert together == alone[::-1] * 2


def test_first_to_fall_and_when():
    motion = simulate(_mixed_scene())
    assert motion.fell == (False, False, False, True)
    assert motion.first == 3
    assert motion.fall_time is not None
    assert 0.1 < motion.fall_time < 1.5
    assert simulate(_mixed_scene()[:3]).first is None


def test_a_falling_block_falls_as_galileo_says():
    side, height = 0.2, 1.0
    motion = simulate([Block(size=(side,) * 3, position=(0.0, 0.0, height))])
    assert motion.fall_time == pytest.approx(np.sqrt(2 * 0.25 * side / 9.81), abs=0.011)


@pytest.mark.parametrize(
    ("shape", "orientation"),
    [(BOX, turned(0.3)), (SPHERE, turned(0.0)), (CYLINDER, turned(0.0)), (CYLINDER, (2**-0.5, 2**-0.5, 0.0, 0.0))],
)
def test_each_shape_rests_on_the_ground(shape, orientation):
    block = Block(size=(0.2, 0.2, 0.2), position=(0.0, 0.0, 0.1), orientation=orientation, shape=shape)
    assert simulate([block], rest_speed=0.0).furthest < 0.003


def test_masses_are_those_of_the_shapes():
    blocks = [
        Block(size=(0.2, 0.2, 0.4), position=(0.0, 0.0, 1.0), shape=shape, density=1000.0) for shape in (BOX, CYLINDER)
    ]
    assert [mass(block) for block in blocks] == pytest.approx([16.0, 4 * np.pi])
    assert mass(Block(size=(0.2,) * 3, position=(0.0, 0.0, 1.0), shape=SPHERE, density=3000.0)) == pytest.approx(
        4 * np.pi
    )


@pytest.mark.parametrize(("degrees", "slides"), [(28, False), (34, True)])
def test_a_block_slides_on_a_slope_steeper_than_its_friction(degrees, slides):
    """Friction 0.6 holds up to 31 degrees."""
    half = np.radians(degrees) / 2
    tilt = (float(np.cos(half)), 0.0, float(np.sin(half)), 0.0)
    up = np.array([np.sin(2 * half), 0.0, np.cos(2 * half)])
    ramp = Block(size=(2.0, 1.0, 0.1), position=(0.0, 0.0, 1.0), orientation=tilt, fixed=True)
    x, y, z = (np.array([0.0, 0.0, 1.0]) + 0.1 * up).tolist()
    flat = Block(size=(0.2, 0.2, 0.1), position=(x, y, z), orientation=tilt)
    assert simulate([ramp, flat]).fell == (False, slides)


def test_a_mirrored_scene_has_mirrored_verdicts():
    for tower in _towers(6, n_blocks=4, largest_margin=0.1, seed=3):
        mirrored = [_mirrored(block) for block in tower]
        assert fallen(mirrored, stop_at_first=True) == fallen(tower, stop_at_first=True)


def _mirrored(block: Block) -> Block:
    (x, y, z), (w, _, _, turn) = block.position, block.orientation
    return dataclasses.replace(block, position=(-x, y, z), orientation=(w, 0.0, 0.0, -turn))


def test_one_density_for_all_is_as_good_as_another():
    for tower in _towers(4, n_blocks=4, largest_margin=0.1, seed=4):
        assert any(fallen(tower, densities=[3000.0] * 4, stop_at_first=True)) == any(fallen(tower, stop_at_first=True))


def test_overlap_is_seen_and_contact_is_not():
    side = 0.2
    first = Block(size=(side,) * 3, position=(0.0, 0.0, side / 2))
    touching = dataclasses.replace(first, position=(side, 0.0, side / 2))
    inside = dataclasses.replace(first, position=(1.9 * side, 0.0, side / 2))
    sunk = dataclasses.replace(first, position=(9.0, 0.0, 0.4 * side))
    assert overlapping([first, touching]) == ()
    assert overlapping([first, touching, inside, sunk]) == (1, 2, 3)


def test_a_block_without_its_support_falls_and_the_others_do_not():
    side = 0.2
    floating = Block(size=(side,) * 3, position=(0.0, 0.0, 1.5 * side))
    resting = Block(size=(side,) * 3, position=(1.0, 0.0, 0.5 * side))
    for contacts in (STIFF, STIFF_ELLIPTIC):
        assert fallen([floating, resting], contacts=contacts) == (True, False)


def test_same_scene_same_flags():
    tower = _towers(1, n_blocks=6, largest_margin=0.05)[0]
    assert fallen(tower) == fallen(tower)
