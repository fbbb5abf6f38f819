import functools
import json
import signal

import jax
import numpy as np
import pytest
from jax.sharding import SingleDeviceSharding

from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.errors import Stopped, UserError
from vlmcog.training import input, loop, metrics, optimizer, sharding, step, watch


@pytest.fixture
def run(tmp_path, bright_model, make_trials):
    """A function that trains the toy model in `tmp_path`."""

    def start(config, validate=None):
        mesh = sharding.make_mesh(config.mesh, config.data.batch_size)
        built = optimizer.build(config, jax.eval_shape(bright_model.init, jax.random.key(0)))
        abstract = step.abstract_state(bright_model, built, config.mesh, mesh)
        batches = input.train_batches(make_trials(40), bright_model.processor, config.data, seed=0)
        with (
            Checkpoints(tmp_path / "checkpoints", keep=100) as checkpoints,
            metrics.open_writers(tmp_path, last_step=0) as writer,
        ):
            try:
                return loop.run(
                    config,
                    step.first_state(bright_model, built, abstract, seed=0),
                    optimizer=built,
                    train_step=step.compiled_step(bright_model, built, abstract),
                    batches=batches,
                    put=functools.partial(sharding.put_share, mesh=mesh),
                    validate=validate,
                    checkpoints=checkpoints,
                    writer=writer,
                    watch=watch.Watch(tmp_path, bright_model.processor, writer),
                )
            finally:
                batches.close()

    return start


def _rows(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def _params(workdir, shapes):
    """The parameters in the newest checkpoint."""
    one = SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=one), shapes)
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        return checkpoints.restore_state(checkpoints.latest(), {"params": abstract})["params"]


def test_what_is_due_when(run, make_config, tmp_path, bright_model):
    """The last step has everything; a row comes before whatever else is done at a step."""
    seen = []
    config = make_config(total_steps=17, log_every=4, eval_every=6, save_every=5, mesh={"fsdp": 1})
    state = run(config, validate=lambda params: seen.append(params) or {"validation_loss": float(len(seen))})
    rows = [(row["step"], "loss" in row) for row in _rows(tmp_path)]
    assert [step for step, trained in rows if trained] == [4, 5, 6, 8, 10, 12, 15, 16, 17]
    assert [step for step, trained in rows if not trained] == [6, 12, 17]
    assert rows == sorted(rows, key=lambda row: (row[0], not row[1]))
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"5", "10", "15", "17"}
    assert int(state.step) == 17
    jax.tree.map(np.testing.assert_array_equal, _params(tmp_path, state.params), state.params)
    assert bright_model.traced == ["loss"]


def test_asked_to_end_it_saves_the_step_under_way_and_goes_on_from_there(run, make_config, tmp_path):
    usual = signal.getsignal(signal.SIGTERM)

    def validate(_):
        signal.raise_signal(signal.SIGTERM)
        return {"validation_loss": 0.0}

    with pytest.raises(Stopped, match=r"saved step 7 of 20; the same command goes on"):
        run(make_config(eval_every=6, save_every=5, mesh={"fsdp": 1}), validate=validate)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"5", "7"}
    assert [row["step"] for row in _rows(tmp_path)] == [5, 6, 6, 7]
    assert signal.getsignal(signal.SIGTERM) is usual


def test_no_validation_if_none_is_wanted(run, make_config, tmp_path):
    run(make_config(eval_every=0, mesh={"fsdp": 1}))
    assert [row["step"] for row in _rows(tmp_path)] == [5, 10, 15, 20]


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_kept(run, make_config, tmp_path, bright_model):
    config = make_config(
        save_every=1, optimizer={"method": "adamw", "learning_rate": 1e38, "clip_norm": 0.0}, mesh={"fsdp": 1}
    )
    with pytest.raises(
        UserError, match=r"(loss|grad_norm) is (nan|inf) at step \d+ \(learning rate .*new --workdir"
    ) as caught:
        run(config)
    batch = np.load(tmp_path / "not_finite.npz")
    assert {"image", "answer"} < set(batch)
    assert f"its batch (items {', '.join(batch['item'])}) is in {tmp_path / 'not_finite.npz'}" in str(caught.value)
    kept = _params(tmp_path, jax.eval_shape(bright_model.init, jax.random.key(0)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept))
    assert all(np.isfinite(list(row.values())).all() for row in _rows(tmp_path))
