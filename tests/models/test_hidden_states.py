"""What must hold of the states between layers, in every family: they lead to the model's own answers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import jit

from vlmcog.models import hidden_states, registry
from vlmcog.models.config import ModelConfig
from vlmcog.models.model import on_device
from vlmcog.models.norms import LayerNorm

WRITERS = (
    ("paligemma", "nano"),
    pytest.param("paligemma", "2-nano", marks=pytest.mark.slow),
    pytest.param("gemma3", "nano", marks=pytest.mark.slow),
    pytest.param("qwen", "nano", marks=pytest.mark.slow),
    pytest.param("qwen", "2.5-nano", marks=pytest.mark.slow),
    pytest.param("flamingo", "nano", marks=pytest.mark.slow),
)
FAMILIES = (*WRITERS, ("siglip", "nano"), pytest.param("clip", "nano", marks=pytest.mark.slow))
QUESTIONS = ("Will it fall?", "Would it?")


def _build(family, size, networks=None, **how):
    config = ModelConfig(family=family, size=size, **{"image_size": 32, "prefix_length": 16, "scan": True, **how})
    return registry.family(family).build(config, networks or config.networks)


@functools.lru_cache
def _made(family, size):
    model = _build(family, size)
    rng = np.random.default_rng(0)
    params = jit(model.init)(jax.random.key(0))
    params = jax.tree.map(lambda leaf: leaf + 0.1 * rng.standard_normal(leaf.shape, np.float32), params)
    return model, params, jit(model.hidden_states)(params, _batch(model))


def _batch(model, some=slice(None)):
    """Two pictures of other shapes, which Qwen cuts into other numbers of patches, and prompts of other lengths."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((32, 32, 3), (32, 16, 3))]
    examples = [model.processor.prefix_example(*given) for given in zip(images, QUESTIONS, strict=True)]
    return {key: np.stack([example[key] for example in examples[some]]) for key in examples[0]}


def _close(states, others, **tolerance):
    assert states.keys() == others.keys()
    for name in states:
        np.testing.assert_allclose(states[name], others[name], **{"rtol": 1e-4, "atol": 1e-5, **tolerance})


@pytest.mark.parametrize(("family", "size"), FAMILIES)
def test_there_is_a_row_before_the_first_layer_and_one_after_each(family, size):
    model, _, states = _made(family, size)
    networks = {"vision": model.config.networks.vision}
    if hasattr(model.config.networks, "decoder"):
        networks["language"] = model.config.networks.decoder
    assert {name: of.shape for name, of in states.items()} == {
        name: (network.depth + 1, 2, network.width) for name, network in networks.items()
    }
    assert all(of.dtype == jnp.float32 and np.isfinite(of).all() for of in states.values())


@pytest.mark.parametrize(("family", "size"), WRITERS)
def test_the_last_state_leads_to_the_model_s_own_logits(family, size):
    model, params, states = _made(family, size)
    logits = jit(lambda p, x: model.module.apply({"params": p}, x, method="logits"))(params, states["language"][-1])
    np.testing.assert_array_equal(logits, jit(model.prefill)(params, _batch(model)).logits)


@pytest.mark.parametrize(("family", "size"), FAMILIES)
@pytest.mark.parametrize("how", [{"scan": False}, {"remat": True}], ids=["unrolled", "remat"])
def test_the_way_the_layers_run_changes_nothing(family, size, how):
    _, params, states = _made(family, size)
    other = _build(family, size, **how)
    _close(states, jit(other.hidden_states)(params, _batch(other)))


@pytest.mark.parametrize(("family", "size"), FAMILIES)
def test_neither_mates_nor_padding_matter(family, size):
    _, params, states = _made(family, size)
    longer = _build(family, size, prefix_length=40)
    alone = _batch(longer, slice(1, 2))
    if "patches" in alone:  # of the smaller picture, which needs half of the places
        alone["patches"] = alone["patches"][:, : alone["grid"].prod()]
        assert alone["patches"].shape[1] < _batch(longer)["patches"].shape[1]
    _close(jit(longer.hidden_states)(params, alone), {name: of[:, 1:] for name, of in states.items()})


