import dataclasses
import itertools
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.scenes import materials
from vlmcog.scenes.colour import distance, lab
from vlmcog.scenes.framing import project
from vlmcog.scenes.geometry import corners
from vlmcog.scenes.look_file import NAMEABLE, RED, SKY, read_look
from vlmcog.scenes.looks import LOOKS, dress, get_look
from vlmcog.scenes.pyramids import sample_pyramid
from vlmcog.scenes.render import render
from vlmcog.scenes.scene import MATERIALS, Block, Light, Scene, Sensor, Surface
from vlmcog.scenes.towers import sample_tower

FILES = pathlib.Path(materials.__file__).parent / "appearances"
SEEDS = range(12)


def _pyramid(look: str, seed: int) -> tuple[Scene, int]:
    rng = np.random.default_rng(seed)
    pyramid = sample_pyramid(rng, n_rows=2 + seed % 4)
    return dress("pyramid", pyramid.blocks, get_look(look), rng, named={pyramid.red: RED}), pyramid.red


def _tower(look: str, seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    return dress("tower", sample_tower(rng, n_blocks=2 + seed % 6, falls=bool(seed % 2)), get_look(look), rng)


def test_there_are_looks_from_cartoon_to_photographic():
    assert {"cartoon", "toy", "studio", "phone", "night", "blueprint", "photo", "random"} <= set(LOOKS)
    assert list(LOOKS)[:2] == ["cubeworld", "wooden"], "the first other look is the quickstart's next rung"


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_is_its_file(name):
    assert read_look(FILES / f"{name}.toml") == LOOKS[name]
    assert get_look(str(FILES / f"{name}.toml")) == get_look(name)


def test_lab_of_known_colours():
    np.testing.assert_allclose(lab(np.array([[1.0, 1, 1], [0, 0, 0]])), [[100, 0, 0], [0, 0, 0]], atol=0.01)
    np.testing.assert_allclose(lab(np.array([1.0, 0, 0])), [53.24, 80.09, 67.20], atol=0.02)


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_comes_near_the_named_colour(look):
    for seed in SEEDS:
        scene, red = _pyramid(look, seed)
        surfaces = [scene.support, *filter(None, [scene.backdrop])]
        others = [*scene.blocks[:red], *scene.blocks[red + 1 :], *scene.drawn, *surfaces]
        jitter = LOOKS[look].colour_jitter
        for other in others:
            assert distance(other.colour, LOOKS[look].palette[RED]) >= NAMEABLE
            assert distance(other.colour, scene.blocks[red].colour) >= NAMEABLE - 100 * jitter


@pytest.mark.parametrize("look", LOOKS)
def test_the_colours_of_a_palette_differ(look):
    for one, other in itertools.combinations(LOOKS[look].palette.values(), 2):
        assert distance(one, other) >= NAMEABLE


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_cut_off_by_the_frame(look):
    for seed in range(40):
        for scene in (_tower(look, seed), _pyramid(look, seed)[0]):
            points = np.concatenate([corners(body) for body in (*scene.blocks, *scene.drawn)])
            seen = project(scene.camera, points)
            assert np.abs(seen[:, :2]).max() < 0.96
            assert seen[:, 2].min() > 0


@pytest.mark.parametrize("look", [name for name in LOOKS if LOOKS[name].clutter.count[1]])
def test_clutter_stands_apart_behind_the_blocks(look):
    found = 0
    for seed in range(20):
        scene = _tower(look, seed)
        found += len(scene.drawn)
        for thing in scene.drawn:
            mine = project(scene.camera, corners(thing))
            assert corners(thing)[:, 2].min() == pytest.approx(0, abs=1e-9)
            for block in (*scene.blocks, *(other for other in scene.drawn if other is not thing)):
                theirs = project(scene.camera, corners(block))
                apart = (mine.min(0) > theirs.max(0)) | (theirs.min(0) > mine.max(0))
                assert apart[:2].any()
                assert block in scene.drawn or apart[2]
    assert found > 10, "where there is no clutter nothing is tested"


@pytest.mark.parametrize("look", LOOKS)
def test_the_red_block_is_seen_and_redder_than_all_else(look):
    """In pictures with light, grain and noise, found by drawing it alone in green and all else in black."""
    scenes, reds = zip(*[_pyramid(look, seed) for seed in (1, 2, 6)], strict=True)
    seen = render([_only(scene, red) for scene, red in zip(scenes, reds, strict=True)], 64)
    for scene, picture, where in zip(scenes, render(scenes, 64), seen, strict=True):
        mask = where[..., 1] > 128
        assert mask.sum() >= 15, scene.seed
        colours = lab(picture / 255)
        redness = np.median(colours[mask], 0)[1]
        assert redness > 12
        assert redness > np.median(colours[~mask], 0)[1] + 12


def _only(scene: Scene, index: int) -> Scene:
    blocks = [dataclasses.replace(block, colour=(0.0, 0.0, 0.0), material="plain") for block in scene.blocks]
    blocks[index] = dataclasses.replace(blocks[index], colour=(0.0, 1.0, 0.0))
    black = Surface("plain", (0.0, 0.0, 0.0))
    light = Light(scene.light.direction, 0.0, (1.0, 1.0, 1.0), 1.0)
    return dataclasses.replace(
        scene, blocks=tuple(blocks), drawn=(), support=black, backdrop=black, light=light, sensor=Sensor()
    )


def test_same_seed_same_scene():
    assert _tower("random", 3) == _tower("random", 3)


def test_random_draws_from_every_material_shape_and_backdrop():
    scenes = [_tower("random", seed) for seed in range(150)]
    assert {scene.support.material for scene in scenes} == set(MATERIALS)
    assert {scene.backdrop and scene.backdrop.material for scene in scenes} == {None, *MATERIALS}
    assert {thing.shape for scene in scenes for thing in scene.drawn} == {"box", "sphere", "cylinder"}
    assert len({scene.sensor for scene in scenes}) == len(scenes)


def test_fixed_blocks_keep_what_they_wear():
    table = Block(size=(1.0, 1.0, 0.1), position=(0.0, 0.0, 0.05), colour=(0.1, 0.2, 0.3), fixed=True)
    free = Block(size=(0.2, 0.2, 0.2), position=(0.0, 0.0, 0.2))
    scene = dress("heap", (table, free), get_look("toy"), np.random.default_rng(0))
    assert scene.blocks[0] == table
    assert scene.blocks[1].colour_name in LOOKS["toy"].palette


def test_drawn_bodies_stay_and_come_into_the_picture():
    path = Block(size=(0.05, 0.05, 0.05), position=(3.0, 0.0, 0.1), shape="sphere")
    block = Block(size=(0.2, 0.2, 0.2), position=(0.0, 0.0, 0.1))
    scene = dress("gate", (block,), get_look("cubeworld"), np.random.default_rng(0), drawn=(path,))
    assert scene.drawn == (path,)
    assert np.abs(project(scene.camera, corners(path))[:, :2]).max() < 1


def _changed(tmp_path: pathlib.Path, old: str, new: str) -> pathlib.Path:
    text = (FILES / "toy.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"fabric"', '"fabrik"', r"mine.toml: supports\[1\].material = 'fabrik'.*did you mean 'fabric'"),
        ('block_materials = ["plain"]', "", "'block_materials' is missing"),
        ('block_materials = ["plain"]', "block_materials = []", "a list of at least one"),
        ("[light]", "[lights]", "no key 'lights'.*did you mean 'light'"),
        ("radius = [0.12, 0.25]", "radius = [0.25, 0.12]", "light.radius = .*lower end comes first"),
        ("radius = [0.12, 0.25]", "radius = 9", "light.radius = 9: a number from 0 to 0.5"),
        ("radius = [0.12, 0.25]", "radius = true", "light.radius = True"),
        ("red = [0.85, 0.08, 0.10]", "", "palette has no red"),
        ("red = [0.85, 0.08, 0.10]", "red = [0.85, 0.08]", "palette.red = .*three numbers"),
        ("green = [0.05, 0.60, 0.25]", "pink = [0.86, 0.10, 0.12]", "palette.pink = .*too near to red"),
        ("[0.10, 0.65, 0.70]", "[0.84, 0.06, 0.10]", r"clutter.colours\[0\] = .*too near to red"),
        ("[palette]", "[palette", "is not TOML"),
    ],
)
def test_a_wrong_look_is_refused_by_file_key_and_value(tmp_path, old, new, words):
    with pytest.raises(UserError, match=words):
        read_look(_changed(tmp_path, old, new))


