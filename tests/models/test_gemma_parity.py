"""PaliGemma 1 and 2 and Gemma 3 against Hugging Face transformers on tiny random weights, and back to it."""

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
    difference,
    golden,
    jit,
    rebuild,
    remake,
    rolled,
)

from vlmcog.checkpoints import hugging_face
from vlmcog.models import gemma, gemma3, image_encoder, norms, paligemma
from vlmcog.models.attention import prefix_lm_mask, window_mask
from vlmcog.models.paligemma import PaliGemmaModule

FAMILIES = {"paligemma": "paligemma", "paligemma2": "paligemma", "gemma3": "gemma3"}  # golden: family
PAD = 0


@functools.lru_cache
def _golden(name):
    return golden(FAMILIES[name], name=name)


def _difference(made, *, module=None, batch=None):
    """From the reference's logits at real tokens, whichever side it was padded on."""
    batch = batch or {key: jnp.asarray(made.arrays[key]) for key in ("image", "text", "mask_input", "mask_ar")}
    logits = compiled(module or made.model.module)(made.params, batch)
    logits = np.where(made.arrays["mask_input"][..., None], logits, 0)
    return max(difference(logits, made.arrays[f"{side}_logits"]) for side in ("left", "right"))


@pytest.mark.parametrize(("name", "scan"), [("paligemma", False), ("paligemma2", True), ("gemma3", True)])
def test_logits_equal_the_reference_s(name, scan):
    made = _golden(name)
    assert np.abs(made.arrays["left_logits"]).max() > 0.3
    assert _difference(made, module=made.model.module.clone(scan=scan)) <= TOLERANCE


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_replies_equal_the_reference_s(name):
    made = _golden(name)
    batch = _prefixes(made.arrays)
    generate = functools.partial(rolled(made.model).generate, max_tokens=32)
    replies = jit(generate)(made.params, batch)
    np.testing.assert_array_equal(replies, made.arrays["replies"])


def _prefixes(arrays):
    real = arrays["mask_input"] & (arrays["mask_ar"] == 0)
    return {"image": arrays["image"], "text": np.where(real, arrays["text"], PAD), "mask_input": real}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_the_live_reference(name, tmp_path):
    remake(name, tmp_path)
    assert _difference(golden(FAMILIES[name], tmp_path)) <= TOLERANCE


SETTINGS = {
    "no cap of attention": ("paligemma2", {"attention_cap": 0.0}),
    "no cap of logits": ("paligemma2", {"logit_cap": 0.0}),
    "scale by the head's size": ("paligemma2", {"query_scalar": 0.0}),
    "no window": ("paligemma2", {"window": 0}),
    "a window one too wide": ("paligemma2", {"window": 6}),
    "local and global swapped": ("gemma3", {"pattern": 2}),
    "no window in Gemma 3": ("gemma3", {"window": 0}),
    "no norms of queries and keys": ("gemma3", {"qk_norms": False}),
    "one wavelength": ("gemma3", {"local_wavelength": 1000.0}),
    "global positions not stretched": ("gemma3", {"stretch": 1.0}),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", SETTINGS)
def test_a_wrong_setting_shows(mistake):
    name, values = SETTINGS[mistake]
    made = _golden(name)
    wrong = rebuild(made, change(made.networks, "decoder", **values))
    assert _difference(made, module=wrong.module) > 3 * TOLERANCE


def _unscaled(embedder, tokens):
    return embedder.table[tokens]


def _interleaved(x, angles):
    """Rotates each even channel against the next, in the place of the first half against the second."""
    sin, cos = (wave(angles)[:, :, None] for wave in (jnp.sin, jnp.cos))
    even, odd = x[..., ::2], x[..., 1::2]
    sin, cos = (jnp.broadcast_to(wave, even.shape) for wave in (sin, cos))
    return jnp.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1).reshape(x.shape)


def _without_last_norm(*args, **values):
    return image_encoder.VisionTransformer(*args, final_norm=False, **values)


def _blind_beyond_the_window(module, mask_ar, valid, positions):
    everywhere = prefix_lm_mask(mask_ar, valid)
    near = window_mask(positions, positions, module.networks.decoder.window)
    return gemma.Masks(everywhere, everywhere & near)


def _causal_image(is_image, valid, positions, window):
    return _masks(jnp.zeros_like(is_image), valid, positions, window)


