import re

import jax
import pytest

from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.training import dry_run, optimizer, sharding, step
from vlmcog.training.config import MeshConfig, TrainConfig, from_config_dict

NANO = {
    "model": {"size": "nano", "image_size": 16, "scan": True},
    "data": {"batch_size": 8},
    "optimizer": {"method": "adamw"},
}


def test_the_report_says_what_each_device_holds():
    printed = dry_run.report(from_config_dict({**NANO, "mesh": {"data": 2, "fsdp": 4}}), "tpu-v5e")
    assert "8 devices (data 2, fsdp 4, tensor 1); on each:" in printed
    assert "fits tpu-v5e (16 GiB)" in printed
    assert re.search(r"arithmetic +0\.\d+ TFLOP a step", printed)
    assert any(
        line.split()[0] == "llm/layers/mlp/linear" and line.endswith("yes     fsdp")
        for line in printed.split("\n")
        if line
    )


def test_fsdp_divides_parameters_and_moments_among_devices():
    """Of PaliGemma 3B, by shapes alone: each of 8 devices holds an eighth, and at most 2 % more."""
    held = []
    for fsdp in (1, 8):
        state = _state(
            from_config_dict(
                {
                    "model": {"size": "3b", "image_size": 224},
                    "optimizer": {"method": "adamw"},
                    "mesh": {"fsdp": fsdp},
                }
            )
        )
        held.append([dry_run.bytes_on_a_device(tree) for tree in (state.params, state.opt_state)])
    for whole, part in zip(*held, strict=True):
        assert whole / 8 <= part <= 1.02 * whole / 8


def _state(config: TrainConfig):
    model, mesh = registry.build(config.model), sharding.make_mesh(config.mesh, config.data.batch_size)
    built = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    return step.abstract_state(model, built, config.mesh, mesh)


def test_an_unknown_device_is_refused():
    with pytest.raises(UserError, match=r"device 'abacus' is unknown; use one of a100-40gb"):
        dry_run.report(TrainConfig(mesh=MeshConfig(fsdp=1)), "abacus")


def test_learning_in_bfloat16_is_refused():
    with pytest.raises(UserError, match=r"would learn in bfloat16"):
        dry_run.report(from_config_dict({**NANO, "model": NANO["model"] | {"parameter_dtype": "bfloat16"}}))
