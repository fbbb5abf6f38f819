import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.errors import UserError


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    step: jax.Array
    params: dict
    rng: jax.Array


class Model:
    """Only what restoring needs."""

    def __init__(self, shape=(16, 4), dtype=jnp.float32, names=("kernel",)):
        self.shape, self.dtype, self.names = shape, dtype, names

    def init(self, rng):
        kernels = {name: jnp.zeros(self.shape, self.dtype) for name in self.names}
        return {"llm": {**kernels, "bias": jnp.zeros(3, jnp.bfloat16)}}


def _state(step=1):
    params = {"llm": {"kernel": jax.random.normal(jax.random.key(step), (16, 4)), "bias": jnp.ones(3, jnp.bfloat16)}}
    return State(jnp.int32(step), params, jax.random.key(7))


def _split_over(devices):
    mesh = jax.make_mesh((devices,), ("fsdp",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    return NamedSharding(mesh, PartitionSpec("fsdp")), NamedSharding(mesh, PartitionSpec())


def _abstract(state, split, whole):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=split if leaf.ndim == 2 else whole), state
    )


def test_a_run_that_fails_before_it_saves_leaves_no_folder(tmp_path):
    with pytest.raises(RuntimeError), Checkpoints(tmp_path / "checkpoints", keep=1):
        raise RuntimeError
    assert not (tmp_path / "checkpoints").exists()
    (tmp_path / "read").mkdir()
    with Checkpoints(tmp_path / "read"):
        pass
    assert (tmp_path / "read").exists()


def _save(workdir, *steps):
    with Checkpoints(workdir / "checkpoints", keep=2) as checkpoints:
        for step in steps:
            checkpoints.save(step, _state(step), {"next_index": step})


def _restore(workdir, model, sharding):
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes)
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        return checkpoints.restore_state(checkpoints.latest(), {"params": params})["params"]


def _assert_same(one, other):
    one, other = (dataclasses.replace(state, rng=jax.random.key_data(state.rng)) for state in (one, other))
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("saved_on", [1, 8])
@pytest.mark.parametrize("restored_on", [1, 2, 8])
def test_what_is_restored_is_what_was_saved_on_any_devices(tmp_path, saved_on, restored_on):
    state = _state()
    placed = jax.device_put(state, jax.tree.map(lambda leaf: leaf.sharding, _abstract(state, *_split_over(saved_on))))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, placed, {"next_index": 11})
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert checkpoints.latest() == 1
        restored = checkpoints.restore_state(1, _abstract(state, *_split_over(restored_on)))
        assert checkpoints.restore_data(1) == {"next_index": 11}
    _assert_same(restored, state)
    assert len(restored.params["llm"]["kernel"].sharding.device_set) == restored_on
    assert restored.params["llm"]["bias"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(jax.random.uniform(restored.rng), jax.random.uniform(state.rng))


def test_a_save_is_not_disturbed_by_steps_that_take_over_its_memory(tmp_path):
    grow = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)
    tree = {"w": jnp.zeros(1_000_000)}
    with Checkpoints(tmp_path, keep=10) as checkpoints:
        for step in range(10):
            checkpoints.save(step, tree, {})
            for _ in range(3):
                tree = grow(tree)
    where = SingleDeviceSharding(jax.devices()[0])
    with Checkpoints(tmp_path) as checkpoints:
        for step in range(10):
            abstract = {"w": jax.ShapeDtypeStruct((1_000_000,), jnp.float32, sharding=where)}
            values = np.unique(np.asarray(checkpoints.restore_state(step, abstract)["w"]))
            np.testing.assert_array_equal(values, [3.0 * step])


def test_the_newest_are_kept(tmp_path):
    _save(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["2", "3"]


def test_the_best_is_kept_beside_the_newest(tmp_path):
    losses = {1: 0.9, 2: 0.4, 3: None, 4: 0.6, 5: None}
    with Checkpoints(tmp_path, keep=1, keep_best=True) as checkpoints:
        assert checkpoints.best() is None
        for step, loss in losses.items():
            metrics = None if loss is None else {"validation_loss": loss}
            checkpoints.save(step, {"w": jnp.zeros(1)}, {}, metrics=metrics)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "5"]
    with Checkpoints(tmp_path) as reader:
        assert (reader.best(), reader.latest()) == (2, 5)


def test_a_half_written_checkpoint_is_not_picked_up_and_cleared_away(tmp_path):
    _save(tmp_path, 1)
    folder = tmp_path / "checkpoints"
    shutil.copytree(folder / "1", folder / "2.orbax-checkpoint-tmp")  # what orbax leaves when it is killed
    (folder / "2.orbax-checkpoint-tmp" / "commit_success.txt").unlink()
    with Checkpoints(folder) as reader:
        assert reader.latest() == 1
    assert (folder / "2.orbax-checkpoint-tmp").exists()  # a reader leaves a run that may be writing alone
    with Checkpoints(folder, keep=2) as writer:
        assert writer.latest() == 1
        writer.save(3, _state(3), {})
    assert sorted(path.name for path in folder.iterdir()) == ["1", "3"]


