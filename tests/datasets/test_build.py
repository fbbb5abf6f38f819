"""Building: whole or not at all, whatever the user gets wrong or interrupts."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from vlmcog.datasets import build as build_module
from vlmcog.datasets import chunks
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
    assert directory == tmp_path / SPEC / "3.0.0"
    assert len(load(SPEC, "train")) == 6


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cubeworld_tower", "did you mean 'cubeworld_towers'"),
        ("cubeworld_towers/cubeworld_smal", "did you mean 'small'"),
        ("cubeworld_towers/cubeworld_small-size0", "image_size is 0"),
        ("cubeworld_towers/cubeworld_small-train-1", "train is -1"),
        ("cubeworld_towers/cubeworld_small-test0", "test is 0; it must be at least 1"),
        ("cubeworld_towers/cubewold_small", "no look 'cubewold' .*did you mean 'cubeworld'"),
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
    def write(*_, **__):
        raise RuntimeError("Failed to finalize writing of split: write() failed: No space left on device")

    monkeypatch.setattr(build_module, "_write", write)
    with pytest.raises(UserError, match="no space left"):
        build(SPEC, tmp_path)
    assert not is_built(dataset_dir(parse(SPEC), tmp_path))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_failure_in_the_middle_leaves_nothing(error, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(render, "render", fail)
    with pytest.raises(error):
        build(SPEC, tmp_path)
    assert _files(tmp_path) == []
    assert not list(tmp_path.glob("*/cubeworld_small*"))


SLOW_BUILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which what a shell starts in the background ignores
from vlmcog.datasets import chunks
chunks.SCENES_IN_CHUNK = 2
simulate = chunks.simulate
def slow(spec, chunk, **kwargs):
    if chunk.start >= 4: time.sleep(600)
    return simulate(spec, chunk, **kwargs)
chunks.simulate = slow
from vlmcog.datasets.build import build
build(sys.argv[1], sys.argv[2])
"""


def _start_build_and_wait(spec: str, data_dir: pathlib.Path, finished: int) -> subprocess.Popen:
    command = [sys.executable, "-c", SLOW_BUILD, spec, str(data_dir)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while len(list(data_dir.glob("*/*/chunks.*/[!.]*"))) < finished and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_build_that_is_cut_off_is_no_dataset_and_goes_on(sent, tmp_path, monkeypatch, capsys):
    process = _start_build_and_wait(SPEC, tmp_path, finished=2)
    with pytest.raises(UserError, match="another build is writing"):
        build(SPEC, tmp_path)
    process.send_signal(sent)
    said = process.communicate()[1]
    assert ("the same command goes on from there" in said) == (sent == signal.SIGINT)

    assert not is_built(dataset_dir(parse(SPEC), tmp_path))
    with pytest.raises(UserError, match=r"make it with: python -m vlmcog\.datasets build"):
        load(SPEC, "train", tmp_path)

    monkeypatch.setattr(chunks, "SCENES_IN_CHUNK", 2)
    made, simulate = [], chunks.simulate
    monkeypatch.setattr(chunks, "simulate", lambda spec, chunk: made.append(chunk) or simulate(spec, chunk))
    build(SPEC, tmp_path)
    assert [(chunk.split, chunk.start) for chunk in made] == [("train", 4), ("validation", 0), ("test", 0)]
    assert "going on with" in capsys.readouterr().err
    build(SPEC, tmp_path / "undisturbed")
    assert fingerprint(load(SPEC, "train", tmp_path)) == fingerprint(load(SPEC, "train", tmp_path / "undisturbed"))
    assert not list(tmp_path.glob("*/*/chunks.*"))


def test_damaged_chunk_is_named(tmp_path, quick_renderer, monkeypatch):
    def write(path, items):
        path.write_bytes(b"cut off")

    monkeypatch.setattr(chunks, "write", write)
    with pytest.raises(UserError, match=r"train-00000000-00000006\.parquet is damaged; remove it"):
        build(SPEC, tmp_path)
    assert not is_built(dataset_dir(parse(SPEC), tmp_path))


def test_shortcut_over_the_limit_makes_no_dataset(tmp_path, quick_renderer):
    spec = "cubeworld_towers/cubeworld_small-size16-train24-validation1-test12"
    with pytest.raises(
        UserError, match=r"shortcut '.*' answers 0\.\d+ \[.*\] of the test trials of tower_falls right, over the limit"
    ):
        build(f"{spec}-limit50", tmp_path)
    assert not is_built(dataset_dir(parse(f"{spec}-limit50"), tmp_path))
    build(f"{spec}-limit99", tmp_path)
    assert is_built(dataset_dir(parse(f"{spec}-limit99"), tmp_path))


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (SPEC, {"workers": 0}, "--workers is 0; it must be at least 1"),
        (f"{SPEC}-limit40", {}, "shortcut_limit is 40; it must be at least 50"),
        (f"{SPEC}-limit101", {}, "at most 100"),
        (f"{SPEC}-limit80", {"beam": ["runner=DirectRunner"]}, "--beam goes with neither"),
        (SPEC, {"workers": 2, "beam": ["runner=DirectRunner"]}, "--beam goes with neither"),
        ("lerer_towers", {"workers": 2}, "read from a release; leave out --workers"),
    ],
)
def test_options_that_cannot_be_make_nothing(spec, options, message, tmp_path):
    _assert_refused(message, spec, tmp_path / "data", **options)
    assert not (tmp_path / "data").exists()
