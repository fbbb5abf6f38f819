import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.scenes.equilibrium import contacts
from vlmcog.scenes.generate import KINDS
from vlmcog.scenes.geometry import corners, rotation_matrix, turned
from vlmcog.scenes.looks import LOOKS, dress, get_look
from vlmcog.scenes.pyramids import sample_pyramid
from vlmcog.scenes.scene import Block, Scene
from vlmcog.scenes.towers import sample_tower


def _scene(seed: int, look: str) -> Scene:
    rng = np.random.default_rng(seed)
    return dress("tower", sample_tower(rng, n_blocks=3, falls=bool(seed % 2)), LOOKS[look], rng)


@given(seed=st.integers(0, 50), look=st.sampled_from(sorted(LOOKS)))
def test_json_round_trip_gives_an_equal_scene(seed, look):
    scene = _scene(seed, look)
    assert Scene.from_json(scene.to_json()) == scene


def test_json_with_an_unknown_field_raises():
    text = _scene(0, "cubeworld").to_json().replace('"seed"', '"sede"')
    with pytest.raises(TypeError, match="sede"):
        Scene.from_json(text)


def test_turned_block_keeps_its_size():
    block = Block(size=(0.1, 0.2, 0.3), position=(1.0, 2.0, 3.0), orientation=turned(0.5))
    points = corners(block)
    np.testing.assert_allclose(points.mean(0), block.position)
    np.testing.assert_allclose(np.linalg.norm(points - block.position, axis=-1), np.linalg.norm(block.size) / 2)
    np.testing.assert_allclose(rotation_matrix(block.orientation) @ [1, 0, 0], [np.cos(0.5), np.sin(0.5), 0])


@given(seed=st.integers(0, 200), n_rows=st.integers(2, 5))
def test_a_pyramid_has_one_red_block_and_every_cube_rests_on_something(seed, n_rows):
    rng = np.random.default_rng(seed)
    pyramid = sample_pyramid(rng, n_rows=n_rows)
    scene = dress("pyramid", pyramid.blocks, get_look("cubeworld"), rng, named={pyramid.red: "red"})
    assert [block.colour_name == "red" for block in scene.blocks].count(True) == 1
    assert scene.blocks[pyramid.red].colour_name == "red"
    for block in scene.blocks:
        below = block.position[2] - block.size[2]
        on = [
            other
            for other in scene.blocks
            if abs(other.position[2] - below) < 1e-9 and abs(other.position[0] - block.position[0]) < block.size[0]
        ]
        assert on or below < 0


def test_touching_blocks_of_a_tower_differ_in_colour():
    for seed in range(30):
        names = [block.colour_name for block in _scene(seed, "wooden").blocks]
        assert all(a != b for a, b in itertools.pairwise(names))


@pytest.mark.parametrize("kind", ["heaps", "walls", "pyramids"])
def test_touching_blocks_differ_in_colour(kind):
    rng = np.random.default_rng(0)
    for _ in range(10):
        (proposal,) = KINDS[kind].propose(rng, KINDS[kind].sizes["small"][-1], 1)
        blocks = dress(kind, proposal.blocks, LOOKS["cubeworld"], rng, named=proposal.named).blocks
        for contact in contacts(proposal.blocks):
            pair = [blocks[index] for index in (contact.lower, contact.upper) if index >= 0]
            if len(pair) == 2 and len(contact.points(0.0)) and not any(block.fixed for block in pair):
                assert pair[0].colour_name != pair[1].colour_name


def test_scenes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        _scene(0, "cubeworld").seed = 1  # pyright: ignore[reportAttributeAccessIssue]
