import dataclasses

import brute_force
import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.scenes.geometry import turned
from vlmcog.scenes.looks import LOOKS, dress
from vlmcog.scenes.render import render
from vlmcog.scenes.scene import Block, Camera, Light, Scene, Sensor, Surface
from vlmcog.scenes.towers import sample_tower

SIZE = 64


def _scene(*blocks: Block, **changes) -> Scene:
    scene = Scene(
        kind="test",
        blocks=blocks,
        support=Surface("plain", (0.5, 0.5, 0.5)),
        backdrop=None,
        camera=Camera(position=(0.0, -3.0, 0.2), target=(0.0, 0.0, 0.2), field_of_view=0.4),
        light=Light(direction=(-0.6, -0.6, 0.53), radius=0.05, colour=(1.0, 1.0, 1.0), ambient=0.4),
        look="test",
        seed=0,
    )
    return dataclasses.replace(scene, **changes)


RED = Block(size=(0.2, 0.2, 0.2), position=(0.0, 0.0, 0.1), colour=(1.0, 0.0, 0.0))
_ROUND = (
    Block(size=(0.2, 0.2, 0.3), position=(0.45, 0.0, 0.15), shape="cylinder", orientation=(0.9, 0.3, 0.3, 0.1)),
    Block(size=(0.2, 0.2, 0.2), position=(-0.45, 0.0, 0.1), shape="sphere"),
)
FROM_ABOVE = Camera((0.0, -2.0, 2.0), (0.0, 0.0, 0.0), 0.4)


def test_a_box_covers_the_pixels_that_perspective_says():
    image = render([_scene(RED)], SIZE)[0].astype(int)
    red = (image[..., 0] > 60) & (image[..., 1] < 30)
    half_width = 0.1 / 2.9 / np.tan(0.2) * SIZE / 2
    columns = np.flatnonzero(red.any(0))
    np.testing.assert_allclose([columns.min(), columns.max() + 1], SIZE / 2 + np.array([-1, 1]) * half_width, atol=1)
    rows = np.flatnonzero(red.any(1))
    bottom = SIZE / 2 * (1 + 0.2 / 2.9 / np.tan(0.2))
    np.testing.assert_allclose(rows.max() + 1, bottom, atol=1)


