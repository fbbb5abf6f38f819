"""The public sets as datasets: every picture, question, truth and judgment of a release, and nothing else."""

import json
import unittest

import made_up_releases as made_up
import numpy as np
import pandas as pd
import pytest
import tensorflow_datasets as tfds

from vlmcog.datasets import trial_builder
from vlmcog.datasets.build import build
from vlmcog.datasets.features import NO_ANSWER, features
from vlmcog.datasets.location import dataset_dir
from vlmcog.datasets.publish import publish
from vlmcog.datasets.read import fingerprint, load
from vlmcog.datasets.registry import PUBLIC, WITH_FRAMES, builder_class
from vlmcog.datasets.specs import parse
from vlmcog.errors import UserError
from vlmcog.humans.judgments import AGGREGATE_COLUMNS
from vlmcog.models.processor import Processor
from vlmcog.models.tokenizer import open_tokenizer

SIZES = {"lerer_towers": (32, 32), "jenga": (60, 80), "michotte": (75, 100), "agents": (94, 113), "physion": (16, 16)}


@pytest.fixture(params=PUBLIC)
def name(request):
    return request.param


@pytest.fixture
def made_up_set(name, made_up_release, made_up_physion):
    """The name of a set and its made-up release."""
    return name, made_up_physion if name in WITH_FRAMES else made_up_release


def _assert_holds(source, release):
    """The dataset's trials are the release's questions, with the truths and judgments of each."""
    trials = {(trial.item, trial.task): trial for trial in source}
    assert len(source) == len(trials) == len(release.stimuli)
    for stimulus in release.stimuli:
        trial = trials[stimulus.item, stimulus.task.name]
        np.testing.assert_array_equal(trial.image, stimulus.image)
        assert (trial.question, trial.options) == (stimulus.question, stimulus.task.answers.options)
        assert (trial.answer, trial.n_blocks) == (
            NO_ANSWER if stimulus.answer is None else stimulus.answer,
            stimulus.n_blocks,
        )
    keys = ["participant", "item", "task"]
    tables = (source.judgments(), release.judgments)
    one, other = (table.sort_values(keys, ignore_index=True) for table in tables)
    pd.testing.assert_frame_equal(one, other, rtol=1e-6, check_dtype=not release.judgments.empty)
    aggregates = {(row.item, row.task): row for row in release.aggregates.itertuples()}
    for key, trial in trials.items():
        assert (trial.aggregate is not None) == (key in aggregates)
        for column in AGGREGATE_COLUMNS[2:] if trial.aggregate else ():
            expected = getattr(aggregates[key], column)
            assert getattr(trial.aggregate, column) == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_set_holds_its_release(tmp_path, made_up_set, capsys):
    name, root = made_up_set
    build(name, tmp_path / "data", release=root)
    release = builder_class(name).read(root)
    source = load(name, "test", tmp_path / "data")
    _assert_holds(source, release)
    assert source[0].image.shape[:2] in (SIZES[name], (12, 16), (16, 12))
    said = capsys.readouterr().err
    for note in release.notes:
        assert note in said


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - set(WITH_FRAMES)))
def test_set_holds_the_sample(tmp_path, name, release):
    build(name, tmp_path, release=release)
    _assert_holds(load(name, "test", tmp_path), builder_class(name).read(release))


def test_physion_holds_the_sample(tmp_path, physion_release):
    builder = builder_class("physion")
    labels = pd.read_csv(physion_release / "data/readout_labels.csv").iloc[:, 0]
    for clip in labels:
        (tmp_path / f"frames/{clip}.png").parent.mkdir(exist_ok=True)
        (tmp_path / f"frames/{clip}.png").write_bytes(made_up.TINY_PNG)
    build("physion", tmp_path, release=physion_release, frames=tmp_path / "frames")
    source = load("physion", "test", tmp_path)
    _assert_holds(source, builder.read(physion_release, tmp_path / "frames"))
    right = [trial.aggregate.mean if trial.answer else 1 - trial.aggregate.mean for trial in source]
    assert (len(source), np.mean(right)) == (450, pytest.approx(0.7714, abs=1e-4))