_masks = gemma3._masks
OF_ALL = {
    "gelu by erf": (gemma.nn, "gelu", lambda x, approximate: jax.nn.gelu(x, approximate=False)),
    "the decoder's epsilon": (gemma, "RMSNorm", functools.partial(norms.RMSNorm, epsilon=1e-5)),
    "norms not times 1 + scale": (gemma, "RMSNorm", functools.partial(norms.RMSNorm, plus_one=False)),
    "embeddings not times sqrt(d)": (gemma._Embedder, "encode", _unscaled),
    "interleaved rotation": (gemma, "rotate", _interleaved),
}
OF_ONE = {
    "no norm after the encoder": ("paligemma", paligemma, "VisionTransformer", _without_last_norm),
    "no norm after Gemma 3's encoder": ("gemma3", gemma3, "VisionTransformer", _without_last_norm),
    "a window that bounds the prefix": ("paligemma2", PaliGemmaModule, "_masks", _blind_beyond_the_window),
    "an image seen causally": ("gemma3", gemma3, "_masks", _causal_image),
}
PLANTED = OF_ONE | {f"{what} in {name}": (name, *how) for what, how in OF_ALL.items() for name in FAMILIES}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_shows(mistake, monkeypatch):
    name, *how = PLANTED[mistake]
    made = _golden(name)
    monkeypatch.setattr(*how)
    assert _difference(made, module=made.model.module.clone(scan=True)) > 3 * TOLERANCE


def _patches_by_channel(params):
    """As if the kernel of patches, [h, w, channel, d], had been flattened channel first."""
    kernel = params["img"]["embedding"]["kernel"]
    wrong = kernel.transpose(2, 0, 1, 3).reshape(kernel.shape)
    return params | {"img": params["img"] | {"embedding": params["img"]["embedding"] | {"kernel": wrong}}}


def _image_tokens_times(factor):
    def scale(params):
        head = jax.tree.map(lambda leaf: leaf * np.float32(factor), params["img"]["head"])
        return params | {"img": params["img"] | {"head": head}}

    return scale


MISREAD = {
    "patches flattened in another order": _patches_by_channel,
    "image tokens divided by sqrt(d)": _image_tokens_times(40**-0.5),
    "image tokens times sqrt(d)": _image_tokens_times(40**0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISREAD)
def test_a_misread_checkpoint_shows(mistake):
    made = _golden("paligemma")
    wrong = dataclasses.replace(made, params=MISREAD[mistake](made.params))
    assert _difference(wrong, module=made.model.module.clone(scan=True)) > 3 * TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("values", [{"epsilon": 1e-5}, {"activation": "gelu"}], ids=str)
def test_a_mistake_in_the_encoder_shows(name, values):
    made = _golden(name)
    assert _difference(made, module=rebuild(made, change(made.networks, "vision", **values)).module) > 3 * TOLERANCE


@pytest.mark.slow
def test_a_causal_prefix_shows():
    made = _golden("paligemma")
    batch = {key: jnp.asarray(made.arrays[key]) for key in ("image", "text", "mask_input")}
    causal = batch | {"mask_ar": jnp.ones_like(batch["text"])}
    assert _difference(made, module=made.model.module.clone(scan=True), batch=causal) > 3 * TOLERANCE


@pytest.mark.parametrize("name", FAMILIES)
def test_an_untouched_checkpoint_comes_back_byte_for_byte(name, tmp_path):
    assert_comes_back(_golden(name), tmp_path)


def _untied(made):
    """The golden's model with a matrix of its own for the logits, and its parameters."""
    model = rebuild(made, change(made.networks, "decoder", tied=False))
    embedding = made.params["llm"]["embedder"]["input_embedding"]
    head = np.random.default_rng(0).normal(0, 0.03, embedding.shape).astype(np.float32)
    return model, made.params | {"llm": made.params["llm"] | {"head": {"input_embedding": head}}}


def test_an_untied_head_comes_back(tmp_path):
    made = _golden("paligemma")
    model, params = _untied(made)
    hugging_face.save(tmp_path, model.hugging_face, params)
    (tmp_path / "io.safetensors").write_bytes((made.folder / "io.safetensors").read_bytes())
    back = golden("paligemma", tmp_path)
    assert not back.networks.decoder.tied
    np.testing.assert_array_equal(
        back.params["llm"]["head"]["input_embedding"], params["llm"]["head"]["input_embedding"]
    )


@pytest.mark.slow
def test_an_untied_head_gives_the_reference_s_logits(tmp_path):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    made = _golden("paligemma")
    model, params = _untied(made)
    hugging_face.save(tmp_path, model.hugging_face, params)
    theirs = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    arrays, n_image = made.arrays, 9
    image_token, real = model.hugging_face.config["image_token_index"], arrays["mask_input"]

    def whole(array, value):
        padded = np.pad(array.astype(np.int64), ((0, 0), (n_image, 0)), constant_values=value)
        return torch.tensor(padded)

    with torch.no_grad():
        logits = theirs(
            input_ids=whole(arrays["text"], image_token),
            attention_mask=whole(real, 1),
            token_type_ids=whole(arrays["mask_ar"], 0),
            pixel_values=torch.tensor(arrays["image"]).permute(0, 3, 1, 2),
        ).logits.numpy()
    batch = {key: jnp.asarray(arrays[key]) for key in ("image", "text", "mask_input", "mask_ar")}
    ours = np.asarray(compiled(model.module)(params, batch))
    assert difference(ours[real], logits[:, n_image:][real]) <= TOLERANCE
    assert difference(ours[real], arrays["right_logits"][real]) > 0.1  # the tied one's
