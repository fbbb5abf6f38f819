import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import AxisType

from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.training import optimizer, rules, sharding
from vlmcog.training.config import MeshConfig


@pytest.mark.parametrize(
    ("data", "fsdp", "shape"),
    [
        (1, -1, (1, 8)),
        (-1, 1, (8, 1)),
        (2, -1, (2, 4)),
        (-1, 2, (4, 2)),
        (1, 1, (1, 1)),
        (2, 2, (2, 2)),
        (3, -1, (3, 2)),
    ],
)
def test_mesh(data, fsdp, shape):
    mesh = sharding.make_mesh(MeshConfig(data, fsdp), batch_size=24)
    assert tuple(mesh.shape.values()) == (*shape, 1)
    assert set(mesh.axis_types) == {AxisType.Auto}


def test_tensor_devices_share_an_example():
    mesh = sharding.make_mesh(MeshConfig(tensor=2), batch_size=4)
    assert mesh.shape == {"data": 1, "fsdp": 4, "tensor": 2}
    with pytest.raises(UserError, match=r"mesh.data=1 x mesh.fsdp=4 x mesh.tensor=4 needs 16 devices but there are 8"):
        sharding.make_mesh(MeshConfig(fsdp=4, tensor=4), batch_size=4)


@pytest.mark.parametrize(
    ("data", "fsdp", "batch_size", "message"),
    [
        (4, 4, 16, "mesh.data=4 x mesh.fsdp=4 needs 16 devices but there are 8"),
        (9, -1, 9, "needs 9 devices but there are 8"),
        (2, 4, 12, "data.batch_size=12 can't be split evenly over the 8 devices .*multiple of 8"),
    ],
)
def test_what_the_devices_cannot_do_is_refused(data, fsdp, batch_size, message):
    with pytest.raises(UserError, match=message):
        sharding.make_mesh(MeshConfig(data, fsdp), batch_size)


@given(st.lists(st.integers(1, 64), max_size=4).map(tuple), st.sampled_from([1, 2, 4, 8]))
def test_fsdp_splits_the_largest_divisible_dimension(shape, fsdp):
    config = MeshConfig(data=1, fsdp=fsdp)
    mesh = sharding.make_mesh(config, batch_size=8)
    where = sharding.shard_parameters(config, mesh, {"w": jax.ShapeDtypeStruct(shape, np.float32)})["w"].sharding
    part = where.shard_shape(shape)
    divisible = [size for size in shape if size % fsdp == 0]
    assert np.prod(part) == np.prod(shape) / (fsdp if divisible else 1)
    if divisible and fsdp > 1:
        assert next(whole for whole, size in zip(shape, part, strict=True) if whole != size) == max(divisible)


def test_rules_decide_and_cover_every_parameter_or_raise():
    params = {"a": jax.ShapeDtypeStruct((8,), np.float32), "b": jax.ShapeDtypeStruct((8,), np.float32)}
    mesh = sharding.make_mesh(MeshConfig(), batch_size=8)
    rules = (("a", "replicate"), ("b", "fsdp"))
    where = sharding.shard_parameters(MeshConfig(rules=rules), mesh, params)
    assert [where[name].sharding.shard_shape((8,)) for name in "ab"] == [(8,), (1,)]
    with pytest.raises(UserError, match=r"mesh.rules: no rule matches the parameter b"):
        sharding.shard_parameters(MeshConfig(rules=rules[:1]), mesh, params)


@pytest.mark.parametrize("method", ["adamw", "muon"])
@pytest.mark.parametrize("trainable", [((".*", True),), (("img/.*", False), (".*", True))])
def test_moments_lie_where_their_parameters_lie(make_config, method, trainable):
    """On the real architecture: every moment of a parameter that learns is split as it is, and nothing is left out."""
    model = registry.build(ModelConfig(size="nano", image_size=16))
    params = jax.eval_shape(model.init, jax.random.key(0))
    config = make_config(optimizer={"method": method, "trainable": trainable})
    built = optimizer.build(config, params)
    mesh = sharding.make_mesh(config.mesh, batch_size=8)
    params = sharding.shard_parameters(config.mesh, mesh, params)
    state = jax.eval_shape(built.transform.init, built.split(params)[0])
    where = sharding.shard_like(state, params, mesh)

    split = {rules.name_of(path) for path, leaf in jax.tree.leaves_with_path(where) if not leaf.is_fully_replicated}
    for path, leaf in jax.tree.leaves_with_path(params):
        moments = [moment for moment in split if moment.endswith(f"/{rules.name_of(path)}")]
        learns = trainable[0][1] or not rules.name_of(path).startswith("img/")
        assert bool(moments) == (learns and not leaf.sharding.is_fully_replicated), rules.name_of(path)
    assert jax.tree.structure(where) == jax.tree.structure(state)


def test_more_devices_than_a_dimension_can_be_split_among_split_two(monkeypatch):
    monkeypatch.setattr(sharding, "WIDEST", 4)
    config = MeshConfig(fsdp=8)
    mesh = sharding.make_mesh(config, batch_size=8)
    assert mesh.shape == {"data": 1, "fsdp": 4, "fsdp_inner": 2, "tensor": 1}
    shapes = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in {"w": (12, 6), "b": (12,)}.items()}
    placed = sharding.shard_parameters(config, mesh, shapes)
    assert {name: leaf.sharding.shard_shape(leaf.shape) for name, leaf in placed.items()} == {"w": (3, 3), "b": (3,)}
    assert sharding.put_share({"image": np.zeros((16, 2))}, mesh)["image"].sharding.shard_shape((16, 2)) == (2, 2)


def test_a_batch_is_split_over_all_devices():
    mesh = sharding.make_mesh(MeshConfig(data=2), batch_size=16)
    batch = sharding.put_share({"image": np.arange(32.0).reshape(16, 2)}, mesh)
    assert batch["image"].sharding.shard_shape((16, 2)) == (2, 2)
    np.testing.assert_array_equal(batch["image"], np.arange(32.0).reshape(16, 2))