def test_a_row_is_the_last_of_a_network_cut_off_there():
    model, params, states = _made("paligemma", "nano")
    networks = model.config.networks
    for network, field, path in (
        ("vision", "vision", ("img", "Transformer", "encoderblock")),
        ("language", "decoder", ("llm", "layers")),
    ):
        shorter = dataclasses.replace(networks, **{field: dataclasses.replace(getattr(networks, field), depth=1)})
        cut = jax.tree_util.tree_map_with_path(
            lambda key, leaf, path=path: leaf[:1] if tuple(k.key for k in key)[: len(path)] == path else leaf, params
        )
        found = jit(_build("paligemma", "nano", shorter).hidden_states)(cut, _batch(model))
        assert len(found[network]) == 2
        np.testing.assert_allclose(found[network], states[network][:2], rtol=1e-5, atol=1e-6)


def test_before_the_layers_of_the_decoder_is_the_last_token_s_embedding():
    model, params, states = _made("paligemma", "nano")
    text = model.processor.tokenizer.encode("\n")[-1:] * 2
    embedded = model.module.apply({"params": params}, jnp.array([text]), method=lambda m, x: m.llm.embed(x))
    np.testing.assert_allclose(states["language"][0], embedded[0], rtol=1e-6)


def test_the_tower_s_last_states_are_those_that_the_decoder_reads():
    model, params, states = _made("paligemma", "nano")
    batch, pools = on_device(_batch(model)), dict.fromkeys(("vision", "language"), lambda x: x)
    tokens = hidden_states.keep(model.module, params, batch, method="read", pools=pools)["vision"]
    np.testing.assert_allclose(tokens.mean(axis=2), states["vision"], rtol=1e-5, atol=1e-6)
    tower = params["img"]
    normed = LayerNorm(1e-6).apply({"params": tower["Transformer"]["encoder_norm"]}, tokens[-1])
    projected = normed @ tower["head"]["kernel"] + tower["head"]["bias"][None, None]
    hidden = model.module.apply(
        {"params": params},
        *(projected, batch["text"], jnp.zeros_like(batch["text"]), batch["mask_input"]),
        method=lambda module, *given: module.join(*given).hidden,
    )
    last = hidden_states.at_last(hidden, batch["mask_input"])
    np.testing.assert_allclose(last, states["language"][-1], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_layers_in_groups_keep_their_order():
    """With gates closed, a Flamingo of two groups of two layers is one of four groups of one."""
    nets = dataclasses.replace(
        ModelConfig(family="flamingo", size="nano").networks,
        decoder=dataclasses.replace(ModelConfig(family="flamingo", size="nano").networks.decoder, depth=4),
    )
    pairs, singles = (_build("flamingo", "nano", dataclasses.replace(nets, interval=n)) for n in (2, 1))
    params = jit(pairs.init)(jax.random.key(0))
    groups = params["groups"]
    layers = jax.tree.map(
        lambda *of: jnp.stack(of, axis=1).reshape(4, *of[0].shape[1:]), groups["block_0"], groups["block_1"]
    )
    cross = jax.tree.map(lambda leaf: jnp.repeat(leaf, 2, axis=0), groups["cross"])
    regrouped = params | {"groups": {"cross": cross, "block_0": layers}}
    states = jit(pairs.hidden_states)(params, _batch(pairs))
    assert len(states["language"]) == 5
    _close(states, jit(singles.hidden_states)(regrouped, _batch(singles)))


@pytest.mark.slow
def test_several_images_of_an_example_are_averaged():
    model, params, _ = _made("flamingo", "nano")
    images = [np.full((32, 32, 3), shade, np.uint8) for shade in (0, 255)]
    ask = model.processor.interleaved_example
    both, *each = (ask([*shown, "Will it fall?"]) for shown in (images, images[:1], images[1:]))
    read = jit(model.hidden_states)
    vision = [read(params, {key: value[None] for key, value in of.items()})["vision"] for of in (both, *each)]
    np.testing.assert_allclose(vision[0], (vision[1] + vision[2]) / 2, rtol=1e-4, atol=1e-5)
    assert np.abs(vision[1] - vision[2]).max() > 0.01
