"""Mitsuba is an extra: where it is absent, all but the error is skipped."""

import dataclasses
import importlib.util

import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.scenes import path_tracer, renderers
from vlmcog.scenes import render as rays
from vlmcog.scenes.looks import dress, get_look
from vlmcog.scenes.pyramids import sample_pyramid
from vlmcog.scenes.scene import Block, Camera, Light, Scene, Sensor, Surface

needs_mitsuba = pytest.mark.skipif(importlib.util.find_spec("mitsuba") is None, reason="needs the extra `mitsuba`")
SIZE, FINE = 96, 192


def _scene(seed: int = 0, look: str = "photo") -> Scene:
    rng = np.random.default_rng(seed)
    pyramid = sample_pyramid(rng, n_rows=2)
    return dress("pyramid", pyramid.blocks, get_look(look), rng, named={pyramid.red: "red"})


def test_without_mitsuba_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr(path_tracer.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'vlmcog\[mitsuba\]'"):
        renderers.render([_scene()], 16)


def test_a_look_says_which_renderer_it_needs():
    assert renderers.renderer_of(_scene(look="photo")) == "mitsuba"
    assert renderers.renderer_of(_scene(look="toy")) == "rays"
    np.testing.assert_array_equal(renderers.render([_scene()], 32, renderer="rays"), rays.render([_scene()], 32))


@pytest.mark.slow
@needs_mitsuba
@pytest.mark.parametrize("seed", [0, 1])
def test_silhouettes_are_those_of_the_ray_caster(seed):
    """Bodies of every shape, white before black and lit evenly; of Mitsuba's, the share of each pixel they cover."""
    scene = _silhouette(_scene(seed))
    ours = (rays.render([scene], FINE)[0].mean(-1) / 255) ** 2.2 > 0.3  # half of what the least lit side shows
    theirs = _coverage(scene) > 0.5
    assert 0.03 < ours.mean() < 0.6
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.98


def _coverage(scene: Scene) -> np.ndarray:
    world = path_tracer._world(scene, FINE) | {"integrator": {"type": "depth"}}
    for around in ("ground", "wall", "light", "sky"):
        del world[around]
    world["sensor"]["film"]["pixel_format"] = "rgba"
    mitsuba = path_tracer._mitsuba()
    return np.asarray(mitsuba.render(mitsuba.load_dict(world)))[..., 3]


def _silhouette(scene: Scene) -> Scene:
    extra = (
        Block(size=(0.2, 0.2, 0.3), position=(0.45, 0.0, 0.15), shape="cylinder", orientation=(0.9, 0.3, 0.3, 0.1)),
        Block(size=(0.2, 0.2, 0.2), position=(-0.45, 0.0, 0.1), shape="sphere"),
    )
    blocks = tuple(
        dataclasses.replace(block, colour=(1.0, 1.0, 1.0), material="plain") for block in (*scene.blocks, *extra)
    )
    black = Surface("plain", (0.0, 0.0, 0.0))
    light = Light(scene.light.direction, 0.1, (1.0, 1.0, 1.0), 1.0)
    return dataclasses.replace(scene, blocks=blocks, support=black, backdrop=black, light=light, sensor=Sensor())


@pytest.mark.slow
@needs_mitsuba
def test_shadows_fall_where_the_ray_caster_has_them():
    block = Block(size=(0.2, 0.2, 0.2), position=(0.0, 0.0, 0.1), colour=(1.0, 0.0, 0.0))
    scene = Scene(
        kind="test",
        blocks=(block,),
        support=Surface("plain", (0.6, 0.6, 0.6)),
        backdrop=None,
        camera=Camera((0.0, -1.2, 2.4), (0.0, 0.0, 0.0), 0.4),
        light=Light((-0.6, -0.6, 0.53), 0.03, (1.0, 1.0, 1.0), 0.3),
        look="test",
        seed=0,
    )
    ours, theirs = (_shadow(render([scene], SIZE)[0]) for render in (rays.render, path_tracer.render))
    assert ours.sum() > 100
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.85


def _shadow(image: np.ndarray) -> np.ndarray:
    grey = np.ptp(image.astype(int), axis=-1) < 40
    return grey & (image[..., 1] < 0.8 * np.median(image[..., 1]))


@pytest.mark.slow
@needs_mitsuba
def test_same_scene_same_picture_and_grain_of_the_same_material():
    scene = dataclasses.replace(_scene(), sensor=Sensor())
    one, other = (path_tracer.render([scene], 48)[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    ours = rays.render([scene], 48)[0]
    assert np.abs(one.astype(int) - ours).mean() < 30