def test_the_nearer_box_hides_the_farther_one():
    green = dataclasses.replace(RED, position=(0.0, -0.5, 0.1), colour=(0.0, 1.0, 0.0))
    for blocks in ((RED, green), (green, RED)):
        image = render([_scene(*blocks)], SIZE)[0].astype(int)
        centre = image[SIZE // 2 + 6, SIZE // 2]
        assert centre[1] > 60 > centre[0]


def test_a_box_casts_a_shadow_away_from_the_light():
    far = dataclasses.replace(RED, position=(50.0, 0.0, 0.1))
    with_box, without = render([_scene(RED, camera=FROM_ABOVE), _scene(far, camera=FROM_ABOVE)], SIZE)
    darker = without.astype(int).sum(-1) - with_box.astype(int).sum(-1) > 60
    ground = ~((with_box[..., 0] > 60) & (with_box[..., 1] < 30))
    columns = np.flatnonzero((darker & ground).any(0))
    assert columns.size > 5
    assert columns.mean() > SIZE / 2 + 2


def test_a_long_lens_sees_no_haze_before_the_blocks():
    near = _scene(RED)
    far = dataclasses.replace(near, camera=Camera((0.0, -24.0, 0.2), (0.0, 0.0, 0.2), 0.05))
    of_near, of_far = render([near, far], SIZE).astype(int)[:, SIZE // 2 + 2, SIZE // 2]
    assert np.abs(of_far - of_near).max() <= 6


def test_a_wider_light_makes_softer_shadows():
    scene = _scene(RED, camera=FROM_ABOVE)
    lights = [dataclasses.replace(scene.light, radius=radius) for radius in (0.001, 0.3)]
    narrow, wide = render([dataclasses.replace(scene, light=light) for light in lights], 96)
    assert _penumbra(wide) > 3 * _penumbra(narrow)


def _penumbra(image: np.ndarray) -> int:
    """Grey pixels of the ground that are neither quite lit nor quite dark."""
    grey = image[(image[..., 0] == image[..., 1]) & (image[..., 1] == image[..., 2])][:, 0].astype(int)
    dark, lit = np.percentile(grey, [1, 90])
    return int(((grey > dark + 8) & (grey < lit - 8)).sum())


def test_turning_a_cube_by_a_quarter_changes_nothing():
    turned_cube = dataclasses.replace(RED, orientation=turned(np.pi / 2))
    one, other = render([_scene(RED), _scene(turned_cube)], SIZE).astype(int)
    assert np.abs(one - other).max() <= 2


def test_same_scene_same_bytes_alone_or_among_others():
    rng = np.random.default_rng(0)
    scenes = [
        dress("tower", sample_tower(rng, n_blocks=n, falls=False), look, rng) for look in LOOKS.values() for n in (2, 5)
    ]
    together = render(scenes, 48)
    for scene, image in zip(scenes, together, strict=True):
        np.testing.assert_array_equal(render([scene], 48)[0], image)


def test_padding_boxes_are_invisible():
    far = [dataclasses.replace(RED, position=(100.0 + i, 0.0, 0.1)) for i in range(10)]
    one, other = render([_scene(RED), _scene(RED, *far)], SIZE).astype(int)
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("material", ["plain", "checker", "wood", "noise", "cloth"])
def test_materials_vary_as_they_should(material):
    flat = Light(direction=(0.0, 0.0, 1.0), radius=0.01, colour=(1.0, 1.0, 1.0), ambient=0.5)
    ground = _scene(
        dataclasses.replace(RED, position=(50.0, 0.0, 0.1)),
        support=Surface(material, (0.5, 0.5, 0.5)),
        camera=Camera((0.0, -0.1, 2.0), (0.0, 0.0, 0.0), 0.6),
        light=flat,
    )
    values = render([ground], SIZE)[0][..., 0].astype(float)
    assert (values.std() < 0.5) == (material == "plain")
    assert 60 < values.mean() < 200


def test_unknown_material_and_too_many_blocks_are_refused():
    with pytest.raises(UserError, match="no material 'glass'"):
        render([_scene(dataclasses.replace(RED, material="glass"))], 32)
    with pytest.raises(UserError, match="at most 128"):
        render([_scene(*[RED] * 129)], 32)


def test_no_image_is_made_of_no_scene():
    assert render([], 32).shape == (0, 32, 32, 3)


@pytest.mark.parametrize(("look", "bias", "error"), [("toy", 0.2, 0.14), ("marble", 1.0, 0.18), ("random", 1.0, 0.18)])
def test_pictures_are_those_of_many_random_rays(look, bias, error):
    """The mean of 60 random rays is itself off by a level or so, and edges by more.

    Errors are at edges and in patterns, so that they are shares of how much neighbouring pixels differ altogether.
    What is finer than a pixel fades into its mean only nearly: where marble, wood or a grid covers the picture, its
    brightness may be off by a level of 255.
    """
    rng = np.random.default_rng(3)
    dressed = dress("tower", sample_tower(rng, n_blocks=4, falls=False), LOOKS[look], rng, drawn=_ROUND)
    scene = dataclasses.replace(dressed, sensor=Sensor())
    expected = brute_force.srgb(brute_force.picture(scene, SIZE, 60))
    difference = render([scene], SIZE)[0] - expected
    assert abs(difference.mean()) < bias
    assert np.abs(difference).mean() < error * sum(np.abs(np.diff(expected, axis=axis)).mean() for axis in (0, 1))
    assert np.percentile(np.abs(difference), 99) < 15


def test_penumbrae_are_those_of_many_random_rays():
    """Shadows of every shape, on the ground and on each other, by a wide light."""
    light = Light(direction=(-0.6, -0.6, 0.53), radius=0.2, colour=(1.0, 0.9, 0.8), ambient=0.2)
    on_top = dataclasses.replace(RED, position=(0.05, 0.0, 0.3), orientation=turned(0.4))
    scene = _scene(RED, on_top, *_ROUND, camera=FROM_ABOVE, light=light)
    expected = brute_force.srgb(brute_force.picture(scene, SIZE, 200))
    difference = render([scene], SIZE)[0] - expected
    assert (np.abs(expected - np.median(expected, (0, 1))) > 10).mean() > 0.1
    assert abs(difference.mean()) < 0.2
    assert np.abs(difference).mean() < 1.2
    assert np.percentile(np.abs(difference), 99) < 12
