import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vlmcog.checkpoints import big_vision
from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig

PARAMS = {
    "img": {"head": {"bias": np.arange(3, dtype=np.float32), "kernel": np.ones((2, 3), np.float32)}},
    "llm": {"final_norm": {"scale": np.array([1.5, -2.0], np.float32)}},
}
ABSTRACT = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), PARAMS)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.npz"
    big_vision.save(path, PARAMS)
    return path


def _write(path, **changes):
    with np.load(path) as arrays:
        contents = dict(arrays)
    contents.update({key.replace("__", "/"): value for key, value in changes.items()})
    np.savez(path, **{key: value for key, value in contents.items() if value is not None})


def test_save_and_load_round_trip(path):
    jax.tree.map(np.testing.assert_array_equal, big_vision.load(path, ABSTRACT), PARAMS)
    with np.load(path) as arrays:
        assert sorted(arrays.files) == ["params/img/head/bias", "params/img/head/kernel", "params/llm/final_norm/scale"]


def test_device_arrays_and_bfloat16_round_trip(tmp_path):
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), PARAMS)
    big_vision.save(tmp_path / "half.npz", params)
    abstract = jax.eval_shape(lambda: params)
    loaded = big_vision.load(tmp_path / "half.npz", abstract)
    assert loaded["img"]["head"]["bias"].dtype == ml_dtypes.bfloat16
    jax.tree.map(np.testing.assert_array_equal, loaded, jax.tree.map(np.asarray, params))


def test_dtype_is_the_model_s(path):
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, jnp.bfloat16), PARAMS)
    assert big_vision.load(path, abstract)["llm"]["final_norm"]["scale"].dtype == ml_dtypes.bfloat16


def _siglip(path, **values):
    """A SigLIP's parameters, and its file with the arrays of each layer apart, as the public ones are."""
    model = registry.build(ModelConfig(family="siglip", size="nano", image_size=16))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape, np.float32), shapes)
    arrays = {}
    for name, array in flatten_dict(params, sep="/").items():
        before, stacked, after = name.partition("/encoderblock/")
        parts = {f"{before}/encoderblock_{layer}/{after}": part for layer, part in enumerate(array)}
        arrays |= {f"params/{key}": part for key, part in (parts if stacked else {name: array}).items()}
    np.savez(path, **{key: array for key, array in (arrays | values).items() if array is not None})
    return params, shapes


def test_layers_that_lie_apart_are_stacked(path):
    params, shapes = _siglip(path)
    jax.tree.map(np.testing.assert_array_equal, big_vision.load(path, shapes), params)


def test_a_layer_that_is_missing_or_too_many_is_named(path):
    layer, kernel = "params/txt/Encoder_0/encoderblock_{}/LayerNorm_0/bias", np.zeros(32, np.float32)
    _, shapes = _siglip(path, **{layer.format(1): None})
    with pytest.raises(UserError, match=rf"lacks {layer.format(1)}.*; the model's is \[32\]"):
        big_vision.load(path, shapes)
    _siglip(path, **{layer.format(2): kernel})
    with pytest.raises(UserError, match=rf"holds {layer.format(2)}, \[32\], which isn't in the model"):
        big_vision.load(path, shapes)


def test_parameters_go_to_their_devices(path):
    mesh = jax.make_mesh((3,), ("fsdp",), axis_types=(AxisType.Auto,), devices=jax.devices()[:3])
    split = NamedSharding(mesh, PartitionSpec("fsdp"))
    where = {
        (3,): split,
        (2, 3): NamedSharding(mesh, PartitionSpec(None, "fsdp")),
        (2,): NamedSharding(mesh, PartitionSpec()),
    }
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where[x.shape]), PARAMS)
    loaded = big_vision.load(path, abstract)
    jax.tree.map(np.testing.assert_array_equal, loaded, PARAMS)
    assert jax.tree.all(jax.tree.map(lambda leaf, wanted: leaf.sharding == wanted.sharding, loaded, abstract))


def test_a_missing_parameter_is_named(path):
    _write(path, params__img__head__bias=None)
    with pytest.raises(UserError, match=r"weights\.npz lacks params/img/head/bias; the model's is \[3\]"):
        big_vision.load(path, ABSTRACT)


def test_an_extra_parameter_is_named(path):
    _write(path, params__img__probe=np.zeros(1), opt__step=np.zeros(1))
    with pytest.raises(UserError, match=r"holds opt/step and 1 more, \[1\], which isn't in the model"):
        big_vision.load(path, ABSTRACT)


def test_another_shape_is_named_with_both(path):
    _write(path, params__img__head__bias=np.zeros(4, np.float32))
    with pytest.raises(UserError, match=r"params/img/head/bias has shape \[4\] but the model's is \[3\]"):
        big_vision.load(path, ABSTRACT)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint at .*gone\.npz"):
        big_vision.load(tmp_path / "gone.npz", ABSTRACT)


@pytest.mark.parametrize("kept", [0, 40, 400, -30])
def test_a_truncated_file_is_named(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"cannot read .*weights\.npz"):
        big_vision.load(path, ABSTRACT)


def test_a_flipped_byte_is_noticed(path):
    contents = bytearray(path.read_bytes())
    contents[contents.index(b"NUMPY") + 140] ^= 0xFF
    path.write_bytes(bytes(contents))
    with pytest.raises(UserError, match=r"cannot read .*weights\.npz"):
        big_vision.load(path, ABSTRACT)


def test_pickles_are_never_opened(path):
    _write(path, params__img__head__bias=np.array([{}, {}, {}], dtype=object))
    with pytest.raises(UserError, match=r"cannot read .*weights\.npz"):
        big_vision.load(path, ABSTRACT)


def test_a_single_array_file_is_named(tmp_path):
    path = tmp_path / "one.npy"
    np.save(path, np.zeros(3))
    with pytest.raises(UserError, match=r"cannot read .*one\.npy"):
        big_vision.load(path, ABSTRACT)
