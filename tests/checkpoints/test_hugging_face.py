"""Loading and saving by tables of names: what a file may be called, and what is refused before anything is read."""

import dataclasses
import functools
import json
import pathlib
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vlmcog.checkpoints import hugging_face, pretrained, safetensors
from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.models.hugging_face import Layout, Rule

GOLDEN = pathlib.Path(__file__).parents[1] / "goldens/paligemma2"
LAYER = "language_model.model.layers.1.self_attn.q_proj.weight"


@functools.lru_cache
def _model(**values):
    return registry.build(pretrained.config_of(GOLDEN, **values))


def _shapes(model=None):
    return jax.eval_shape((model or _model()).init, jax.random.key(0))


@functools.lru_cache
def _params():
    return hugging_face.load(GOLDEN, _model().hugging_face, _shapes())


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(GOLDEN, tmp_path / "copy")


def _rewrite(folder, change):
    tensors = {name: tensor.read() for name, tensor in safetensors.find(folder).items()}
    tensors = change(tensors)
    safetensors.write(folder, tensors, tensors.__getitem__)
    return folder


def _load(folder):
    return hugging_face.load(folder, _model().hugging_face, _shapes())


def _renamed(pattern, replacement):
    def rename(tensors):
        return {re.sub(f"^{re.escape(pattern)}", replacement, name): tensor for name, tensor in tensors.items()}

    return rename


@pytest.mark.parametrize(
    "changes",
    [
        [("vision_tower.", "vision_tower.vision_model.")],
        [("language_model.model.", "model.language_model."), ("vision_tower.", "model.vision_tower."),
         ("multi_modal_projector.", "model.multi_modal_projector.")],
    ],
)  # fmt: skip
def test_every_spelling_of_the_names_is_read(copy, changes):
    for change in changes:
        _rewrite(copy, _renamed(*change))
    jax.tree.map(np.testing.assert_array_equal, _load(copy), _params())


def test_shards_and_parameters_on_devices(tmp_path):
    model = _model()
    hugging_face.save(tmp_path, model.hugging_face, _params(), shard_bytes=50_000)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    mesh = jax.make_mesh((4,), ("fsdp",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])

    def place(leaf):
        axes = [axis for axis, size in enumerate(leaf.shape) if size % 4 == 0]
        spec = PartitionSpec(*[None] * axes[-1], "fsdp") if axes else PartitionSpec()
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, spec))

    abstract = jax.tree.map(place, _shapes())
    loaded = hugging_face.load(tmp_path, model.hugging_face, abstract)
    jax.tree.map(np.testing.assert_array_equal, loaded, _params())
    assert jax.tree.all(jax.tree.map(lambda leaf, wanted: leaf.sharding == wanted.sharding, loaded, abstract))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_files_are_read(copy, dtype):
    _rewrite(copy, lambda tensors: {name: tensor.astype(jnp.dtype(dtype)) for name, tensor in tensors.items()})
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.dtype(dtype)).astype(np.float32), _params())
    jax.tree.map(np.testing.assert_array_equal, _load(copy), rounded)


def test_a_missing_tensor_is_named_with_its_shape(copy):
    _rewrite(copy, lambda tensors: {name: t for name, t in tensors.items() if name != LAYER})
    with pytest.raises(UserError, match=rf"copy lacks {LAYER}; the model's is \[64, 40\]: use a checkpoint"):
        _load(copy)


def test_an_extra_tensor_is_named_with_its_shape(copy):
    _rewrite(copy, lambda tensors: tensors | {"adapter.weight": np.zeros((2, 3), np.float32)})
    with pytest.raises(
        UserError, match=r"model\.safetensors holds adapter\.weight, \[2, 3\], which isn't in the model"
    ):
        _load(copy)


def test_a_wrong_shape_is_named_with_both(copy):
    _rewrite(copy, lambda tensors: tensors | {LAYER: np.zeros((64, 41), np.float32)})
    with pytest.raises(UserError, match=rf"model\.safetensors: {LAYER} has shape \[64, 41\] but .* is \[64, 40\]"):
        _load(copy)


def test_integers_are_refused(copy):
    _rewrite(copy, lambda tensors: tensors | {LAYER: np.zeros((64, 40), np.int8)})
    with pytest.raises(UserError, match=rf"{LAYER} is int8, not a float"):
        _load(copy)


def test_both_names_of_a_tensor_are_refused(copy):
    twice = "model.language_model" + LAYER.removeprefix("language_model.model")
    _rewrite(copy, lambda tensors: tensors | {twice: tensors[LAYER]})
    with pytest.raises(UserError, match=r"holds both .*q_proj.weight and .*q_proj.weight"):
        _load(copy)


