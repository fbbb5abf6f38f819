"""Batches made on the devices: a function of seed and step, with the questions and answers of the bank."""

import jax
import numpy as np
import pytest

from vlmcog import train
from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.datasets.bank import bank_of, make_bank
from vlmcog.datasets.specs import parse
from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.scenes.generate import maker
from vlmcog.tasks.towers import TOWER_FALLS
from vlmcog.training import result, sharding
from vlmcog.training.config import from_config_dict
from vlmcog.training.device_source import DeviceBatches

SPEC = "cubeworld_towers/cubeworld_small-size16"
MODEL = {"size": "nano", "image_size": 16, "dropout": 0.1}


@pytest.fixture(scope="module")
def bank():
    make = maker("towers", seed=0, split="train", split_size="small", look="cubeworld")
    return bank_of(parse(SPEC), [make(index).labelled for index in range(6)])


def _source(bank, *, devices=8, seed=0, **data):
    config = from_config_dict({"data": {"batch_size": 8, **data}, "model": MODEL, "mesh": {"fsdp": devices}})
    mesh = sharding.make_mesh(config.mesh, 8)
    return DeviceBatches(bank, registry.build(config.model).processor, config.data, seed=seed, mesh=mesh)


@pytest.fixture(scope="module")
def source(bank):
    return _source(bank)


def _take(source, step):
    source.set_state({"step": step})
    return jax.tree.map(np.asarray, next(source))


def test_a_batch_is_its_steps_whatever_came_before(source):
    first, second = _take(source, 0), jax.tree.map(np.asarray, next(source))
    assert source.get_state() == {"step": 2}
    assert not np.array_equal(first["image"], second["image"])
    for step, batch in ((1, second), (0, first)):
        jax.tree.map(np.testing.assert_array_equal, _take(source, step), batch)
    far = _take(source, 10**9)
    assert not np.array_equal(far["image"], first["image"])


def test_every_picture_is_fresh_and_in_range(source):
    images = np.concatenate([_take(source, step)["image"] for step in range(4)])
    assert images.shape == (32, 16, 16, 3)
    assert images.dtype == np.float32
    assert -1 <= images.min() < -0.5 < 0.2 < images.max() <= 1
    assert len({image.tobytes() for image in images}) == 32


def test_words_are_those_of_the_processor(source):
    processor = registry.build(from_config_dict({"model": MODEL}).model).processor
    blank = np.zeros((16, 16, 3), np.uint8)
    right = [processor.train_example(blank, TOWER_FALLS.question, answer) for answer in ("no", "yes")]
    batch, seen = _take(source, 0), set()
    for row in range(8):
        answer = next(k for k in (0, 1) if np.array_equal(batch["text"][row], right[k]["text"]))
        seen.add(answer)
        for name in ("mask_ar", "mask_input", "mask_loss"):
            np.testing.assert_array_equal(batch[name][row], right[answer][name])
    assert seen == {0, 1}


def test_batch_lies_where_the_step_wants_it(source):
    batch = next(source)
    for leaf in batch.values():
        wanted = sharding.batch_sharding(leaf.sharding.mesh)
        assert leaf.sharding.is_equivalent_to(wanted, leaf.ndim)
    assert len(batch["image"].addressable_shards) == 8


def test_task_that_the_bank_lacks_is_named(bank):
    with pytest.raises(UserError, match="has no task 'red_block_any'; it has tower_falls"):
        _source(bank, tasks=("red_block_any",))


@pytest.mark.parametrize("data", [{"online": "device"}, {"bank": "bank.npz"}, {"online": "grain", "bank": "bank.npz"}])
def test_bank_goes_with_the_device_alone(data):
    with pytest.raises(UserError, match="a bank goes with 'device' alone"):
        from_config_dict({"data": data})


@pytest.mark.slow
def test_another_seed_gives_others_and_fewer_devices_the_same(bank, source):
    expected = _take(source, 3)
    alone = _take(_source(bank, devices=1), 3)
    np.testing.assert_array_equal(alone["text"], expected["text"])
    np.testing.assert_allclose(alone["image"], expected["image"], atol=2.1 / 255)
    assert not np.array_equal(_take(_source(bank, seed=1), 3)["image"], expected["image"])


@pytest.mark.slow
@pytest.mark.parametrize("online", ["grain", "device"])
def test_run_that_is_cut_off_ends_with_the_same_parameters(online, tmp_path, monkeypatch):
    bank = tmp_path / "bank.npz"
    make_bank(parse(SPEC), 6, bank)
    config = from_config_dict(
        {
            "data": {
                "dataset": SPEC,
                "batch_size": 8,
                "online": online,
                "bank": str(bank) if online == "device" else "",
            },
            "model": MODEL,
            "total_steps": 6,
            "eval_every": 0,
            "save_every": 3,
            "schedule": {"warmup_steps": 1},
        }
    )
    train.train(config, tmp_path / "undisturbed")
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", _save_and_stop(Checkpoints.save))
        with pytest.raises(KeyboardInterrupt):
            train.train(config, tmp_path / "cut_off")
    train.train(config, tmp_path / "cut_off")
    model = registry.build(config.model)
    one, other = (result.restore(tmp_path / name, model) for name in ("undisturbed", "cut_off"))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def _save_and_stop(save):
    def stop(*args, **named):
        save(*args, **named)
        raise KeyboardInterrupt

    return stop
