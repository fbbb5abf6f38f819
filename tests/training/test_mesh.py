"""The real architecture on meshes of fake devices: the same training as on one, divided as it should be."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from vlmcog.models import registry
from vlmcog.training import optimizer, sharding, step
from vlmcog.training.config import from_config_dict

ONE = {"fsdp": 1}
MIXED = {"data": 2, "fsdp": 2, "tensor": 2}
OTHERS = [{"fsdp": 8}, {"data": 8, "fsdp": 1}, {"fsdp": 1, "tensor": 2}, {"data": 1, "fsdp": 4, "tensor": 2}]


class Run:
    """Two steps of training on a mesh, and what was compiled for them."""

    def __init__(self, mesh, accumulate=1, **model):
        config = from_config_dict(
            {
                "model": {"size": "nano", "image_size": 16, "scan": True, **model},
                "optimizer": {"method": "adamw", "accumulate": accumulate},
                "schedule": {"warmup_steps": 0},
                "data": {"batch_size": 8},
                "mesh": mesh,
            }
        )
        model, where = registry.build(config.model), sharding.make_mesh(config.mesh, 8)
        built = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
        self.abstract = step.abstract_state(model, built, config.mesh, where)
        train_step = step.compiled_step(model, built, self.abstract)
        images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
        examples = [model.processor.train_example(image, "Will it fall?", "yes") for image in images]
        batch = {key: np.stack([example[key] for example in examples]) for key in examples[0]}
        self.rows = []
        with jax.set_mesh(where):
            batch = sharding.put_share(batch, where)
            state = step.first_state(model, built, self.abstract, seed=0)
            self.text = train_step.lower(state, batch).as_text()  # pyright: ignore[reportFunctionMemberAccess]
            for _ in range(2):
                state, metrics = train_step(state, batch)
                self.rows.append({name: float(value) for name, value in metrics.items()})
        self.state, self.compiled = state, train_step._cache_size()  # pyright: ignore[reportFunctionMemberAccess]


_run = functools.cache(lambda items, **changes: Run(dict(items), **changes))


def _on(mesh, **changes):
    return _run(tuple(mesh.items()), **changes)


@pytest.mark.parametrize("mesh", [MIXED, *[pytest.param(mesh, marks=pytest.mark.slow) for mesh in OTHERS]], ids=str)
def test_every_mesh_trains_as_one_device(mesh):
    for many, one in zip(_on(mesh).rows, _on(ONE).rows, strict=True):
        assert many == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
def test_two_dimensions_split_train_as_one_device(monkeypatch):
    monkeypatch.setattr(sharding, "WIDEST", 2)
    run = Run({"fsdp": 8})
    assert any({"fsdp", "fsdp_inner"} <= set(leaf.sharding.spec) for leaf in jax.tree.leaves(run.state.params))
    for many, one in zip(run.rows, _on(ONE).rows, strict=True):
        assert many == pytest.approx(one, rel=1e-5)


def test_a_step_is_compiled_once_and_leaves_all_where_it_was():
    run = _on(MIXED)
    assert run.compiled == 1
    for leaf, wanted in zip(jax.tree.leaves(run.state), jax.tree.leaves(run.abstract), strict=True):
        assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim)


def test_the_lowered_step_keeps_activations_split_as_the_batch():
    """Once in every network's layers, and nowhere on one device."""
    kept = [line for line in _on(MIXED).text.splitlines() if "sharding_constraint" in line and '"data", "fsdp"' in line]
    assert len(kept) >= 2
    assert "sharding_constraint" not in _on(ONE).text


def test_tensor_devices_divide_heads_and_mlp_widths():
    params = _on(MIXED).state.params
    layers, block = params["llm"]["layers"], params["img"]["Transformer"]["encoderblock"]
    query = block["MultiHeadDotProductAttention_0"]["query"]["kernel"]
    assert query.sharding.spec == PartitionSpec(None, "fsdp", "tensor")
    assert layers["mlp"]["gating_einsum"].sharding.spec == PartitionSpec(None, None, "fsdp", "tensor")
    assert layers["mlp"]["linear"].sharding.spec == PartitionSpec(None, "tensor", "fsdp")
    assert layers["attn"]["kv_einsum"]["w"].sharding.spec == PartitionSpec(None, None, None, "fsdp")  # one head, on all


@pytest.mark.parametrize("mesh", [ONE, pytest.param(MIXED, marks=pytest.mark.slow)], ids=str)
def test_unrolled_layers_in_parts_train_as_a_loop_on_the_whole_batch(mesh):
    """On one device, weights are read anew in the backward pass."""
    for many, one in zip(_on(mesh, accumulate=2, scan=False).rows, _on(ONE).rows, strict=True):
        assert many == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"scan": False}, {"remat": True}, {"loss_by_token": True}], ids=str)
def test_how_it_is_computed_changes_nothing(changes):
    for other, one in zip(_on(ONE, **changes).rows, _on(ONE).rows, strict=True):
        assert other == pytest.approx(one, rel=1e-5)
