import dataclasses

import numpy as np
import pytest

from vlmcog.scenes.equilibrium import contacts, equilibrium_margin, in_equilibrium, levels_held
from vlmcog.scenes.geometry import turned
from vlmcog.scenes.physics import simulate
from vlmcog.scenes.scene import CYLINDER, SPHERE, Block
from vlmcog.scenes.statics import tower_margin

SIDE = 0.2
GROUND = Block(size=(100.0, 100.0, 1.0), position=(0.0, 0.0, -0.5))
ON_ITS_SIDE = (2**-0.5, 2**-0.5, 0.0, 0.0)


def _cube(x: float, level: float = 0.0, **fields) -> Block:
    return Block(size=(SIDE,) * 3, position=(x, 0.0, (level + 0.5) * SIDE), **fields)


def _column(rng: np.random.Generator, n_blocks: int) -> list[Block]:
    """Cuboids of any density, turned and offset, that fall about as often as not."""
    sizes = rng.uniform(0.75, 1.25, (n_blocks, 3)) * SIDE
    centres = np.cumsum(rng.uniform(-0.55, 0.55, (n_blocks, 2)) * SIDE, 0)
    heights = np.cumsum(sizes[:, 2]) - sizes[:, 2] / 2
    rows = zip(sizes.tolist(), centres.tolist(), heights.tolist(), strict=True)
    return [
        Block(tuple(size), (x, y, z), turned(rng.uniform(-0.3, 0.3)), density=rng.uniform(200.0, 2000.0))
        for size, (x, y), z in rows
    ]


@pytest.mark.parametrize("n_blocks", [2, 3, 5])
def test_margin_of_a_column_is_the_distance_to_the_edge_of_its_support(n_blocks):
    rng = np.random.default_rng(n_blocks)
    columns = [_column(rng, n_blocks) for _ in range(12)]
    expected = [tower_margin([GROUND, *column]) for column in columns]
    assert min(expected) < 0 < max(expected)
    assert [equilibrium_margin(column) for column in columns] == pytest.approx(np.clip(expected, -0.5, 0.5), abs=0.006)


def test_levels_are_those_below_the_margin():
    column = [_cube(0.0), _cube(0.4 * SIDE, 1)]
    assert tower_margin(column) == pytest.approx(0.1)
    assert levels_held(column, [-0.2, 0.0, 0.09, 0.11, 0.3]) == 3


BALL, UPRIGHT_CYLINDER = _cube(0.0, shape=SPHERE), _cube(0.0, shape=CYLINDER)
LYING_CYLINDER = _cube(0.0, shape=CYLINDER, orientation=ON_ITS_SIDE)
BOARD = Block(size=(0.6, SIDE, SIDE), position=(0.0, 0.0, 1.5 * SIDE))
TABLE = Block(size=(1.0, 1.0, 0.1), position=(0.0, 0.0, 0.5), fixed=True)
GROOVE = [_cube(-0.75 * SIDE), _cube(0.75 * SIDE)]
SCENES = {
    "ball on the ground": ([BALL], True),
    "upright cylinder": ([UPRIGHT_CYLINDER], True),
    "cylinder on its side": ([LYING_CYLINDER], True),
    "cube over the rim of a cylinder": ([UPRIGHT_CYLINDER, _cube(0.48 * SIDE, 1)], True),
    "cube beyond the rim of a cylinder": ([UPRIGHT_CYLINDER, _cube(0.52 * SIDE, 1)], False),
    "board in balance on a lying cylinder": ([LYING_CYLINDER, BOARD], True),
    "board out of balance on it": ([LYING_CYLINDER, dataclasses.replace(BOARD, position=(0.02, 0.0, 0.3))], False),
    "board on two lying cylinders": (
        [dataclasses.replace(LYING_CYLINDER, position=(x, 0.0, SIDE / 2)) for x in (-0.2, 0.15)] + [BOARD],
        True,
    ),
    "ball on a cube": ([_cube(0.0), _cube(0.45 * SIDE, 1, shape=SPHERE)], True),
    "ball beyond a cube": ([_cube(0.0), _cube(0.55 * SIDE, 1, shape=SPHERE)], False),
    "ball in a groove": ([*GROOVE, Block((SIDE,) * 3, (0.0, 0.0, (1 + 3**0.5 / 4) * SIDE), shape=SPHERE)], True),
    "cube on a fixed table": ([TABLE, Block((SIDE,) * 3, (0.45, 0.0, 0.65))], True),
    "cube beyond a fixed table": ([TABLE, Block((SIDE,) * 3, (0.55, 0.0, 0.65))], False),
    "cube in the air": ([_cube(0.0, 1)], False),
    "counterweight": (
        [_cube(0.0), dataclasses.replace(BOARD, position=(0.2, 0.0, 0.3)), _cube(-0.05, 2, density=3000.0)],
        True,
    ),
    "no counterweight": ([_cube(0.0), dataclasses.replace(BOARD, position=(0.2, 0.0, 0.3)), _cube(-0.05, 2)], False),
}


@pytest.mark.parametrize("name", SCENES)
def test_linear_program_and_simulator_know_when_a_scene_rests(name):
    blocks, rests = SCENES[name]
    assert in_equilibrium(blocks) == rests
    assert any(simulate(blocks, seconds=3.0).fell) != rests


@pytest.mark.parametrize(("degrees", "rests"), [(28, True), (34, False)])
def test_friction_holds_a_block_on_a_slope(degrees, rests):
    angle = np.radians(degrees)
    tilt = (float(np.cos(angle / 2)), 0.0, float(np.sin(angle / 2)), 0.0)
    ramp = dataclasses.replace(TABLE, orientation=tilt)
    x, z = 0.1 * np.sin(angle), 0.5 + 0.1 * np.cos(angle)
    assert in_equilibrium([ramp, Block((SIDE, SIDE, 0.1), (float(x), 0.0, float(z)), tilt)]) == rests
    assert not in_equilibrium([ramp, Block((SIDE, SIDE, 0.1), (float(x), 0.0, float(z)), tilt)], friction=0.1)


def test_mirroring_scaling_and_density_of_all_change_no_margin():
    column = _column(np.random.default_rng(1), 4)
    margin = equilibrium_margin(column)
    mirrored = [
        dataclasses.replace(
            b, position=(-b.position[0], *b.position[1:]), orientation=(*b.orientation[:3], -b.orientation[3])
        )
        for b in column
    ]
    larger = [dataclasses.replace(b, size=_times(b.size, 3), position=_times(b.position, 3)) for b in column]
    denser = [dataclasses.replace(b, density=7 * b.density) for b in column]
    assert [equilibrium_margin(scene) for scene in (mirrored, larger, denser)] == [margin] * 3


def _times(vector, factor):
    return tuple(factor * value for value in vector)


def test_order_of_blocks_does_not_matter():
    blocks, _ = SCENES["ball in a groove"]
    assert in_equilibrium(blocks[::-1])
    column = _column(np.random.default_rng(2), 4)
    assert equilibrium_margin(column[::-1]) == equilibrium_margin(column)


def test_contacts_of_a_pair_of_cubes():
    found = contacts([_cube(0.0), _cube(0.25 * SIDE, 1)])
    assert [(contact.lower, contact.upper) for contact in found] == [(-1, 0), (0, 1)]
    points = found[1].points(0.0)
    assert points.min(0) == pytest.approx([-0.25 * SIDE, -0.5 * SIDE, SIDE])
    assert points.max(0) == pytest.approx([0.5 * SIDE, 0.5 * SIDE, SIDE])


def test_fixed_blocks_alone_need_no_forces():
    assert in_equilibrium([TABLE])
