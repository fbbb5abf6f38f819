"""The photographs as a dataset: every photograph, truth and judgment of the release, and nothing else."""

import numpy as np
import pandas as pd
import pytest
import tensorflow_datasets as tfds

from vlmcog.datasets.build import build
from vlmcog.datasets.lerer_towers import LererTowers
from vlmcog.datasets.read import fingerprint, load
from vlmcog.errors import UserError
from vlmcog.humans import lerer


def _assert_holds(source, release):
    expected = lerer.read(release)
    trials = {trial.item: trial for trial in source}
    assert len(source) == len(trials) == len(expected.stimuli)
    for photo in expected.stimuli:
        trial = trials[photo.item]
        np.testing.assert_array_equal(trial.image, photo.image)
        assert (trial.answer, trial.n_blocks) == (photo.answer, photo.n_blocks)
        assert (trial.task, trial.options) == ("tower_falls", ("no", "yes"))
    tables = (source.judgments(), expected.judgments)
    one, other = (table.sort_values(["participant", "item"], ignore_index=True) for table in tables)
    pd.testing.assert_frame_equal(one, other)


def test_made_up_release(tmp_path, made_up_release, capsys):
    build("lerer_towers", tmp_path / "data", release=made_up_release)
    said = capsys.readouterr().err
    assert "not taken from data/LERER_RESULTS_NEW.csv" in said
    _assert_holds(load("lerer_towers", "test", tmp_path / "data"), made_up_release)


def test_sample(tmp_path, release):
    build("lerer_towers", tmp_path, release=release)
    source = load("lerer_towers", "test", tmp_path)
    _assert_holds(source, release)
    table = source.judgments()
    assert (len(source), table.participant.nunique(), len(table)) == (40, 107, 4280)
    assert {trial.n_blocks for trial in source} == {2, 3, 4}
    truths = {trial.item: trial.answer for trial in source}
    assert (table.response == table.item.map(truths)).sum() == 2791


def test_same_release_same_records(tmp_path, made_up_release):
    for folder in "ab":
        build("lerer_towers", tmp_path / folder, release=made_up_release)
    one, other = (fingerprint(load("lerer_towers", "test", tmp_path / folder)) for folder in "ab")
    assert one == other


def test_set_made_from_another_release_is_not_passed_off(tmp_path, made_up_release):
    build("lerer_towers", tmp_path / "data", release=made_up_release)
    build("lerer_towers", tmp_path / "data", release=made_up_release)
    build("lerer_towers", tmp_path / "data")
    humans = made_up_release / "data/tower_human_data.csv"
    humans.write_text("\n".join(line.rsplit(",", 1)[0] for line in humans.read_text().splitlines()))
    with pytest.raises(UserError, match="made from another release; remove"):
        build("lerer_towers", tmp_path / "data", release=made_up_release)


def test_manual_folder_of_tfds_is_the_release(tmp_path, made_up_release):
    """What `tfds build --manual_dir` does."""
    builder = tfds.builder("lerer_towers", data_dir=tmp_path)
    assert isinstance(builder, LererTowers)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=made_up_release))
    _assert_holds(load("lerer_towers", "test", tmp_path), made_up_release)
