import dataclasses
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.checkpoints import big_vision, pretrained, safetensors
from vlmcog.checkpoints.__main__ import main
from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.training import result, sharding
from vlmcog.training.config import MeshConfig
from vlmcog.training.workdir import read_config

GOLDEN = pathlib.Path(__file__).parents[1] / "goldens/paligemma"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return shutil.copytree(GOLDEN, tmp_path_factory.mktemp("source") / "public")


def test_huggingface_to_orbax_and_back_is_byte_equal(source, tmp_path):
    main(["convert", str(source), str(tmp_path / "run"), "--to", "orbax"])
    main(["convert", str(tmp_path / "run"), str(tmp_path / "back"), "--to", "huggingface"])
    before, after = safetensors.find(source), safetensors.find(tmp_path / "back")
    assert len(before) == len(after)
    before = {name.replace("vision_tower.", "vision_tower.vision_model."): tensor for name, tensor in before.items()}
    assert all(tensor.read().tobytes() == after[name].read().tobytes() for name, tensor in before.items())


def _rounded(source, dtype, folder):
    """The checkpoint in another dtype, in `folder`; returns its tensors."""
    shutil.copytree(source, folder)
    tensors = {name: tensor.read().astype(jnp.dtype(dtype)) for name, tensor in safetensors.find(source).items()}
    safetensors.write(folder, tensors, tensors.__getitem__)
    return tensors


@pytest.mark.parametrize("kept", ["bfloat16", "float32"])
def test_a_run_of_a_bfloat16_checkpoint_can_be_read(kept, source, tmp_path):
    tensors = _rounded(source, "bfloat16", tmp_path / "public")
    wanted = [] if kept == "bfloat16" else ["--dtype", kept]
    main(["convert", str(tmp_path / "public"), str(tmp_path / "run"), "--to", "orbax", *wanted])
    assert read_config(tmp_path / "run").model.parameter_dtype == kept
    main(["convert", str(tmp_path / "run"), str(tmp_path / "out"), "--to", "huggingface", "--dtype", "bfloat16"])
    after = safetensors.find(tmp_path / "out")
    for name, tensor in tensors.items():
        read = after[name.replace("vision_tower.", "vision_tower.vision_model.")].read()
        assert (read.dtype, read.tobytes()) == (tensor.dtype, tensor.tobytes())


def test_a_float32_run_starts_from_a_bfloat16_one(source, tmp_path):
    _rounded(source, "bfloat16", tmp_path / "public")
    main(["convert", str(tmp_path / "public"), str(tmp_path / "run"), "--to", "orbax"])
    kept = read_config(tmp_path / "run").model
    assert kept.parameter_dtype == "bfloat16"
    model, mesh = registry.build(dataclasses.replace(kept, parameter_dtype="float32")), MeshConfig(fsdp=1)
    base = result.load_base(model, str(tmp_path / "run"), mesh, sharding.make_mesh(mesh, batch_size=1))
    read = pretrained.load(tmp_path / "public", model, jax.eval_shape(model.init, jax.random.key(0)))
    jax.tree.map(np.testing.assert_array_equal, base, read)
    assert {leaf.dtype for leaf in jax.tree.leaves(base)} == {np.dtype("float32")}


@pytest.mark.parametrize(("dtype", "kept"), [("bfloat16", "bfloat16"), ("float16", "float32")])
def test_a_checkpoint_keeps_its_dtype(dtype, kept, source, tmp_path):
    tensors = _rounded(source, dtype, tmp_path / "public")
    main(["convert", str(tmp_path / "public"), str(tmp_path / "out"), "--to", "huggingface"])
    main(["convert", str(tmp_path / "public"), str(tmp_path / "out.npz"), "--to", "big_vision"])
    after = safetensors.find(tmp_path / "out")
    for name, tensor in tensors.items():
        read = after[name.replace("vision_tower.", "vision_tower.vision_model.")].read()
        assert read.dtype == jnp.dtype(kept)
        assert read.tobytes() == tensor.astype(read.dtype).tobytes()
    with np.load(tmp_path / "out.npz") as arrays:
        assert {array.dtype for array in arrays.values()} == {np.dtype("V2" if kept == "bfloat16" else kept)}


def test_inspect_tells_an_npz(source, tmp_path, capsys):
    main(["convert", str(source), str(tmp_path / "a.npz"), "--to", "big_vision", "--dtype", "bfloat16"])
    capsys.readouterr()
    main(["inspect", str(tmp_path / "a.npz")])
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["params/llm/layers/attn/kv_einsum/w", "bfloat16", "[2, 2, 1, 40, 16]"] in lines
    assert " ".join(lines[-1]) == "32 tensors, 68,496 parameters, 136,992 bytes"
    for contents in (b"", (tmp_path / "a.npz").read_bytes()[:5000]):
        (tmp_path / "cut.npz").write_bytes(contents)
        with pytest.raises(UserError, match=r"cannot read .*cut\.npz: not a whole \.npz"):
            main(["inspect", str(tmp_path / "cut.npz")])
    np.savez(tmp_path / "objects.npz", a=np.array([{}]))
    with pytest.raises(UserError, match=r"objects\.npz: .*a\.npy holds objects"):
        main(["inspect", str(tmp_path / "objects.npz")])


