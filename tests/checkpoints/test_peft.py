"""Adapters in PEFT's layout change what its weights do by as much as ours change our own."""

import dataclasses
import functools
import json
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import FAMILIES, GOLDENS, TOLERANCE, golden, their_logits, their_model

from vlmcog.checkpoints import hugging_face, peft, safetensors
from vlmcog.checkpoints.__main__ import main
from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.errors import UserError
from vlmcog.training import adapters, workdir
from vlmcog.training.config import LoraConfig, MeshConfig, PartLora, TrainConfig

EVERYWHERE = LoraConfig(vision=PartLora(2, 6.0), connector=PartLora(3, 3.0), language=PartLora(2, 4.0, 0.1))


BESIDE = (".*/scale", "(img|llm|groups)/.*bias", ".*_gate")


@functools.lru_cache
def _made(name, also=()):
    """The golden, the settings of its adapters, and its parameters with adapters that do something, by name.

    `a` is about as large as where it starts, and `b` large enough to change the logits. Larger ones would sharpen
    attention until rounding shows: in float64 PEFT's merged and unmerged forms agree, in float32 each is as far off.
    """
    made, config = golden(FAMILIES[name], name=name), dataclasses.replace(EVERYWHERE, also=also)
    shapes = jax.eval_shape(functools.partial(adapters.start, config), made.params, jax.random.key(0))
    base, rng = adapters.flatten(made.params), np.random.default_rng(0)

    def drawn(path, shape):
        spread = 0.25 if path.endswith(adapters.B) else math.prod(shape[:-1]) ** -0.5
        return (spread * rng.normal(size=shape)).astype(np.float32)

    new = {path: leaf.shape for path, leaf in adapters.flatten(shapes).items() if path not in base}
    for path in [path for path in base if any(re.fullmatch(pattern, path) for pattern in also)]:
        base[path] = base[path] + (0.05 * rng.normal(size=base[path].shape)).astype(np.float32)
    return made, config, base | {path: drawn(path, shape) for path, shape in new.items()}


def _write(name, folder, also=()):
    """Adapters and what learnt beside them, and the model with them merged; returns the latter's parameters."""
    made, config, leaves = _made(name, also)
    merged = adapters.merge(config, adapters.unflatten(jax.tree.map(jnp.asarray, leaves)))
    flat = adapters.flatten(merged)
    peft.save(folder / "adapters", made.model.hugging_face, config, leaves, base=str(made.folder), merged=flat)
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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers for it
@pytest.mark.parametrize("also", [(), BESIDE], ids=["alone", "beside"])
@pytest.mark.parametrize("name", FAMILIES)
def test_peft_gives_the_logits_of_the_merged_model(name, also, tmp_path):
    theirs = pytest.importorskip("peft")
    _write(name, tmp_path, also)
    made, _, _ = _made(name)
    base, merged = (their_model(name, folder) for folder in (made.folder, tmp_path / "merged"))
    plain, wanted = (their_logits(name, model, made.arrays) for model in (base, merged))
    adapted = their_logits(name, theirs.PeftModel.from_pretrained(base, tmp_path / "adapters"), made.arrays)
    np.testing.assert_allclose(adapted, wanted, rtol=0, atol=TOLERANCE)
    assert np.abs(wanted - plain).max() > 0.1


@pytest.mark.parametrize(
    ("name", "also", "what"),
    [
        ("paligemma", "llm/embedder/.*", r"model\.embed_tokens\.weight beside adapters only if it is tied to no other"),
        ("siglip", "t", r"logit_scale beside adapters only if it lies in a module"),
    ],
)
def test_what_peft_keeps_no_place_for_is_said(name, also, what):
    made, config, leaves = _made(name)
    with pytest.raises(UserError, match=rf"lora\.also: PEFT keeps .*{what}"):
        peft.plan(made.model.hugging_face, dataclasses.replace(config, also=(also,)), leaves)


def test_a_read_out_has_no_place_in_transformers():
    model = golden("siglip", objective="linear").model
    shapes = adapters.flatten(jax.eval_shape(model.init, jax.random.key(0)))
    config = dataclasses.replace(EVERYWHERE, also=("readout/.*",))
    with pytest.raises(UserError, match=r"readout\.weight beside adapters only if transformers has it"):
        peft.plan(model.hugging_face, config, shapes)


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
