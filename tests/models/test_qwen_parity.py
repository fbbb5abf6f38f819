"""Qwen2-VL and Qwen2.5-VL against Hugging Face transformers on tiny random weights, and back to it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import (
    TOLERANCE,
    assert_comes_back,
    change,
    compiled,
    compiled_once,
    difference,
    golden,
    jit,
    rebuild,
    remake,
    rolled,
)

from vlmcog.models import qwen_vision
from vlmcog.models.encoder import Mlp
from vlmcog.models.qwen import positions_of

GOLDENS = ("qwen2", "qwen2_5")
EOS = 479


@functools.lru_cache
def _golden(name):
    return golden("qwen", name=name)


def _batch(arrays, side):
    patches = arrays["patches"].reshape(*arrays["patches"].shape[:2], 3, 2, 4, 4)
    return {
        "patches": patches,
        "grid": arrays["grid"],
        "text": arrays[f"{side}_text"],
        "mask_input": arrays[f"{side}_mask"],
    }


def _difference(made, side, wrong=None):
    forward = compiled_once(made.model.module) if wrong is None else compiled(wrong.module)
    logits = forward(made.params, _batch(made.arrays, side))
    real = made.arrays[f"{side}_mask"]
    return difference(np.asarray(logits)[real], made.arrays[f"{side}_logits"][real])


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", GOLDENS)
def test_equals_the_reference(name, side):
    assert _difference(_golden(name), side) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDENS)
def test_equals_the_live_reference(name, tmp_path):
    remake(name, tmp_path)
    made = golden("qwen", tmp_path)
    assert max(_difference(made, "right"), _difference(made, "left")) <= TOLERANCE


MISTAKES = {
    "sections": lambda nets: dataclasses.replace(nets, sections=(2, 1, 1)),
    "wavelength": lambda nets: change(nets, "decoder", wavelength=10_000.0),
    "epsilon": lambda nets: change(nets, "decoder", epsilon=1e-5),
    "windows": lambda nets: change(nets, "vision", window=0),
    "global blocks": lambda nets: change(nets, "vision", full=(0, 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_shows(mistake):
    made = _golden("qwen2_5")
    wrong = rebuild(made, MISTAKES[mistake](made.networks))
    assert _difference(made, "right", wrong) > 3 * TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (qwen_vision, "_EPSILON", 1e-5),
        (qwen_vision, "_WAVELENGTH", 100.0),
        (qwen_vision, "Mlp", lambda mlp_dim, activation, **more: Mlp(mlp_dim, "gelu_tanh", **more)),
        (qwen_vision, "ACTIVATIONS", {"gelu": functools.partial(jax.nn.gelu, approximate=True)}),
        (qwen_vision, "MERGE", 1),
    ],
)
def test_a_mistake_planted_in_the_tower_shows(monkeypatch, module, name, value):
    made = _golden("qwen2")
    if name == "MERGE":  # patches row by row instead of block by block
        monkeypatch.setattr(qwen_vision, "_places", _row_by_row)
    else:
        monkeypatch.setattr(module, name, value)
    assert _difference(made, "right", rebuild(made, made.networks)) > 3 * TOLERANCE


def _row_by_row(count, grid):
    index = jnp.arange(count)[None]
    place = jnp.stack([index // grid[:, 1:], index % grid[:, 1:]], axis=-1)
    return jnp.where((index < grid.prod(axis=-1)[:, None])[..., None], place, -1)


def test_positions_are_those_drawn():
    is_image = jnp.array([[False] * 2 + [True] * 6 + [False] * 3])
    valid = jnp.array([[True] * 10 + [False]])
    got = positions_of(is_image, valid, jnp.array([[2, 3]]))[:, 0, :10]
    assert got.tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5, 6],
        [0, 1, 2, 2, 2, 3, 3, 3, 5, 6],
        [0, 1, 2, 3, 4, 2, 3, 4, 5, 6],
    ]


@pytest.mark.parametrize("name", GOLDENS)
def test_replies_equal_the_references(name):
    made = _golden(name)
    wanted = made.arrays["replies"]
    batch = _batch(made.arrays, "right")
    generate = functools.partial(rolled(made.model).generate, max_tokens=wanted.shape[1])
    replies = jit(generate)(made.params, batch)
    np.testing.assert_array_equal(replies, wanted)


@pytest.mark.parametrize("name", GOLDENS)
def test_an_untouched_checkpoint_comes_back_byte_for_byte(name, tmp_path):
    assert_comes_back(_golden(name), tmp_path)