def test_a_checkpoint_keeps_its_tokenizer(source, tmp_path):
    main(["convert", str(source), str(tmp_path / "run"), "--to", "orbax"])
    for number, before in enumerate([source, tmp_path / "run"]):
        main(["convert", str(before), str(tmp_path / str(number)), "--to", "huggingface"])
        kept = tmp_path / str(number) / "tokenizer.model"
        assert kept.read_bytes() == (source / "tokenizer.model").read_bytes()
        assert pretrained.config_of(tmp_path / str(number)).vocabulary == str(kept)


def test_what_transformers_reads_beside_a_tokenizer_goes_with_it(tmp_path):
    source = shutil.copytree(GOLDEN, tmp_path / "public")
    beside = ["preprocessor_config.json", "special_tokens_map.json"]
    for name in (*beside, "notes.txt"):
        (source / name).write_text(name)
    main(["convert", str(source), str(tmp_path / "run"), "--to", "orbax"])
    main(["convert", str(tmp_path / "run"), str(tmp_path / "out"), "--to", "huggingface"])
    own = ["config.json", "model.safetensors", "tokenizer.model"]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(own + beside)
    assert all((tmp_path / "out" / name).read_text() == name for name in beside)


def test_a_run_needs_a_tokenizer(tmp_path):
    shutil.copytree(GOLDEN.parent / "gemma3", tmp_path / "public")
    convert = ["convert", str(tmp_path / "public")]
    with pytest.raises(UserError, match=r"public has no tokenizer\.model or .*, or name the file as --vocabulary"):
        main([*convert, str(tmp_path / "run"), "--to", "orbax"])
    main([*convert, str(tmp_path / "run"), "--to", "orbax", "--vocabulary", str(GOLDEN / "tokenizer.model")])
    assert read_config(tmp_path / "run").model.vocabulary == str(GOLDEN / "tokenizer.model")


def test_a_tokenizer_that_only_stands_in_is_not_given_away(tmp_path):
    model = registry.build(ModelConfig(size="nano", image_size=16))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    big_vision.save(tmp_path / "a.npz", jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes))
    of_npz = ["--family", "paligemma", "--size", "nano", "--image_size", "16"]
    main(["convert", str(tmp_path / "a.npz"), str(tmp_path / "out"), "--to", "huggingface", *of_npz])
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("to", ["huggingface", "orbax", "big_vision"])
def test_what_is_stopped_half_way_leaves_nothing(to, source, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    target = tmp_path / "out.npz"
    for name in ("os.fsync", "vlmcog.checkpoints.manager.Checkpoints.save"):
        monkeypatch.setattr(name, stop)
    with pytest.raises(KeyboardInterrupt):
        main(["convert", str(source), str(target), "--to", to])
    assert not list(tmp_path.iterdir())


def test_huggingface_to_big_vision(source, tmp_path):
    main(["convert", str(source), str(tmp_path / "weights.npz"), "--to", "big_vision", "--dtype", "bfloat16"])
    with np.load(tmp_path / "weights.npz") as arrays:
        assert arrays["params/llm/layers/attn/kv_einsum/w"].shape == (2, 2, 1, 40, 16)
        assert arrays["params/llm/layers/attn/kv_einsum/w"].dtype == np.dtype("V2")


def test_inspect_prints_the_table(source, capsys):
    main(["inspect", str(source)])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["multi_modal_projector.linear.weight", "float32", "[40,", "32]"] for line in lines)
    assert lines[-1].startswith("59 tensors, 68,496 parameters, 273,984 bytes")


def test_what_cannot_be_converted_is_said(source, tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint at .*gone; name a folder"):
        main(["convert", str(tmp_path / "gone"), str(tmp_path / "b"), "--to", "huggingface"])
    with pytest.raises(UserError, match="exists already"):
        main(["convert", str(source), str(tmp_path), "--to", "huggingface"])
    big_vision.save(tmp_path / "a.npz", {"a": np.zeros(2)})
    with pytest.raises(UserError, match="give --family, --size and --image_size"):
        main(["convert", str(tmp_path / "a.npz"), str(tmp_path / "b"), "--to", "huggingface"])
    with pytest.raises(UserError, match=r"must end in \.npz"):
        main(["convert", str(source), str(tmp_path / "b"), "--to", "big_vision"])
    with pytest.raises(UserError, match=r"public is no run with adapters"):
        main(["convert", str(source), str(tmp_path / "b"), "--to", "peft"])


@pytest.mark.parametrize("name", ["clip", "gemma3", "idefics", "qwen2"])
def test_a_family_that_big_vision_lacks_is_refused_before_anything_is_read(name, tmp_path):
    for file in ("config.json", "model.safetensors"):
        shutil.copy(GOLDEN.parent / name / file, tmp_path)
    shutil.copy(GOLDEN / "tokenizer.model", tmp_path)
    with pytest.raises(UserError, match=r"weights\.npz: big_vision has no \w+, so no format for one"):
        main(["convert", str(tmp_path), str(tmp_path / "weights.npz"), "--to", "big_vision"])
    big_vision.save(tmp_path / "a.npz", {"a": np.zeros(2)})
    of_npz = ["--to", "huggingface", "--family", "clip", "--size", "nano", "--image_size", "32"]
    with pytest.raises(UserError, match=r"a\.npz: big_vision has no clip"):
        main(["convert", str(tmp_path / "a.npz"), str(tmp_path / "b"), *of_npz])
