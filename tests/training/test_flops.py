"""Counted against counts by hand; what a run does beside its model's arithmetic changes none."""

import functools
import re

import jax
import jax.numpy as jnp
import pytest

from vlmcog.training import dry_run
from vlmcog.training.config import from_config_dict
from vlmcog.training.devices import ACCELERATORS
from vlmcog.training.flops import OPTIMIZER, model_flops

NANO = {
    "model": {"size": "nano", "image_size": 16, "scan": True},
    "data": {"batch_size": 8},
    "optimizer": {"method": "adamw"},
    "mesh": {"fsdp": 1},
}


def _count(function, *shapes):
    return model_flops(jax.make_jaxpr(function)(*[jnp.zeros(shape) for shape in shapes]))


def test_products_are_counted_as_often_as_they_run():
    def layers(x, weights):
        with jax.named_scope(OPTIMIZER):
            x = x + jax.lax.stop_gradient(weights[0] @ weights[0]).sum()
        x, _ = jax.lax.scan(jax.checkpoint(lambda x, w: (jnp.tanh(x @ w), None)), x, weights)
        return x.sum()

    one = 2 * 5 * 7 * 7
    assert _count(layers, (5, 7), (3, 7, 7)) == 3 * one
    assert _count(jax.grad(layers, (0, 1)), (5, 7), (3, 7, 7)) == 3 * 3 * one
    assert _count(jax.grad(layers), (5, 7), (3, 7, 7)) == 2 * 3 * one  # no gradient of the weights


def test_convolutions_are_counted():
    convolve = functools.partial(jax.lax.conv, window_strides=(2, 2), padding="VALID")
    assert _count(convolve, (5, 3, 8, 8), (4, 3, 2, 2)) == 2 * (5 * 4 * 4 * 4) * (3 * 2 * 2)


@pytest.fixture(scope="module")
def nano_flops():
    return _of_step(NANO)


@pytest.mark.parametrize(
    "changes",
    [{"model": {"remat": True}}, {"optimizer": {"method": "muon", "ema": 0.9}}, {"optimizer": {"accumulate": 2}}],
)
def test_only_the_model_counts(changes, nano_flops):
    merged = {room: {**NANO[room], **changes.get(room, {})} for room in NANO}
    assert _of_step(merged) == pytest.approx(nano_flops, rel=1e-9)


def _of_step(values):
    return model_flops(dry_run.trace(from_config_dict(values)).traced.jaxpr)


def test_names_of_devices_are_told_apart():
    names = {
        "NVIDIA A100-SXM4-40GB": "a100-40gb",
        "NVIDIA A100 80GB PCIe": "a100-80gb",
        "NVIDIA H100 80GB HBM3": "h100",
        "NVIDIA H200": "h200",
        "NVIDIA L4": "l4",
        "TPU v4": "tpu-v4",
        "TPU v5 lite": "tpu-v5e",
        "TPU v5": "tpu-v5p",
        "TPU v5p": "tpu-v5p",
        "TPU v6 lite": "tpu-v6e",
    }
    for said, name in names.items():
        assert [key for key, known in ACCELERATORS.items() if re.search(known.kind, said)] == [name]
