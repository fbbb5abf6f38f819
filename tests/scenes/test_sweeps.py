import dataclasses
import math

import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.scenes.framing import project
from vlmcog.scenes.geometry import corners
from vlmcog.scenes.looks import dress, get_look
from vlmcog.scenes.render import render
from vlmcog.scenes.scene import Scene
from vlmcog.scenes.sweeps import FACTORS, get_factor, sweep, vary
from vlmcog.scenes.towers import sample_tower

TOUCHES = {
    "light_elevation": {"light"},
    "light_azimuth": {"light"},
    "light_radius": {"light"},
    "ambient": {"light"},
    "camera_elevation": {"camera"},
    "camera_azimuth": {"camera"},
    "distance": {"camera"},
    "field_of_view": {"camera"},
    "saturation": {"blocks"},
    "hue": {"support", "backdrop"},
    "texture": {"blocks"},
    "ground": {"support"},
    "backdrop": {"backdrop"},
    "distractors": {"drawn"},
    **{factor: {"sensor"} for factor in ("distortion", "vignette", "blur", "exposure", "noise", "jpeg_quality")},
}


def _scene(look: str = "toy") -> Scene:
    rng = np.random.default_rng(4)
    return dress("tower", sample_tower(rng, n_blocks=4, falls=False), get_look(look), rng)


def test_every_factor_is_tested():
    assert set(TOUCHES) == set(FACTORS)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("look", ["cubeworld", "phone"])
def test_a_sweep_changes_one_thing(factor, look):
    scene = _scene(look)
    swept = sweep(scene, factor)
    assert len(set(swept)) == len(swept) == len(FACTORS[factor].levels)
    for one in swept:
        changed = {
            field.name for field in dataclasses.fields(Scene) if getattr(one, field.name) != getattr(scene, field.name)
        }
        assert changed <= TOUCHES[factor]
        for old, new in zip(scene.blocks, one.blocks, strict=True):
            assert new == dataclasses.replace(old, colour=new.colour, material=new.material)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_same_level_twice_is_the_same_as_once(factor):
    level = FACTORS[factor].levels[1]
    once = vary(_scene(), factor, level)
    if TOUCHES[factor] == {"camera"} and factor != "distance":
        np.testing.assert_allclose(vary(once, factor, level).camera.position, once.camera.position, atol=1e-9)
    elif factor == "light_elevation":
        np.testing.assert_allclose(vary(once, factor, level).light.direction, once.light.direction, atol=1e-12)
    elif factor not in ("distance", "saturation", "light_azimuth", "hue"):
        assert vary(once, factor, level) == once


@pytest.mark.parametrize("factor", [name for name, touched in TOUCHES.items() if touched == {"camera"}])
def test_nothing_is_cut_off_along_a_camera_sweep(factor):
    for scene in sweep(_scene(), factor):
        points = np.concatenate([corners(body) for body in (*scene.blocks, *scene.drawn)])
        assert np.abs(project(scene.camera, points)[:, :2]).max() < 0.96


def test_angles_are_what_they_are_said_to_be():
    scene = vary(_scene("cubeworld"), "camera_elevation", 0.5)
    x, y, z = np.subtract(scene.camera.position, scene.camera.target)
    assert math.atan2(z, math.hypot(x, y)) == pytest.approx(0.5)
    x, y, z = vary(scene, "light_elevation", 0.9).light.direction
    assert math.atan2(z, math.hypot(x, y)) == pytest.approx(0.9)
    assert math.atan2(x, -y) == pytest.approx(math.atan2(scene.light.direction[0], -scene.light.direction[1]))


def test_fewer_distractors_are_among_more():
    few, many = (vary(_scene(), "distractors", count).drawn for count in (1, 4))
    assert len(few) == 1
    assert set(few) <= set(many)
    assert vary(_scene(), "distractors", 0).drawn == ()


def test_a_sweep_shows_in_the_picture():
    scene = dataclasses.replace(_scene("cubeworld"), drawn=())
    sensor = (factor for factor, touched in TOUCHES.items() if touched == {"sensor"})
    for factor in ("light_elevation", "camera_azimuth", "texture", "backdrop", "hue", "saturation", "ambient", *sensor):
        levels = FACTORS[factor].levels
        one, other = render([vary(scene, factor, level) for level in (levels[0], levels[-1])], 32).astype(int)
        assert np.abs(one - other).max() > 20, factor


@pytest.mark.parametrize(
    ("factor", "level", "words"),
    [
        ("noize", 0.1, "no factor 'noize'.*did you mean 'noise'"),
        ("noise", 7, "noise at 7: a number from 0 to 0.5"),
        ("noise", "much", "noise at 'much'"),
        ("noise", "nan", "noise at 'nan'"),
        ("texture", "glass", "texture at 'glass': the levels are plain"),
    ],
)
def test_wrong_factors_and_levels_are_refused(factor, level, words):
    with pytest.raises(UserError, match=words):
        vary(_scene(), factor, level)


def test_levels_are_within_their_limits():
    for name in FACTORS:
        factor = get_factor(name)
        if factor.least is not None and factor.most is not None:
            assert all(factor.least <= float(level) <= factor.most for level in factor.levels)
