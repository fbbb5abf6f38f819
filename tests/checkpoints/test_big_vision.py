import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from vlmcog.checkpoints import big_vision
from vlmcog.errors import UserError

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