def test_builder_follows_the_tfds_convention(tmp_path, made_up_set):
    """What TFDS's DatasetBuilderTestCase asserts, which itself needs TensorFlow."""
    name, root = made_up_set
    assert name in tfds.list_builders(with_community_datasets=False)
    builder = tfds.builder(name, data_dir=tmp_path)
    assert type(builder) is builder_class(name)
    assert builder.info.description
    assert builder.info.homepage.startswith("https://")
    assert builder.info.citation.startswith("@")
    assert builder.info.redistribution_info.license == "MIT"
    assert builder.info.features.get_tensor_info() == features().get_tensor_info()
    assert str(builder.VERSION) in builder.RELEASE_NOTES
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=root))
    again = tfds.builder_from_directory(builder.data_dir).info
    assert list(again.splits) == ["test"]
    assert again.splits["test"].num_examples == len(builder_class(name).read(root).stimuli)
    assert (again.citation, again.description) == (builder.info.citation, builder.info.description)
    _assert_holds(load(name, "test", tmp_path), builder_class(name).read(root))


def test_tfds_own_builder_test(made_up_set, monkeypatch):
    """Needs the extra tf and dill, and another file format: its `as_dataset` does not read array_record."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("dill")
    monkeypatch.setattr(trial_builder, "FILE_FORMAT", "tfrecord")
    name, root = made_up_set

    class Case(tfds.testing.DatasetBuilderTestCase):
        DATASET_CLASS = builder_class(name)
        EXAMPLE_DIR = root
        SPLITS = {"test": len(builder_class(name).read(root).stimuli)}  # noqa: RUF012
        SKIP_TF1_GRAPH_MODE = True

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert result.testsRun >= 5
    assert result.wasSuccessful(), result.errors + result.failures


def test_same_release_same_records(tmp_path, made_up_set):
    name, root = made_up_set
    for folder in "ab":
        build(name, tmp_path / folder, release=root)
    one, other = (fingerprint(load(name, "test", tmp_path / folder)) for folder in "ab")
    assert one == other


def test_set_made_from_another_release_is_not_passed_off(tmp_path, made_up_physion):
    build("physion", tmp_path / "data", release=made_up_physion)
    rows = (made_up_physion / "results/csv/humans/human_accuracy-drop_pilot.csv").read_text()
    (made_up_physion / "results/csv/humans/human_accuracy-drop_pilot.csv").write_text(rows.replace("0.9", "0.8"))
    with pytest.raises(UserError, match="made from another release"):
        build("physion", tmp_path / "data", release=made_up_physion)


def test_card_says_what_was_left_out(tmp_path, made_up_set):
    name, root = made_up_set
    build(name, tmp_path, release=root)
    card = (publish(name, tmp_path) / "README.md").read_text()
    for note in builder_class(name).read(root).notes:
        assert json.dumps(note) in card
    assert builder_class(name).CITATION.strip() in card
    assert "0 to 100" in card or name in ("lerer_towers", "physion")


def test_frames_are_for_sets_without_pictures_alone(tmp_path, made_up_release, made_up_physion):
    with pytest.raises(UserError, match=r"jenga has its own pictures; leave out the frames"):
        build("jenga", tmp_path, release=made_up_release, frames=tmp_path)
    (made_up_physion / "frames").rename(tmp_path / "elsewhere")
    build("physion", tmp_path, release=made_up_physion, frames=tmp_path / "elsewhere")
    assert len(load("physion", "test", tmp_path)) == len(made_up.PHYSION_CLIPS)
    with pytest.raises(UserError, match=r"--release CHECKOUT --frames FOLDER"):
        build("physion", tmp_path / "new")


@pytest.mark.parametrize("set_name", ["jenga", "michotte", "agents"])
def test_wrong_release_is_refused_before_anything_is_written(tmp_path, made_up_physion, set_name):
    with pytest.raises(UserError, match=r"no (data|dataframes)/.*; a release is a checkout of .*multimodal"):
        build(set_name, tmp_path / "data", release=made_up_physion)
    assert not dataset_dir(parse(set_name), tmp_path / "data").exists()


@pytest.mark.parametrize("size", [(800, 600), (1000, 750), (1695, 1407), (512, 512)])
def test_whole_picture_is_squeezed_onto_the_model_square(size):
    """As big_vision resizes: nothing is cropped or padded, and a point keeps its place in shares of the sides."""
    width, height = size
    x, y = (np.arange(n) / n for n in (width, height))
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0], image[..., 1] = 255 * x, 255 * y[:, None]
    seen = (Processor(open_tokenizer(), 224, 20, 4).image(image) + 1) / 2
    place = (np.arange(224) + 0.5) / 224
    np.testing.assert_allclose(seen[..., 0], np.tile(place, (224, 1)), atol=0.01)
    np.testing.assert_allclose(seen[..., 1], np.tile(place[:, None], (1, 224)), atol=0.01)
