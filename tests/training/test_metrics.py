import json
import math

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.errors import UserError
from vlmcog.training import metrics


def _rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _add(running, step, **values):
    running.add(
        step,
        {name: jnp.float32(v) for name, v in {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 0.1, **values}.items()},
    )


@given(last=st.integers(0, 12), torn=st.integers(0, 40))
def test_rows_go_on_without_gap_or_repetition_after_a_cut(tmp_path_factory, last, torn):
    path = tmp_path_factory.mktemp("rows") / "train.jsonl"
    first = metrics.JsonLines(path, last_step=0)
    for step in range(1, 11):
        first.write(step, {"loss": 1 / step})
    first.close()
    whole = path.read_text()
    path.write_text(whole[: len(whole) - torn])
    kept = whole[: len(whole) - torn].count("\n")
    second = metrics.JsonLines(path, last_step=last)
    for step in range(min(kept, last) + 1, 11):
        second.write(step, {"loss": 1 / step})
    second.close()
    assert path.read_text() == whole


def test_a_row_is_on_disk_at_once(tmp_path):
    writer = metrics.JsonLines(tmp_path / "train.jsonl", last_step=0)
    writer.write(3, {"loss": 0.5})
    assert _rows(tmp_path / "train.jsonl") == [{"step": 3, "loss": 0.5}]
    writer.close()


def test_tensorboard_and_json_get_the_same_rows(tmp_path):
    with metrics.open_writers(tmp_path, last_step=0) as writer:
        writer.write(1, {"loss": 0.5})
    assert _rows(tmp_path / "train.jsonl") == [{"step": 1, "loss": 0.5}]
    assert any(b"loss" in path.read_bytes() for path in (tmp_path / "tensorboard").iterdir())


def test_a_row_is_the_mean_since_the_row_before(tmp_path):
    running = metrics.RunningMetrics(batch_size=4)
    for step, loss in enumerate([1.0, 2.0, 6.0], 1):
        _add(running, step, loss=loss, learning_rate=step)
    row = running.summarise()
    assert (row["loss"], row["learning_rate"]) == (3.0, 3.0)
    _add(running, 4, loss=5.0)
    assert running.summarise()["loss"] == 5.0


def test_a_row_tells_the_rates_of_the_steps_after_the_first(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(metrics.devices, "peak_flops", lambda device: 1e12)
    running = metrics.RunningMetrics(batch_size=4)
    running.flops = 4e12
    for step in range(1, 6):
        with running.waiting():
            now[0] += 0.5
        now[0] += 1.5
        _add(running, step)
    row = running.summarise()  # since the second step's batch was under way: 4 steps in 6 s, one of them already waited
    assert row["images_per_second"] == pytest.approx(4 * 4 / 6)
    assert row["tflops"] == pytest.approx(4 * 4 / 6)
    assert row["mfu"] == pytest.approx(4 * 4 / 6 / len(jax.devices()))
    assert row["data_wait"] == pytest.approx(3 * 0.5 / 6)
    assert row["memory_gib"] > 0.05


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stops_with_its_step(name, value):
    running = metrics.RunningMetrics(batch_size=4)
    _add(running, 6)
    _add(running, 7, **{name: value})
    with pytest.raises(UserError, match=f"{name} is {value} at step 7 .learning rate 0.1"):
        _add(running, 8)


def test_a_row_never_hides_what_is_not_finite():
    running = metrics.RunningMetrics(batch_size=4)
    _add(running, 7, loss=math.nan)
    with pytest.raises(UserError, match="step 7"):
        running.summarise()
