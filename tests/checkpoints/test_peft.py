"""Adapters in PEFT's layout change what its weights do by as much as ours change our own."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import GOLDENS, TOLERANCE, golden

from vlmcog.checkpoints import hugging_face, peft, safetensors
from vlmcog.checkpoints.__main__ import main
from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.errors import UserError
from vlmcog.training import adapters, workdir
from vlmcog.training.config import LoraConfig, MeshConfig, PartLora, TrainConfig

FAMILIES = {
    "paligemma": "paligemma",
    "paligemma2": "paligemma",
    "gemma3": "gemma3",
    "qwen2": "qwen",
    "qwen2_5": "qwen",
    "idefics": "flamingo",
    "siglip": "siglip",
    "clip": "clip",
}
EVERYWHERE = LoraConfig(vision=PartLora(2, 6.0), connector=PartLora(3, 3.0), language=PartLora(2, 4.0, 0.1))
# What transformers keeps outside of linear layers: Gemma 3's projection, SigLIP's attention that pools an image.
WITHOUT = {
    "gemma3": dataclasses.replace(EVERYWHERE, connector=PartLora()),
    "siglip": dataclasses.replace(EVERYWHERE, vision=PartLora(2, 6.0, attention=False)),
}


@functools.lru_cache
def _made(name):
    """The golden, the settings of its adapters, and its parameters with adapters that do something, by name.

    `a` is about as large as where it starts, and `b` large enough to change the logits. Larger ones would sharpen
    attention until the rounding of the merged weights shows.
    """
    made, config = golden(FAMILIES[name], name=name), WITHOUT.get(name, EVERYWHERE)
    shapes = jax.eval_shape(functools.partial(adapters.start, config), made.params, jax.random.key(0))
    base, rng = adapters.flatten(made.params), np.random.default_rng(0)

    def drawn(path, shape):
        spread = 0.25 if path.endswith(adapters.B) else math.prod(shape[:-1]) ** -0.5
        return (spread * rng.normal(size=shape)).astype(np.float32)

    new = {path: leaf.shape for path, leaf in adapters.flatten(shapes).items() if path not in base}
    return made, config, base | {path: drawn(path, shape) for path, shape in new.items()}


def _write(name, folder):
    """Adapters, and the model with them merged; returns the latter's parameters."""
    made, config, leaves = _made(name)
    peft.save(folder / "adapters", made.model.hugging_face, config, leaves, base=str(made.folder))
    merged = adapters.merge(config, adapters.unflatten(jax.tree.map(jnp.asarray, leaves)))
    hugging_face.save(folder / "merged", made.model.hugging_face, merged)
    return merged


@pytest.mark.parametrize(
    "name", ["qwen2_5", *(pytest.param(n, marks=pytest.mark.slow) for n in ("paligemma", "idefics"))]
)
def test_an_adapter_is_the_difference_that_merging_makes(name, tmp_path):
    _write(name, tmp_path)
    made, config, leaves = _made(name)
    found = peft.adapters(made.model.hugging_face, config, leaves)
    layout, after = made.model.hugging_face, safetensors.find(tmp_path / "merged")
    before = {layout.canonical(name): tensor for name, tensor in safetensors.find(made.folder).items()}
    matrices = {name for name in before if layout.module(name.removesuffix(".weight")) in found}
    assert len(matrices) == len(found) > 10
    for name, tensor in before.items():
        adapter = found.get(layout.module(name.removesuffix(".weight")))
        change = 0 if adapter is None else adapter.alpha / adapter.rank * adapter.b @ adapter.a
        np.testing.assert_allclose(after[name].read() - tensor.read(), change, atol=1e-6)


@pytest.mark.parametrize("name", WITHOUT)
def test_what_peft_has_no_layer_for_is_said(name):
    made, _, leaves = _made(name)
    path = {"gemma3": "projector/kernel", "siglip": "img/MAPHead_0/MultiHeadDotProductAttention_0/query/kernel"}[name]
    more = {path + end: np.zeros((2, 2), np.float32) for end in (adapters.A, adapters.B)}
    with pytest.raises(UserError, match=r"keeps .*_weight outside of a linear layer"):
        peft.adapters(made.model.hugging_face, EVERYWHERE, leaves | more)


