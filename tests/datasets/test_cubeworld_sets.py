"""The synthetic sets: same seed, same records; disjoint splits; every column true to its scene."""

import collections
import itertools
import math
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from vlmcog.datasets import registry
from vlmcog.datasets.build import build
from vlmcog.datasets.read import fingerprint, load
from vlmcog.datasets.specs import SPLITS
from vlmcog.scenes import measures
from vlmcog.scenes.generate import KINDS
from vlmcog.scenes.looks import LOOKS
from vlmcog.scenes.render import render
from vlmcog.scenes.scene import Scene
from vlmcog.tasks.registry import get_task

TOWERS = "cubeworld_towers/cubeworld_small-size16-train12-validation6-test6"
PYRAMIDS = "cubeworld_pyramids/wooden_small-size16-train4-validation4-test4"


def _fingerprints(spec, data_dir) -> list[str]:
    build(spec, data_dir)
    return [fingerprint(load(spec, split, data_dir)) for split in SPLITS]


@pytest.mark.parametrize("spec", [TOWERS, PYRAMIDS])
def test_same_seed_same_records_and_another_seed_others(spec, tmp_path, quick_renderer):
    first = _fingerprints(spec, tmp_path / "a")
    assert first == _fingerprints(spec, tmp_path / "b")
    other = _fingerprints(f"{spec}-seed1", tmp_path / "a")
    assert len({*first, *other}) == 6


@pytest.mark.parametrize("spec", [TOWERS, PYRAMIDS])
def test_splits_are_disjoint_and_of_the_size_asked_for(spec, tmp_path, quick_renderer):
    build(spec, tmp_path)
    scenes = {split: {trial.scene for trial in load(spec, split, tmp_path)} for split in SPLITS}
    sizes = {"train": 12, "validation": 6, "test": 6} if spec == TOWERS else dict.fromkeys(SPLITS, 4)
    assert {split: len(scenes[split]) for split in SPLITS} == sizes
    assert len(set.union(*scenes.values())) == sum(sizes.values())


@pytest.mark.parametrize(("spec", "sizes"), [(TOWERS, {2, 3, 4}), (PYRAMIDS, {2, 3})])
def test_answers_balance_at_every_height_of_every_split(spec, sizes, tmp_path, quick_renderer):
    build(spec, tmp_path)
    for split in SPLITS:
        asked = [trial for trial in load(spec, split, tmp_path) if len(trial.options) == 2]
        counts = collections.Counter((_height(Scene.from_json(trial.scene)), trial.answer) for trial in asked)
        assert counts == dict.fromkeys(itertools.product(sizes, (0, 1)), len(asked) / len(sizes) / 2)


def _height(scene: Scene) -> int:
    """The rows of a pyramid, as cubes on the ground since higher ones may be missing; the blocks of a tower."""
    on_ground = sum(block.position[2] < block.size[2] for block in scene.blocks)
    return on_ground if on_ground > 1 else len(scene.blocks)


def test_images_are_those_of_the_scenes(tmp_path):
    spec = "cubeworld_towers/wooden_small-size16-train2-validation1-test1"
    build(spec, tmp_path)
    for trial in load(spec, "train", tmp_path):
        assert (trial.image == render([Scene.from_json(trial.scene)], size=16)[0]).all()


def test_columns_of_towers_are_true_to_their_scenes(tmp_path, quick_renderer):
    build(TOWERS, tmp_path)
    trials = list(load(TOWERS, "train", tmp_path))
    for trial in trials:
        scene = Scene.from_json(trial.scene)
        assert trial.task == "tower_falls"
        assert (trial.question, trial.options) == (get_task(trial.task).question, ("no", "yes"))
        assert trial.n_blocks == len(scene.blocks)
        assert trial.n_blocks in KINDS["towers"].sizes["small"]
        assert trial.height == pytest.approx(measures.height(scene), rel=1e-6)
        assert trial.top_offset == pytest.approx(measures.top_offset(scene), rel=1e-6)
        assert trial.answer == (trial.margin < 0)
        assert (trial.look, trial.split_size, trial.judgments) == ("cubeworld", "small", ())
        assert trial.image.shape == (16, 16, 3)
    assert {(trial.n_blocks, trial.answer) for trial in trials} == {
        (n, a) for n in KINDS["towers"].sizes["small"] for a in (0, 1)
    }


def test_both_questions_about_a_pyramid_agree(tmp_path, quick_renderer):
    build(PYRAMIDS, tmp_path)
    asked = {task: load(PYRAMIDS, "train", tmp_path, tasks=(task,)) for task in ("red_block_any", "red_block_count")}
    answers = {task: {trial.item: trial.answer for trial in source} for task, source in asked.items()}
    assert {item: int(count > 0) for item, count in answers["red_block_count"].items()} == answers["red_block_any"]
    assert set(answers["red_block_any"].values()) == {0, 1}
    for trial in asked["red_block_any"]:
        assert trial.n_blocks in [rows * (rows + 1) // 2 for rows in KINDS["pyramids"].sizes["small"]]
        assert math.isnan(trial.margin)
        assert math.isnan(trial.top_offset)


def test_rejected_scenes_are_counted(tmp_path, quick_renderer):
    directory = build(TOWERS, tmp_path)
    metadata = tfds.builder_from_directory(directory).info.metadata
    for split, size in {"train": 12, "validation": 6, "test": 6}.items():
        assert metadata[split]["simulated"] - metadata[split]["rejected"] == size


def test_build_and_read_need_no_tensorflow(tmp_path):
    code = f"""
import sys
from vlmcog.datasets.build import build
from vlmcog.datasets.read import load
assert not {{"jax", "tensorflow_datasets"}} & set(sys.modules), "slow imports before they are needed"
spec = "cubeworld_towers/cubeworld_small-size16-train2-validation1-test1"
build(spec, {str(tmp_path)!r})
assert len([trial.image for trial in load(spec, "train", {str(tmp_path)!r})]) == 2
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_reading_needs_no_jax(tmp_path, quick_renderer):
    build(TOWERS, tmp_path)
    code = f"""
import sys
from vlmcog.datasets.read import load
load({TOWERS!r}, "train", {str(tmp_path)!r})[0]
assert not {{"jax", "tensorflow"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("name", registry.NAMES)
def test_builders_follow_the_tfds_convention(name, tmp_path):
    builder_class = registry.builder_class(name)
    assert builder_class.name == name
    assert tfds.builder_cls(name) is builder_class
    assert str(builder_class.VERSION) in builder_class.RELEASE_NOTES
    assert set(builder_class.builder_configs) == (
        {f"{look}_{size}" for look in LOOKS for size in ("small", "large")} if name in registry.SYNTHETIC else set()
    )
    info = tfds.builder(name, data_dir=tmp_path).info  # as `tfds build` makes it
    assert info.file_format == tfds.core.FileFormat.ARRAY_RECORD
    assert info.description
    assert info.citation
    assert info.homepage
    assert info.redistribution_info.license
