"""The command itself, in processes of its own, on a generated dataset."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog import train
from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.datasets.build import build
from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.training import config, optimizer, result, sharding, step, tree
from vlmcog.training.config import MeshConfig
from vlmcog.training.metrics import RATES
from vlmcog.training.workdir import read_config

ROOT = pathlib.Path(__file__).parents[1]
DATASET = "cubeworld_towers/cubeworld_small-size16-train40-validation10-test1"
STEPS = 120
SMALL = {
    "data.dataset": DATASET,
    "data.batch_size": 8,
    "model.size": "nano",
    "model.image_size": 16,
    "model.dropout": 0.1,
    "total_steps": STEPS,
    "log_every": 5,
    "eval_every": 40,
    "save_every": 20,
    "keep": 10,
    "schedule.warmup_steps": 5,
}
SECONDS = 900  # on a busy machine; alone, a run takes some ten


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    build(DATASET, folder)
    return folder


@pytest.fixture(scope="module")
def arguments(data_dir):
    """A function that returns the command line of a small run with some values changed."""

    def make(workdir, **changes):
        values = {**SMALL, "data.data_dir": data_dir, **{key.replace("__", "."): v for key, v in changes.items()}}
        overrides = [f"--config.{key}={value}" for key, value in values.items()]
        return ["--config", str(ROOT / "configs/towers.py"), "--workdir", str(workdir), *overrides]

    return make


def _start(arguments, devices=1):
    """Starts the command; code is optimised less, so that it compiles faster."""
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "vlmcog.train", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _finish(process):
    """Waits for the end; returns the status and what was printed as an error."""
    try:
        return process.wait(SECONDS), process.communicate()[1]
    finally:
        process.kill()


def _stop(process, workdir, sent, *, after_step):
    """Sends a signal to a run once it has a checkpoint of that step."""
    deadline = time.monotonic() + SECONDS
    while not (workdir / "checkpoints" / str(after_step)).exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(sent)
    return _finish(process)


def _rows(workdir):
    rows = [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in RATES} for row in rows]


def _everything(workdir):
    """Every parameter, moment, counter and RNG of the last checkpoint as bytes, and the place in the data."""
    config = read_config(workdir)
    model = registry.build(config.model)
    mesh = sharding.make_mesh(MeshConfig(fsdp=1), batch_size=1)
    built = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    abstract = step.abstract_state(model, built, MeshConfig(fsdp=1), mesh)
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        state = checkpoints.restore_state(checkpoints.latest(), abstract)
        data = checkpoints.restore_data(checkpoints.latest())
    state = dataclasses.replace(state, rng=jax.random.key_data(state.rng))
    leaves = jax.tree.leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves} | data


def _files(workdir):
    return {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(arguments, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    status, errors = _finish(_start(arguments(workdir)))
    assert status == 0, errors
    return workdir


def test_cut_off_and_gone_on_with_it_ends_as_if_undisturbed(arguments, undisturbed, tmp_path):
    """Killed outright, then interrupted from the keyboard, then left alone: the same to the last bit."""
    status, _ = _stop(_start(arguments(tmp_path)), tmp_path, signal.SIGKILL, after_step=20)
    assert status == -signal.SIGKILL
    status, errors = _stop(_start(arguments(tmp_path)), tmp_path, signal.SIGINT, after_step=40)
    assert (status, errors.splitlines()[-1]) == (130, "interrupted")
    assert "Traceback" not in errors
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert 40 <= checkpoints.latest() < STEPS
    status, errors = _finish(_start(arguments(tmp_path)))
    assert status == 0, errors
    assert "going on from step" in errors

    assert _everything(tmp_path) == _everything(undisturbed)
    assert _rows(tmp_path) == _rows(undisturbed)
    assert [row["step"] for row in _rows(tmp_path) if "loss" in row] == list(range(5, STEPS + 1, 5))


def test_eight_devices_train_as_one_and_one_goes_on_for_them(arguments, undisturbed, tmp_path):
    process = _start(arguments(tmp_path, mesh__fsdp=8, save_every=5), devices=8)
    status, _ = _stop(process, tmp_path, signal.SIGKILL, after_step=5)
    assert status == -signal.SIGKILL
    many, one = _rows(tmp_path)[0], _rows(undisturbed)[0]
    assert many == pytest.approx(one, rel=1e-5, abs=1e-5)
    process = _start(arguments(tmp_path, mesh__fsdp=1, save_every=5))
    _, errors = _stop(process, tmp_path, signal.SIGKILL, after_step=20)
    assert "going on from step" in errors
    assert [row["step"] for row in _rows(tmp_path)[:4]] == [5, 10, 15, 20]
    assert _rows(tmp_path)[3] == pytest.approx(_rows(undisturbed)[3], rel=0.01)


def test_what_a_run_leaves(undisturbed):
    assert {path.name for path in undisturbed.iterdir()} == {
        "config.json",
        "data.json",
        "train.jsonl",
        "tensorboard",
        "checkpoints",
    }
    first, *_, last = [row for row in _rows(undisturbed) if "loss" in row]
    assert last["loss"] < first["loss"] / 2
    validation = [row for row in _rows(undisturbed) if "validation_loss" in row]
    assert [row["step"] for row in validation] == [40, 80, 120]
    assert all(0 <= row["validation_accuracy"] <= 1 and row["validation_items"] == 10 for row in validation)
    params = result.restore(undisturbed, registry.build(read_config(undisturbed).model))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_another_run_starts_where_one_ended(undisturbed):
    model = registry.build(read_config(undisturbed).model)
    mesh_config = MeshConfig(fsdp=8)
    base = result.load_base(model, str(undisturbed), mesh_config, sharding.make_mesh(mesh_config, batch_size=8))
    jax.tree.map(np.testing.assert_array_equal, base, result.restore(undisturbed, model))
    assert not all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(base))


def test_a_finished_run_is_left_as_it_is(arguments, undisturbed, capsys):
    before = _files(undisturbed)
    train.main(arguments(undisturbed, mesh__fsdp=1))
    assert f"trained to its last step, {STEPS}" in capsys.readouterr().err
    assert _files(undisturbed) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer.learning_rate": 1}, r"holds a run with optimizer\.learning_rate=0\.001, but this config has 1\.0"),
        ({"model.dropout": 0.2}, r"holds a run with model\.dropout=0\.1, but this config has 0\.2; use another"),
    ],
)
def test_another_config_leaves_the_workdir_as_it_is(arguments, undisturbed, changes, message):
    before = _files(undisturbed)
    with pytest.raises(UserError, match=message):
        train.main(arguments(undisturbed, **changes))
    assert _files(undisturbed) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.batch_size": 48}, r"data\.batch_size=48 is more than the 40 trials"),
        ({"data.batch_size": 12}, r"data\.batch_size=12 can't be split evenly over the 8 devices"),
        ({"mesh.fsdp": 16, "data.batch_size": 16}, r"needs 16 devices but there are 8"),
        ({"mesh.tensor": 3, "mesh.fsdp": 4}, r"mesh\.fsdp=4 x mesh\.tensor=3 needs 12 devices but there are 8"),
        ({"optimizer.accumulate": 4}, r"batch_size=8 cut into optimizer\.accumulate=4 parts can't .* multiple of 32"),
        ({"optimizer.accumulate": 3}, r"can't be cut into optimizer\.accumulate=3 equal parts"),
        ({"lora.base": "nf4"}, r"lora\.base goes with adapters; set lora\.language\.rank=8"),
        ({"lora.language.rank": 2, "optimizer.trainable": '(("img/.*",False),(".*",True))'}, r"in lora\.also"),
        ({"optimizer.trainable": '(("eye/.*",False),(".*",True))'}, r"the rule 'eye/\.\*' decides on no parameter"),
        ({"keep_best": True, "eval_every": 0}, r"keep_best=True needs validations"),
        ({"model.parameter_dtype": "bfloat16"}, r"would learn in bfloat16"),
        ({"model.image_size": 20}, r"model\.image_size=20"),
        ({"data.dataset": DATASET.replace("size16", "size32")}, r"python -m vlmcog\.datasets build"),
        ({"data.tasks": "red_block_any"}, r"red_block_any"),
        ({"optimizer.trainable": '(("img/.*",False),)'}, r"optimizer\.trainable: no rule matches the parameter llm/"),
        ({"mesh.rules": '(("llm/.*","fsdp"),)'}, r"mesh\.rules: no rule matches the parameter img/"),
        ({"total_stepz": 3}, r"'total_stepz' is unknown \(did you mean 'total_steps'\?\)"),
        ({"total_steps": "long"}, r"total_steps.*'long'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_compiles(arguments, tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr(jax, "jit", None)
    with pytest.raises(UserError, match=message) as caught:
        train.main(arguments(tmp_path / "run", **changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_model_of_another_shape_is_refused(undisturbed):
    model = registry.build(dataclasses.replace(read_config(undisturbed).model, image_size=32))
    with pytest.raises(UserError, match=r"params/img/pos_embedding is float32\[1, 4, 32\] .* but float32\[1, 16, 32\]"):
        result.restore(undisturbed, model)


def test_other_data_than_it_started_with_is_refused(arguments, undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "run")
    stored = json.loads((tmp_path / "run/data.json").read_text())
    (tmp_path / "run/data.json").write_text(json.dumps(stored | {"train": "0" * 64}))
    with pytest.raises(UserError, match=r"learnt from other data: the split train is not what it was \(fingerprint"):
        train.main(arguments(tmp_path / "run"))


def test_a_damaged_checkpoint_is_named_and_passed_over_when_asked(tmp_path, capsys):
    tree = {"w": jnp.ones(4)}
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree)
    with Checkpoints(tmp_path / "checkpoints", keep=3) as checkpoints:
        for number in (1, 2):
            checkpoints.save(number, tree, {"place": number})
    for file in (tmp_path / "checkpoints/2/state").rglob("*"):
        file.write_bytes(b"x") if file.is_file() else None
    with Checkpoints(tmp_path / "checkpoints", keep=3) as checkpoints:
        with pytest.raises(UserError, match=r"checkpoints/2 is damaged .* or give --skip_damaged"):
            train._newest(checkpoints, abstract, skip_damaged=False)
        last, restored = train._newest(checkpoints, abstract, skip_damaged=True)
        assert (last, restored[1]) == (1, {"place": 1})
        checkpoints.save(2, tree, {})
    assert (tmp_path / "damaged-2").is_dir()
    assert "checkpoints/2 is damaged" in capsys.readouterr().err


def test_help_names_everything(capsys):
    with pytest.raises(SystemExit, match="0"):
        train.main(["--help"])
    printed = capsys.readouterr().out
    assert all(
        word in printed
        for word in (
            "--config FILE[:ARG]",
            "--workdir DIR",
            "--config.KEY",
            "example:",
            *tree.flatten(config.default().to_dict()),
        )
    )


@pytest.mark.slow
def test_two_processes_train_as_one_and_one_goes_on_alone(arguments, tmp_path):
    changes = {"total_steps": 60, "log_every": 2, "eval_every": 20, "model__dropout": 0.0, "optimizer__method": "adamw"}
    assert _finish(_start(arguments(tmp_path / "one", **changes), devices=8))[0] == 0

    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    shared = arguments(tmp_path / "two", **changes)
    both = [_start([*shared, "--distributed", f"{index}/2@{address}"], devices=4) for index in range(2)]
    status, said = _stop(both[1], tmp_path / "two", signal.SIGTERM, after_step=20)
    assert (status, _finish(both[0])[0]) == (75, 75), said
    before = _rows(tmp_path / "two")
    assert 20 <= before[-1]["step"] < 60
    assert _finish(_start(shared))[0] == 0
    _assert_close(before, _rows(tmp_path / "one")[: len(before)])
    _assert_close(_rows(tmp_path / "two"), _rows(tmp_path / "one"))


def _assert_close(rows, others):
    for row, other in zip(rows, others, strict=True):
        assert row == pytest.approx(other, rel=1e-5, abs=1e-5), row["step"]


@pytest.mark.slow
def test_killed_twenty_times_it_ends_as_if_undisturbed(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    changes = {"total_steps": 100, "log_every": 1, "save_every": 3, "eval_every": 0, "keep": 2}
    assert _finish(_start(arguments(tmp_path / "undisturbed", **changes)))[0] == 0
    killed, rng = tmp_path / "killed", np.random.default_rng(0)
    for last in np.sort(rng.choice(np.arange(4, 97), 20, replace=False)).tolist():
        process = _start(arguments(killed, **changes))
        _wait(process, lambda last=last: _last_step(killed) >= last)
        process.kill()
        assert _finish(process)[0] == -signal.SIGKILL
    assert _finish(_start(arguments(killed, **changes)))[0] == 0
    assert _everything(killed) == _everything(tmp_path / "undisturbed")
    assert _rows(killed) == _rows(tmp_path / "undisturbed")


def _last_step(workdir):
    """Of a file that is being written, whose last line may be cut off."""
    path = workdir / "train.jsonl"
    lines = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def _wait(process, condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