def _inputs(torch, name, arrays):
    """Those that transformers takes, from those of the golden."""

    def ids(key):
        return torch.tensor(arrays[key].astype(np.int64))

    if name in ("clip", "siglip"):
        return {"input_ids": ids("text"), "pixel_values": torch.tensor(arrays["image"]).permute(0, 3, 1, 2)}
    if FAMILIES[name] == "qwen":
        patches = zip(arrays["patches"], arrays["grid"].prod(axis=-1), strict=True)
        return {
            "input_ids": ids("right_text"),
            "attention_mask": ids("right_mask"),
            "mm_token_type_ids": (ids("right_text") == 470).int(),
            "pixel_values": torch.tensor(np.concatenate([each[:count] for each, count in patches])),
            "image_grid_thw": torch.tensor([[1, *grid] for grid in arrays["grid"].tolist()]),
        }
    if name == "idefics":
        place = (arrays["right_text"] == 481).cumsum(axis=-1) - 1
        return {
            "input_ids": ids("right_text"),
            "attention_mask": ids("right_mask"),
            "pixel_values": torch.tensor(arrays["image"]).permute(0, 1, 4, 2, 3),
            "image_attention_mask": torch.tensor((place[..., None] == np.arange(2)).astype(np.int64)),
        }
    n_image = 0 if name == "gemma3" else 9  # PaliGemma's image tokens are no part of the golden's text
    kinds = arrays["text"] == 478 if name == "gemma3" else arrays["mask_ar"]

    def whole(array, value):
        return torch.tensor(np.pad(array.astype(np.int64), ((0, 0), (n_image, 0)), constant_values=value))

    return {
        "input_ids": whole(arrays["text"], 478),
        "attention_mask": whole(arrays["mask_input"], 1),
        "token_type_ids": whole(kinds, 0),
        "pixel_values": torch.tensor(arrays["image"]).permute(0, 3, 1, 2),
    }


def _logits(torch, model, inputs):
    with torch.no_grad():
        outputs = model.eval()(**inputs)
    return (outputs.logits_per_image if "logits_per_image" in outputs else outputs.logits).numpy()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers for it
@pytest.mark.parametrize("name", FAMILIES)
def test_peft_gives_the_logits_of_the_merged_model(name, tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    theirs = pytest.importorskip("peft")
    _write(name, tmp_path)
    auto = transformers.AutoModel if name in ("clip", "siglip") else transformers.AutoModelForImageTextToText
    made, _, _ = _made(name)
    base, merged = (auto.from_pretrained(folder) for folder in (made.folder, tmp_path / "merged"))
    if name == "clip":  # a tokenizer's business, which a checkpoint without one doesn't know
        base.text_model.eos_token_id = merged.text_model.eos_token_id = 3
    inputs = _inputs(torch, name, made.arrays)
    plain, wanted = (_logits(torch, model, inputs) for model in (base, merged))
    adapted = _logits(torch, theirs.PeftModel.from_pretrained(base, tmp_path / "adapters"), inputs)
    np.testing.assert_allclose(adapted, wanted, rtol=0, atol=TOLERANCE)
    assert np.abs(wanted - plain).max() > 0.1


@pytest.mark.slow
def test_a_run_s_adapters_are_those_that_it_learnt(tmp_path):
    made, lora, leaves = _made("paligemma")
    config = TrainConfig(model=made.model.config, lora=lora, init_from=str(made.folder), mesh=MeshConfig(fsdp=1))
    workdir.claim(tmp_path / "run", config)
    learnt = adapters.unflatten({path: leaf for path, leaf in leaves.items() if adapters.is_adapter(path)})
    with Checkpoints(tmp_path / "run" / workdir.CHECKPOINTS, keep=1) as checkpoints:
        checkpoints.save(0, {"params": jax.tree.map(jnp.asarray, learnt)}, {})
    main(["convert", str(tmp_path / "run"), str(tmp_path / "out"), "--to", "peft"])
    _write("paligemma", tmp_path)
    for file in (peft.CONFIG, peft.WEIGHTS):
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "adapters" / file).read_bytes()
    described = json.loads((tmp_path / "out" / peft.CONFIG).read_text())
    assert described["base_model_name_or_path"] == str(GOLDENS / "paligemma")