def test_a_missing_look_and_a_misnamed_one_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"no look 'wodden' \(did you mean 'wooden'\?\)"):
        get_look("wodden")
    with pytest.raises(UserError, match=r"cannot read the look .*none.toml"):
        get_look(str(tmp_path / "none.toml"))
    path = tmp_path / "my look.toml"
    path.write_text((FILES / "toy.toml").read_text())
    with pytest.raises(UserError, match="one lower-case word"):
        read_look(path)


def test_a_look_of_ones_own_needs_no_code(tmp_path):
    look = get_look(str(_changed(tmp_path, '"fabric"', '"marble"')))
    assert look.name == "mine"
    assert look.supports[1].material == "marble"


def test_sky_is_no_material():
    assert SKY not in MATERIALS
    assert get_look("cubeworld").backdrops == (None,)


@pytest.mark.parametrize("material", MATERIALS)
def test_each_material_has_a_pattern_of_its_own(material):
    """The order of names and patterns agree, and each pattern keeps a surface's brightness."""
    pattern = materials._PATTERNS[MATERIALS.index(material)]
    assert pattern.__name__ == f"_{material}"
    grid = np.random.default_rng(0).uniform(-3, 3, (3, 4000)).astype(np.float32)
    x, y, z = (materials.Patch(jnp.asarray(row), jnp.zeros(len(row))) for row in grid)
    factor = np.asarray(pattern(x, y, z, jnp.zeros(4000, jnp.int32)))
    assert (factor.std() < 1e-6) == (material == "plain")
    assert 0.75 < factor.mean() < 1.3
    assert factor.min() > 0.2