def test_parameters_alone(tmp_path):
    _save(tmp_path, 1, 2)
    params = _restore(tmp_path, Model(), SingleDeviceSharding(jax.devices()[0]))
    jax.tree.map(np.testing.assert_array_equal, params, _state(2).params)
    assert params["llm"]["kernel"].devices() == {jax.devices()[0]}
    split = _restore(tmp_path, Model(), _split_over(8)[1])
    assert len(split["llm"]["kernel"].devices()) == 8


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Model(shape=(16, 5)), r"params/llm/kernel is float32\[16, 4\] in the checkpoint but float32\[16, 5\] in this"),
        (Model(dtype=jnp.bfloat16), r"params/llm/kernel is float32\[16, 4\] in the checkpoint but bfloat16\[16, 4\]"),
        (Model(names=("kernel", "extra")), r"params/llm/extra is absent in the checkpoint but float32\[16, 4\]"),
        (Model(names=()), r"params/llm/kernel is float32\[16, 4\] in the checkpoint but absent in this model"),
    ],
)
def test_a_checkpoint_of_another_shape_is_refused_by_the_parameter(tmp_path, model, message):
    _save(tmp_path, 1)
    with pytest.raises(UserError, match=message) as caught:
        _restore(tmp_path, model, _split_over(1)[1])
    assert "\n" not in str(caught.value)


def _damage(folder, pattern, how):
    largest = max(folder.glob(pattern), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2]) if how == "cut" else largest.unlink()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax leaves a reader behind
@pytest.mark.parametrize("how", ["cut", "missing"])
@pytest.mark.parametrize("pattern", ["state/_METADATA", "state/manifest.ocdbt", "state/d/*", "data/metadata"])
def test_a_damaged_checkpoint_is_refused(tmp_path, pattern, how):
    _save(tmp_path, 1, 2)
    _damage(tmp_path / "checkpoints" / "2", pattern, how)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        with pytest.raises(UserError, match=r"checkpoints/2 is damaged .*remove it or give --skip_damaged") as caught:  # noqa: PT012
            checkpoints.restore_state(2, _abstract(_state(), *_split_over(1)))
            checkpoints.restore_data(2)
        assert "\n" not in str(caught.value)
        assert checkpoints.restore_data(1) == {"next_index": 1}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid():
        pytest.skip("mounting a small disk needs root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False).returncode:
        pytest.skip("this machine doesn't mount tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax leaves a writer behind
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_is_said_in_one_line_and_earlier_checkpoints_are_whole(small_disk, caplog):
    tree = {"w": jax.random.normal(jax.random.key(0), (300_000,))}  # 1.2 MB that don't compress
    full = pytest.raises(UserError, match=r"the disk is full; the checkpoints before it are whole")
    with full as caught, Checkpoints(small_disk / "checkpoints", keep=10) as checkpoints:
        for step in range(1, 5):
            checkpoints.save(step, tree, {"next_index": step})
    assert "\n" not in str(caught.value)
    assert not [record for record in caplog.records if record.exc_info]
    where = SingleDeviceSharding(jax.devices()[0])
    abstract = {"w": jax.ShapeDtypeStruct((300_000,), jnp.float32, sharding=where)}
    with Checkpoints(small_disk / "checkpoints") as checkpoints:
        last = checkpoints.latest()
        assert last is not None
        assert last <= 2
        np.testing.assert_array_equal(checkpoints.restore_state(last, abstract)["w"], tree["w"])


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot make .*file/checkpoints"):
        Checkpoints(tmp_path / "file" / "checkpoints", keep=1)


def test_an_interrupt_during_a_save_comes_after_it(tmp_path, monkeypatch):
    """Whatever orbax does in a save is never cut in two; the interrupt isn't lost either."""
    ended = []
    with Checkpoints(tmp_path / "checkpoints", keep=1) as checkpoints:

        def save(*_, **__):
            signal.raise_signal(signal.SIGINT)
            ended.append("save")

        monkeypatch.setattr(checkpoints._manager, "save", save)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(1, {}, {})
        assert ended == ["save"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


SAVES = """
import pathlib, sys
import jax.numpy as jnp
from vlmcog.checkpoints.manager import Checkpoints
with Checkpoints(pathlib.Path(sys.argv[1]), keep=2) as checkpoints:
    start = checkpoints.latest() or 0
    for step in range(start + 1, start + 1000):
        checkpoints.save(step, {f"w{i}": jnp.full(1 << 20, step, jnp.int32) for i in range(8)}, {"step": step})
"""


@pytest.mark.slow
def test_killed_twenty_times_while_it_saves_the_last_whole_one_is_found(tmp_path):
    rng, last = np.random.default_rng(0), 0
    shape = jax.ShapeDtypeStruct((1 << 20,), jnp.int32, sharding=SingleDeviceSharding(jax.devices()[0]))
    for _ in range(20):
        target, left_over = last + rng.integers(1, 4), _unfinished(tmp_path)
        process = subprocess.Popen([sys.executable, "-c", SAVES, str(tmp_path)], stderr=subprocess.DEVNULL)
        while not any(step >= target for step, _ in _unfinished(tmp_path) - left_over):
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.wait()
        with Checkpoints(tmp_path) as checkpoints:
            found = checkpoints.latest() or 0
            assert found >= last
            last = found
            if found:
                state = checkpoints.restore_state(found, {f"w{number}": shape for number in range(8)})
                assert all((leaf == found).all() for leaf in state.values())
                assert checkpoints.restore_data(found) == {"step": found}
    assert last >= 20


def _unfinished(folder):
    """The saves that are under way, or were when their process was killed: the step and the inode of each."""
    return {(int(entry.name.split(".")[0]), entry.inode()) for entry in os.scandir(folder) if "tmp" in entry.name}
