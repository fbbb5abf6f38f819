"""Tiny checkpoints with inputs and outputs, by `scripts/make_goldens.py`, and our models of them."""

import dataclasses
import functools
import importlib.util
import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from vlmcog.checkpoints import hugging_face, safetensors
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig

GOLDENS = pathlib.Path(__file__).parent / "goldens"
VOCABULARY = str(GOLDENS / "paligemma/tokenizer.model")  # of no more pieces than their embeddings have rows
SCRIPT = pathlib.Path(__file__).parents[1] / "scripts/make_goldens.py"
TOLERANCE = 1e-5
FAMILIES = {  # of each golden
    "paligemma": "paligemma",
    "paligemma2": "paligemma",
    "gemma3": "gemma3",
    "qwen2": "qwen",
    "qwen2_5": "qwen",
    "idefics": "flamingo",
    "siglip": "siglip",
    "clip": "clip",
}

# Compiles in a fraction of the time, and runs slower.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@dataclasses.dataclass(frozen=True)
class Golden:
    """A checkpoint with what its reference made of some inputs, and our model of it."""

    folder: pathlib.Path
    networks: Any
    model: Any
    params: Any
    arrays: dict[str, np.ndarray]


def golden(family: str, folder: pathlib.Path | None = None, *, name: str = "", **config) -> Golden:
    """Reads the golden `name` (or the one in `folder`) as a user's checkpoint is read."""
    folder = folder or GOLDENS / (name or family)
    _, image_size = registry.family(family).networks_from(hugging_face.read_config(folder))
    own = {"family": family, "size": "custom", "config_json": str(folder / hugging_face.CONFIG)}
    model_config = ModelConfig(**own, **{"image_size": image_size, "vocabulary": VOCABULARY, **config})
    networks, model = model_config.networks, registry.build(model_config)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    params = hugging_face.load(folder, model.hugging_face, shapes)
    arrays = {key: tensor.read() for key, tensor in safetensors.find(folder / "io.safetensors").items()}
    return Golden(folder, networks, model, params, arrays)


def logits(module: Any, batch: Any) -> Any:
    """Of every token, by the plain forward pass."""
    return module.logits(module.read(batch).hidden)


def compiled(module: Any) -> Any:
    """`logits` as a function of parameters and batch."""
    return jit(lambda params, batch: module.apply({"params": params}, batch, method=logits))


compiled_once = functools.lru_cache(compiled)


def rolled(model: Any) -> Any:
    """The model with its layers as one loop, which compiles faster."""
    return dataclasses.replace(model, module=model.module.clone(scan=True))


def change(networks: Any, part: str, **values: Any) -> Any:
    """The networks with other values in one of them."""
    return dataclasses.replace(networks, **{part: dataclasses.replace(getattr(networks, part), **values)})


def rebuild(made: Golden, networks: Any) -> Any:
    """The golden's model with other networks."""
    config = dataclasses.replace(made.model.config, scan=True)
    return registry.family(config.family).build(config, networks)


def remake(family: str, folder: pathlib.Path) -> None:
    """Makes the golden anew from the live reference; skips where that isn't installed."""
    pytest.importorskip("transformers")
    spec = importlib.util.spec_from_file_location("make_goldens", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.make(family, folder)


def assert_comes_back(made: Golden, folder: pathlib.Path) -> None:
    """The untouched checkpoint, written to `folder`, has the same bytes tensor by tensor and the same networks."""
    layout = made.model.hugging_face
    hugging_face.save(folder, layout, made.params)
    before, after = (
        {layout.canonical(name): tensor for name, tensor in safetensors.find(where / "model.safetensors").items()}
        for where in (made.folder, folder)
    )
    assert sorted(before) == sorted(after)
    for name, tensor in before.items():
        assert (tensor.dtype, tensor.shape) == (after[name].dtype, after[name].shape), name
        assert tensor.read().tobytes() == after[name].read().tobytes(), name
    networks, _ = registry.family(made.model.config.family).networks_from(hugging_face.read_config(folder))
    assert networks == made.networks


def difference(got: Any, wanted: np.ndarray) -> float:
    """The largest absolute difference."""
    return float(np.abs(np.asarray(got, np.float64) - wanted).max())


def their_model(name: str, folder: pathlib.Path) -> Any:
    """The golden's model in transformers, from what is in a folder; skips where that isn't installed."""
    transformers = pytest.importorskip("transformers")
    auto = transformers.AutoModel if name in ("clip", "siglip") else transformers.AutoModelForImageTextToText
    model, told = auto.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()), told
    if name == "clip":  # a tokenizer's business, which a checkpoint without one doesn't know
        model.text_model.eos_token_id = 3
    return model.eval()


def their_logits(name: str, model: Any, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """What such a model, or one around it, makes of the golden's inputs, padded on the right."""
    import torch  # pyright: ignore[reportMissingImports]

    with torch.no_grad():
        outputs = model.eval()(**_their_inputs(torch, name, arrays))
    return (outputs.logits_per_image if "logits_per_image" in outputs else outputs.logits).numpy()


def _their_inputs(torch: Any, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
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