def test_a_tied_copy_must_be_one(copy):
    table = "language_model.model.embed_tokens.weight"
    _rewrite(copy, lambda tensors: tensors | {"lm_head.weight": tensors[table]})
    jax.tree.map(np.testing.assert_array_equal, _load(copy), _params())
    _rewrite(copy, lambda tensors: tensors | {"lm_head.weight": tensors[table] + 1})
    with pytest.raises(UserError, match=r"lm_head\.weight \[480, 40\] differs from .*embed_tokens\.weight"):
        _load(copy)


def _change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= values
    config |= {key: value for key, value in values.items() if key == "model_type"}
    (folder / "config.json").write_text(json.dumps(config))


def test_a_config_of_no_family_is_refused(copy):
    _change_config(copy, model_type="llava")
    with pytest.raises(UserError, match=r"is of model_type 'llava'; vlmcog reads .*paligemma"):
        pretrained.config_of(copy)


def test_a_config_of_another_family_is_refused(copy):
    with pytest.raises(UserError, match=r"is of model_type 'paligemma', not 'gemma3'"):
        pretrained.config_of(copy, family="gemma3")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_activation": "relu"}, "hidden_activation is 'relu', which vlmcog doesn't build"),
        ({"layer_types": ["full_attention"] * 2}, "layer_types is"),
        ({"rms_norm_eps": 1e-5}, "rms_norm_eps is 1e-05"),
    ],
)
def test_a_config_that_is_not_built_here_is_refused(copy, values, message):
    _change_config(copy, **values)
    with pytest.raises(UserError, match=message):
        pretrained.config_of(copy)


def test_a_tokenizer_that_does_not_fit_the_embedding_is_refused():
    networks = dataclasses.replace(_model().module.networks, vocabulary_size=100)
    with pytest.raises(UserError, match=r"tokenizer\.model has 460 pieces but size 'custom' has 100 rows"):
        registry.family("paligemma").build(_model().config, networks)


@pytest.mark.parametrize(
    ("name", "markers", "n_marks"),
    [("paligemma", ("<pad>", "<eos>", "<bos>"), 1), ("idefics", ("<unk>", "<s>", "</s>"), 2)],
)
def test_a_tokenizer_s_own_marks_of_images_need_no_row(name, markers, n_marks, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    shutil.copy(GOLDEN.parent / name / "config.json", tmp_path)

    def build(n_pieces):
        words = {word: index for index, word in enumerate((*markers, *map(str, range(n_pieces - len(markers)))))}
        model = tokenizers.models.WordLevel(words, unk_token=markers[0])
        tokenizers.Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
        return registry.build(pretrained.config_of(tmp_path))

    assert build(480 + n_marks).processor.tokenizer.vocab_size == 480 + n_marks
    with pytest.raises(UserError, match=rf"tokenizer\.json has {481 + n_marks} pieces but size 'custom' has 480 rows"):
        build(481 + n_marks)


def test_rows_of_padding_are_read_but_not_written(tmp_path):
    layout = Layout((Rule("table", "weight", padded=5),), {})
    params = {"table": np.arange(6.0).reshape(3, 2)}
    shapes = {"table": jax.ShapeDtypeStruct((3, 2), np.float64)}
    hugging_face.save(tmp_path, layout, params)
    assert safetensors.find(tmp_path)["weight"].shape == (3, 2)
    np.testing.assert_array_equal(hugging_face.load(tmp_path, layout, shapes)["table"], params["table"])
    _rewrite(tmp_path, lambda tensors: {"weight": np.pad(tensors["weight"], [(0, 2), (0, 0)])})
    np.testing.assert_array_equal(hugging_face.load(tmp_path, layout, shapes)["table"], params["table"])
    _rewrite(tmp_path, lambda tensors: {"weight": tensors["weight"][:4]})
    with pytest.raises(UserError, match=r"weight has shape \[4, 2\] but the model's .* is \[3, 2\]"):
        hugging_face.load(tmp_path, layout, shapes)


def test_parts_of_a_tensor_become_parameters_and_one_again(tmp_path):
    rules = [Rule(path, "packed", "(n h) d -> d n h", part=(k, 3)) for k, path in enumerate(("query", "key", "value"))]
    params = {
        path: np.random.default_rng(k).standard_normal((4, 2, 3)) for k, path in enumerate(("query", "key", "value"))
    }
    layout = Layout(tuple(rules), {})
    hugging_face.save(tmp_path, layout, params)
    assert safetensors.find(tmp_path)["packed"].shape == (18, 4)
    shapes = {path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for path, leaf in params.items()}
    jax.tree.map(np.testing.assert_array_equal, hugging_face.load(tmp_path, layout, shapes), params)


def test_a_table_must_cover_every_parameter():
    layout = Layout((Rule("pair", "one", index=0),), {})
    with pytest.raises(ValueError, match="cover 3 of"):
        hugging_face.plan(layout, {"pair": np.zeros((2, 3))})
    with pytest.raises(ValueError, match="isn't a parameter"):
        hugging_face.plan(layout, {"other": np.zeros(3)})
