"""Building: whole or not at all, whatever the user gets wrong or interrupts."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from vlmcog.datasets import build as build_module
from vlmcog.datasets.build import build
from vlmcog.datasets.location import dataset_dir, is_built
from vlmcog.datasets.read import fingerprint, load
from vlmcog.datasets.specs import parse
from vlmcog.errors import UserError
from vlmcog.scenes import render

SPEC = "cubeworld_towers/cubeworld_small-size16-train6-validation1-test1"


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.rglob("*") if path.is_file() and ".config" not in path.parts]


def _assert_refused(message, spec, data_dir, **kwargs):
    before = _files(data_dir) if data_dir.is_dir() else None
    with pytest.raises(UserError, match=message) as raised:
        build(spec, data_dir, **kwargs)
    assert "\n" not in str(raised.value)
    assert (_files(data_dir) if data_dir.is_dir() else None) == before


def test_existing_set_is_left_as_it_is(tmp_path, quick_renderer, monkeypatch, capsys):
    directory = build(SPEC, tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in _files(tmp_path)}
    monkeypatch.setattr(build_module, "_write", None)
    assert build(SPEC, tmp_path) == directory
    assert "already in" in capsys.readouterr().err
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in _files(tmp_path)} == before


def test_default_folder_is_that_of_tfds(tmp_path, quick_renderer, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    directory = build(SPEC)
    assert directory == tmp_path / SPEC / "2.0.0"
    assert len(load(SPEC, "train")) == 6


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cubeworld_tower", "did you mean 'cubeworld_towers'"),
        ("cubeworld_towers/cubeworld_smal", "did you mean 'small'"),
        ("cubeworld_towers/cubeworld_small-size0", "image_size is 0"),
        ("cubeworld_towers/cubeworld_small-train-1", "train is -1"),
    ],
)
def test_wrong_spec_makes_nothing(spec, message, tmp_path):
    _assert_refused(message, spec, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_public_set_needs_its_release(tmp_path):
    _assert_refused("--release", "lerer_towers", tmp_path / "data")
    _assert_refused("nowhere: no data/LERER", "lerer_towers", tmp_path / "data", release=tmp_path / "nowhere")
    assert not (tmp_path / "data").exists()


def test_synthetic_set_takes_no_release(tmp_path, made_up_release):
    _assert_refused("leave out the release", SPEC, tmp_path / "data", release=made_up_release)


def test_wrong_release_makes_nothing(tmp_path, made_up_release):
    photo = made_up_release / "eval/images/lerer100/20.png"
    photo.write_bytes(photo.read_bytes()[:500])
    _assert_refused(r"20\.png", "lerer_towers", tmp_path / "data", release=made_up_release)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("where", ["a_file", "a_file/below", "/proc/nowhere"])
def test_folder_that_cannot_be_written(where, tmp_path, quick_renderer):
    (tmp_path / "a_file").write_text("precious")
    _assert_refused("cannot write to .*--data_dir", SPEC, tmp_path / where)
    assert (tmp_path / "a_file").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path, quick_renderer):
    (tmp_path / "data").mkdir(mode=0o500)
    _assert_refused("cannot write to .*Permission denied", SPEC, tmp_path / "data")


def test_full_disk_is_the_users_to_repair(tmp_path, monkeypatch):
    def write(*_):
        raise RuntimeError("Failed to finalize writing of split: write() failed: No space left on device")

    monkeypatch.setattr(build_module, "_write", write)
    _assert_refused("no space left", SPEC, tmp_path)
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_failure_in_the_middle_leaves_nothing(error, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(render, "render", fail)
    with pytest.raises(error):
        build(SPEC, tmp_path)
    assert _files(tmp_path) == []
    assert not list(tmp_path.glob("*/cubeworld_small*"))


def test_killed_build_is_no_dataset_and_the_next_one_is_whole(tmp_path, quick_renderer):
    slow = f"""
import time
from vlmcog.scenes import render
def draw(scenes, **_): time.sleep(600)
render.render = draw
from vlmcog.datasets.build import build
build({SPEC!r}, {str(tmp_path)!r})
"""
    process = subprocess.Popen([sys.executable, "-c", slow], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("*/*/incomplete.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(UserError, match="another build is writing"):
        build(SPEC, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert list(tmp_path.glob("*/*/incomplete.*"))
    assert not is_built(dataset_dir(parse(SPEC), tmp_path))
    with pytest.raises(UserError, match=r"make it with: python -m vlmcog\.datasets build"):
        load(SPEC, "train", tmp_path)

    build(SPEC, tmp_path)
    build(SPEC, tmp_path / "undisturbed")
    assert not list(tmp_path.glob("*/*/incomplete.*"))
    assert fingerprint(load(SPEC, "train", tmp_path)) == fingerprint(load(SPEC, "train", tmp_path / "undisturbed"))
