"""SigLIP and CLIP against Hugging Face transformers on tiny random weights, and back to it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import TOLERANCE, assert_comes_back, change, difference, golden, jit, rebuild, remake

from vlmcog.checkpoints import hugging_face
from vlmcog.errors import UserError

EOS = 3
FAMILIES = ("siglip", "clip")


@functools.lru_cache
def _golden(family):
    return golden(family)


def _logits(module, image, text):
    return module(image, text[None].repeat(len(image), axis=0))


def _everything(module, image, text):
    vectors = {"image_embed": module.encode_image(image), "text_embed": module.encode_text(text)}
    return {key: x / jnp.linalg.norm(x, axis=-1)[:, None] for key, x in vectors.items()} | {
        "logits": _logits(module, image, text)
    }


def _apply(module, params, arrays, method):
    apply = jit(functools.partial(module.clone(eos=EOS).apply, method=method))
    return apply({"params": params}, arrays["image"], arrays["text"])


def _differences(made, module=None):
    outputs = _apply(module or made.model.module, made.params, made.arrays, _everything)
    return {key: difference(value, made.arrays[key]) for key, value in outputs.items()}


@pytest.mark.parametrize(("family", "scan"), [("siglip", False), ("clip", True)])
def test_equals_the_reference(family, scan):
    made = _golden(family)
    differences = _differences(made, made.model.module.clone(scan=scan))
    assert max(differences.values()) <= TOLERANCE, differences


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_live_reference(family, tmp_path):
    remake(family, tmp_path)
    differences = _differences(golden(family, tmp_path))
    assert max(differences.values()) <= TOLERANCE, differences


MISTAKES = {
    "image activation": lambda nets: change(nets, "vision", activation="gelu"),
    "text activation": lambda nets: change(nets, "text", activation="gelu"),
    "image epsilon": lambda nets: change(nets, "vision", epsilon=1e-5 if nets.vision.epsilon == 1e-6 else 1e-6),
    "text epsilon": lambda nets: change(nets, "text", epsilon=1e-5 if nets.text.epsilon == 1e-6 else 1e-6),
    "mask of the text": lambda nets: change(nets, "text", causal=not nets.text.causal),
    "pooled token": lambda nets: change(nets, "text", pool="last" if nets.text.pool == "eos" else "eos"),
    "image heads": lambda nets: change(nets, "vision", num_heads=2),
    "text heads": lambda nets: change(nets, "text", num_heads=2),
    "norm before the blocks": lambda nets: change(nets, "vision", pre_norm=False),
    "offset": lambda nets: dataclasses.replace(nets, bias=False),
}
ONLY = {"norm before the blocks": "clip", "offset": "siglip"}


@pytest.mark.slow
@pytest.mark.parametrize(("family", "mistake"), [(f, m) for f in FAMILIES for m in MISTAKES if ONLY.get(m, f) == f])
def test_a_planted_mistake_shows(family, mistake):
    made = _golden(family)
    wrong = rebuild(made, MISTAKES[mistake](made.networks))
    params = _reshaped(made.params, jax.eval_shape(wrong.init, jax.random.key(0)))
    logits = _apply(wrong.module, params, made.arrays, _logits)
    assert difference(logits, made.arrays["logits"]) > 3 * TOLERANCE


def _reshaped(params, shapes):
    """The parameters that a model with a mistake has, in its shapes: other heads split the same matrix."""
    leaves = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
    return jax.tree_util.tree_map_with_path(
        lambda path, shape: leaves[jax.tree_util.keystr(path)].reshape(shape.shape), shapes
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_an_untouched_checkpoint_comes_back_byte_for_byte(family, tmp_path):
    assert_comes_back(_golden(family), tmp_path)


def _with_io(made, folder):
    (folder / "io.safetensors").write_bytes((made.folder / "io.safetensors").read_bytes())
    return folder


def _readout(made):
    return {name: np.asarray(leaf) for name, leaf in made.params["readout"].items()}


def test_a_linear_read_out_is_blank_in_a_public_checkpoint_and_comes_back_from_ours(tmp_path):
    public = golden("siglip", objective="linear", max_options=3)
    assert {name: leaf.shape for name, leaf in _readout(public).items()} == {"kernel": (32, 3), "bias": (3,)}
    assert not any(leaf.any() for leaf in _readout(public).values())
    learnt = {name: np.random.default_rng(0).normal(size=x.shape).astype("f4") for name, x in _readout(public).items()}
    hugging_face.save(tmp_path, public.model.hugging_face, public.params | {"readout": learnt})
    back = golden("siglip", _with_io(public, tmp_path), objective="linear", max_options=3)
    for name, leaf in _readout(back).items():
        np.testing.assert_array_equal(leaf, learnt[name])
    with pytest.raises(UserError, match=r"readout\.weight has shape \[3, 32\] but the model's .* is \[4, 32\]"):
        golden("siglip", tmp_path, objective="linear", max_options=4)
    with pytest.raises(UserError, match=r"holds readout\.\w+ and 1 more, .* which isn't in the model"):
        golden("siglip", tmp_path)
