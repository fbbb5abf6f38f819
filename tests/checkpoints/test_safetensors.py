import json
import resource

import ml_dtypes
import numpy as np
import pytest

from vlmcog.checkpoints import safetensors
from vlmcog.errors import UserError

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([1.5, -2.0], ml_dtypes.bfloat16),
    "c": np.array(7, np.float16),
    "d": np.array([[True], [False]]),
    "e": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def single(tmp_path):
    safetensors.write(tmp_path, TENSORS, TENSORS.__getitem__)
    return tmp_path / "model.safetensors"


@pytest.fixture
def sharded(tmp_path):
    safetensors.write(tmp_path, TENSORS, TENSORS.__getitem__, shard_bytes=24)
    return tmp_path / "model.safetensors.index.json"


def _check_same(found):
    assert found.keys() == TENSORS.keys()
    for name, tensor in found.items():
        read = tensor.read()
        assert (read.dtype, read.shape, read.tobytes()) == (
            TENSORS[name].dtype,
            TENSORS[name].shape,
            TENSORS[name].tobytes(),
        )


def test_one_file_round_trip(single):
    _check_same(safetensors.find(single))
    _check_same(safetensors.find(single.parent))


def test_shards_round_trip(sharded):
    assert [file.name for file in sorted(sharded.parent.glob("*.safetensors"))] == [
        f"model-0000{k}-of-00002.safetensors" for k in (1, 2)
    ]
    _check_same(safetensors.find(sharded))
    _check_same(safetensors.find(sharded.parent))


def test_the_reference_reads_what_is_written_and_the_other_way(single):
    reference = pytest.importorskip("safetensors.numpy")
    read = reference.load_file(single)
    assert all(read[name].tobytes() == array.tobytes() for name, array in TENSORS.items())
    reference.save_file(TENSORS, single)
    _check_same(safetensors.find(single))


@pytest.mark.parametrize("kept", [0, 4, 8, 60, -1])
def test_a_truncated_file_is_named(single, kept):
    single.write_bytes(single.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"model\.safetensors is not a whole \.safetensors file"):
        safetensors.find(single)


def _edit(path, change):
    contents = path.read_bytes()
    length = int.from_bytes(contents[:8], "little")
    header = json.loads(contents[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + contents[8 + length :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["a"].update(shape=[2, 4]), r"a is F32\[2, 4\] at bytes 0 to 24"),
        (lambda h: h["a"].update(dtype="F4"), r"a has dtype F4, but vlmcog reads F64, .*; fetch"),
        (lambda h: h["a"].update(data_offsets=[-4, 20]), r"at bytes -4 to 20"),
        (lambda h: h["a"].update(data_offsets=[24, 48]), r"starts at byte"),
        (lambda h: h.update(a=3), r"a is described by 3"),
        (lambda h: h.pop("a"), r"starts at byte"),
    ],
)
def test_a_header_that_contradicts_the_file_is_refused(single, change, message):
    _edit(single, change)
    with pytest.raises(UserError, match=message):
        safetensors.find(single)


def test_junk_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes((20).to_bytes(8, "little") + b"[" * 20)
    with pytest.raises(UserError, match="its header is no JSON"):
        safetensors.find(path)


def test_an_absent_shard_is_named(sharded):
    (sharded.parent / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"names the shard model-00002-of-00002\.safetensors, which is absent"):
        safetensors.find(sharded)


def _edit_index(index, change):
    contents = json.loads(index.read_text())
    change(contents["weight_map"])
    index.write_text(json.dumps(contents))


def test_an_index_that_places_a_tensor_elsewhere_is_refused(sharded):
    _edit_index(sharded, lambda files: files.update(a="model-00002-of-00002.safetensors"))
    with pytest.raises(UserError, match=r"model-00002-of-00002\.safetensors lacks a, which .*index.json places there"):
        safetensors.find(sharded)


def test_an_index_that_leaves_a_tensor_out_is_refused(sharded):
    _edit_index(sharded, lambda files: files.pop("b"))
    with pytest.raises(UserError, match=r"holds b, which .*index.json doesn't place there; fetch both"):
        safetensors.find(sharded)


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd"])
def test_an_index_cannot_leave_its_folder(sharded, name):
    _edit_index(sharded, lambda files: files.update(a=name))
    with pytest.raises(UserError, match="outside its folder"):
        safetensors.find(sharded)


def test_an_index_that_is_none_is_refused(sharded):
    sharded.write_text("{}")
    with pytest.raises(UserError, match="is not an index of shards"):
        safetensors.find(sharded)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickles_are_never_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"cos\nsystem\n")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=rf"{name} is a pickle.*convert it with save_pretrained"):
            safetensors.find(path)


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(UserError, match=r"holds neither model\.safetensors nor"):
        safetensors.find(tmp_path)
    with pytest.raises(UserError, match="no checkpoint at"):
        safetensors.find(tmp_path / "gone.safetensors")


def test_a_file_that_cannot_be_written_is_said_and_none_is_left(tmp_path):
    tensors, limits = {"a": np.zeros(100_000, np.float32)}, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*model\.safetensors: File too large; free the disk"):
            safetensors.write(tmp_path, tensors, tensors.__getitem__)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
