import concurrent.futures

import numpy as np
import pytest

from vlmcog.scenes.physics import STIFF, STIFF_ELLIPTIC, Contacts, fallen
from vlmcog.scenes.scene import Block
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


@pytest.mark.slow
def test_stopping_at_rest_changes_no_verdict():
    towers = [tower for n in (3, 6) for tower in _towers(60, n_blocks=n, largest_margin=0.08, seed=2)]
    early = [any(fallen(tower, stop_at_first=True)) for tower in towers]
    full = [any(fallen(tower, rest_speed=0.0)) for tower in towers]
    assert early == full


def test_a_block_without_its_support_falls_and_the_others_do_not():
    side = 0.2
    floating = Block(size=(side,) * 3, position=(0.0, 0.0, 1.5 * side))
    resting = Block(size=(side,) * 3, position=(1.0, 0.0, 0.5 * side))
    for contacts in (STIFF, STIFF_ELLIPTIC):
        assert fallen([floating, resting], contacts=contacts) == (True, False)


def test_same_scene_same_flags():
    tower = _towers(1, n_blocks=6, largest_margin=0.05)[0]
    assert fallen(tower) == fallen(tower)
