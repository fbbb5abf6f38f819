"""The bank of scenes and their new dresses: answers stay, everything fits into the picture, draws are repeatable."""

import jax
import numpy as np
import pytest

from vlmcog.datasets.bank import NO_NAME, bank_of, make_bank, read_bank
from vlmcog.datasets.redress import redress
from vlmcog.datasets.specs import parse
from vlmcog.errors import UserError
from vlmcog.scenes.generate import maker
from vlmcog.scenes.looks import RED, get_look

SPEC = parse("cubeworld_towers/cubeworld_small-size16")
LOOK = get_look("cubeworld")


@pytest.fixture(scope="module")
def labelled():
    make = maker("towers", seed=0, split="train", split_size="small", look="cubeworld")
    return [make(index).labelled for index in range(6)]


@pytest.fixture(scope="module")
def bank(labelled):
    return bank_of(SPEC, labelled)


@pytest.fixture(scope="module")
def dressed(bank):
    """Fifty other appearances of each scene."""
    keys = jax.random.split(jax.random.key(0), 50)

    def dress(index, key):
        one, other = (jax.tree.map(lambda leaf, at=at: leaf[at], bank.scenes) for at in (index, 5 - index))
        return redress(one, other, bank.names[index], bank.keep_camera[index], LOOK, key)

    dress_all = jax.jit(jax.vmap(dress, in_axes=(None, 0)), static_argnums=0)
    return [jax.tree.map(np.asarray, dress_all(index, keys)) for index in range(6)]


def test_bank_survives_the_file(tmp_path):
    make_bank(SPEC, 3, tmp_path / "bank.npz")
    make_bank(SPEC, 3, tmp_path / "again.npz")
    one, again = read_bank(tmp_path / "bank.npz"), read_bank(tmp_path / "again.npz")
    assert (one.spec, one.tasks, len(one)) == (SPEC, ("tower_falls",), 3)
    for name in ("scenes", "names", "keep_camera", "answers"):
        jax.tree.map(np.testing.assert_array_equal, getattr(one, name), getattr(again, name))


def test_answers_and_bodies_are_those_of_the_scenes(bank, labelled, dressed):
    assert bank.answers[:, 0].tolist() == [int(any(one.outcome.fell)) for one in labelled]
    for index, scene in enumerate(dressed):
        for name in ("centre", "half", "axes", "shape"):
            expected = np.broadcast_to(bank.scenes["bodies"][name][index], scene["bodies"][name].shape)
            np.testing.assert_array_equal(scene["bodies"][name], expected)


def test_balls_along_the_way_change_colour_with_those_at_the_start():
    make = maker("gates", seed=0, split="train", split_size="small", look="cubeworld")
    labelled = make(0).labelled
    names = bank_of(parse("cubeworld_gates/cubeworld_small-size16"), [labelled]).names[0].tolist()
    first = len(labelled.scene.blocks)
    assert names[first : first + 3] == [names[0], names[1], names[0]]
    assert set(names[2:first]) | set(names[first + 3 :]) == {NO_NAME}


def test_arrays_keep_their_form(bank, dressed):
    for scene in dressed:
        jax.tree.map(lambda new, old: _same_form(new, old), scene, bank.scenes)


def _same_form(new, old):
    assert (new.shape[1:], new.dtype) == (old.shape[1:], old.dtype)


def test_everything_fits_into_the_new_picture(dressed):
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), np.float64).reshape(3, 8).T
    for scene in dressed:
        for draw in range(50):
            count = scene["n_bodies"][draw]
            body = {name: rows[draw][:count].astype(float) for name, rows in scene["bodies"].items()}
            points = body["centre"][:, None] + np.einsum("bij,bkj->bki", body["axes"], corners * body["half"][:, None])
            position, right, up, forward = scene["camera"][draw].astype(float)
            away = points.reshape(-1, 3) - position
            depth = away @ forward
            assert depth.min() > 0
            assert max(np.abs(away @ axis / (depth * (axis @ axis))).max() for axis in (right, up)) < 0.951


def test_draws_are_within_the_look(dressed):
    elevation = np.concatenate([np.arcsin(scene["light"][:, 2]) for scene in dressed])
    ambient = np.concatenate([scene["ambient"] for scene in dressed])
    for values, (low, high) in ((elevation, LOOK.light.elevation), (ambient, LOOK.light.ambient)):
        assert low - 1e-5 <= values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high + 1e-5


def test_colours_change_places_but_red_stays(bank, dressed):
    red = list(LOOK.palette).index(RED)
    for index, scene in enumerate(dressed):
        names = bank.names[index][bank.names[index] != NO_NAME]
        colours = scene["bodies"]["colour"][:, : len(names)]
        assert (np.ptp(colours, axis=0).max(-1)[names != red] > 0.3).all()
        reds = colours[:, names == red]
        np.testing.assert_allclose(reds, np.broadcast_to(np.array(LOOK.palette[RED]) ** 2.2, reds.shape), atol=1e-5)
        for below, above, one, other in zip(
            names, names[1:], colours.swapaxes(0, 1), colours.swapaxes(0, 1)[1:], strict=False
        ):
            assert below != above
            assert (np.abs(one - other).max(-1) > 0.05).all()


def test_camera_stays_where_bodies_are_placed_for_it(bank):
    one = jax.tree.map(lambda leaf: leaf[0], bank.scenes)
    kept = redress(one, one, bank.names[0], np.bool_(True), LOOK, jax.random.key(0))
    np.testing.assert_array_equal(kept["camera"], one["camera"])


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match=r"no bank .*make it with"):
        read_bank(tmp_path / "nowhere.npz")
    (tmp_path / "bank.npz").write_bytes(b"PK no such thing")
    with pytest.raises(UserError, match="no bank of scenes"):
        read_bank(tmp_path / "bank.npz")
    with pytest.raises(UserError, match="--scenes is 0"):
        make_bank(SPEC, 0, tmp_path / "new.npz")
    with pytest.raises(UserError, match="not made from scenes"):
        make_bank(parse("lerer_towers"), 1, tmp_path / "new.npz")
