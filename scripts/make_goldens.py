"""Makes the tiny checkpoints, with inputs and outputs, that the tests hold every family's numbers against.

    python scripts/make_goldens.py [--out tests/goldens] [FAMILY ...]

Needs torch and transformers, whose models it builds from tiny configs, with random weights: large enough, and small
before the first norm, that a wrong activation, epsilon, mask or rotation shows. Each family's folder gets what
transformers saves, `config.json` and `model.safetensors`, and `io.safetensors` with inputs and outputs by name.
"""

import argparse
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import safetensors.numpy  # pyright: ignore[reportMissingImports]
import torch  # pyright: ignore[reportMissingImports]
import transformers  # pyright: ignore[reportMissingImports]

from vlmcog import command_line

Arrays = dict[str, np.ndarray]
ENCODER: dict[str, Any] = {"intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=sorted(FAMILIES), help="default: all")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/goldens"), help="default: %(default)s")
    args = parser.parse_args(argv)
    for family in args.families:
        print(family, {name: array.shape for name, array in make(family, args.out / family).items()})


def make(family: str, folder: pathlib.Path) -> Arrays:
    """Makes a family's folder; returns the inputs and outputs."""
    torch.manual_seed(0)
    model, run = FAMILIES[family]()
    model = model.eval().float()
    randomise(model)
    with torch.no_grad():
        arrays = {name: np.ascontiguousarray(array) for name, array in run(model, np.random.default_rng(0)).items()}
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    safetensors.numpy.save_file(arrays, folder / "io.safetensors")
    return arrays


def randomise(model: torch.nn.Module) -> None:
    """Weights as large as keeps activations of order one; embeddings so small that the first norm feels its epsilon."""
    from_one = {f"{name}.weight" for name, module in model.named_modules() if _multiplies_by_one_more(module)}
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape)
        if name == "logit_scale":
            noise = torch.full(parameter.shape, 4.0)
        elif any(part in name for part in ("norm", "layrnorm")):
            noise = 0.3 * noise if "bias" in name or name in from_one else 1 + 0.3 * noise
        elif "alpha" in name:
            noise = 2 * noise
        elif any(part in name for part in ("embed", "probe", "latents")) and "norm" not in name:
            noise = 0.03 * noise
        elif parameter.ndim >= 2:
            noise = noise * parameter[0].numel() ** -0.5 * (0.5 if name == "lm_head.weight" else 1.3)
        parameter.data.copy_(noise * 0.5 if parameter.ndim < 2 and "norm" not in name else noise)


def _multiplies_by_one_more(module: torch.nn.Module) -> bool:
    """Whether it is one of Gemma's norms, whose factor is one more than its weight."""
    kind = type(module).__name__
    return kind.startswith("Gemma") and kind.endswith("RMSNorm")


def siglip() -> tuple[torch.nn.Module, Callable[..., Arrays]]:
    config = transformers.SiglipConfig(
        text_config={
            "hidden_size": 24,
            "vocab_size": 480,
            "max_position_embeddings": 9,
            "projection_size": 32,
            **ENCODER,
        },
        vision_config={"hidden_size": 32, "image_size": 24, "patch_size": 8, **ENCODER},
    )
    return transformers.SiglipModel(config), compare


def clip() -> tuple[torch.nn.Module, Callable[..., Arrays]]:
    config = transformers.CLIPConfig(
        text_config={"hidden_size": 24, "vocab_size": 480, "max_position_embeddings": 9, "eos_token_id": 3, **ENCODER},
        vision_config={"hidden_size": 32, "image_size": 24, "patch_size": 8, **ENCODER},
        projection_dim=20,
    )
    return transformers.CLIPModel(config), compare


def compare(model: Any, rng: np.random.Generator) -> Arrays:
    """Two images beside three sentences that end at different places, and go on after their end-of-text, id 3."""
    image = rng.uniform(-1, 1, (2, 24, 24, 3)).astype(np.float32)
    text = rng.integers(4, 480, (3, 9))
    text[0, 4], text[1, 8], text[2, [5, 7]] = 3, 3, 3
    out = model(input_ids=torch.tensor(text), pixel_values=torch.tensor(image).permute(0, 3, 1, 2))
    logits = out.logits_per_image
    return {"image": image, "text": text.astype(np.int32), "logits": logits.numpy()} | {
        name: out[f"{name}s"].numpy() for name in ("image_embed", "text_embed")
    }


def qwen2() -> tuple[torch.nn.Module, Callable[..., Arrays]]:
    config = transformers.Qwen2VLConfig(
        text_config=QWEN_TEXT,
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 40,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 4,
        },
        **QWEN_MARKS,
    )
    return transformers.Qwen2VLForConditionalGeneration(config), see


def qwen2_5() -> tuple[torch.nn.Module, Callable[..., Arrays]]:
    config = transformers.Qwen2_5_VLConfig(
        text_config=QWEN_TEXT | {"tie_word_embeddings": True},
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "out_hidden_size": 40,
            "num_heads": 2,
            "intermediate_size": 48,
            "patch_size": 4,
            "window_size": 16,
            "fullatt_block_indexes": [1],
        },
        tie_word_embeddings=True,
        **QWEN_MARKS,
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config), see


QWEN_TEXT: dict[str, Any] = {
    "hidden_size": 40,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "num_key_value_heads": 1,
    "vocab_size": 480,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_theta": 100.0, "rope_type": "default", "mrope_section": [1, 2, 1]},
}
QWEN_MARKS = {"image_token_id": 470, "video_token_id": 471, "vision_start_token_id": 472, "vision_end_token_id": 473}
REPLY = 32  # tokens
GRIDS = ((6, 4), (4, 8))  # rows and columns of patches


def see(model: Any, rng: np.random.Generator) -> Arrays:
    """Two images of other shapes in texts of other lengths, padded on the right and on the left."""
    patches = [rng.uniform(-1, 1, (rows * columns, 96)).astype(np.float32) for rows, columns in GRIDS]
    texts = [[*a, 472, *[470] * (rows * columns // 4), 473, *b] for (rows, columns), a, b in _around(rng)]
    arrays: Arrays = {"grid": np.array(GRIDS, np.int32)}
    most = max(map(len, patches))
    arrays["patches"] = np.stack([np.pad(patch, ((0, most - len(patch)), (0, 0))) for patch in patches])
    for side in ("right", "left"):
        ids, mask = _padded(texts, side)
        inputs = {
            "input_ids": torch.tensor(ids).long(),
            "attention_mask": torch.tensor(mask).long(),
            "mm_token_type_ids": torch.tensor((ids == 470).astype(np.int32)),
            "pixel_values": torch.tensor(np.concatenate(patches)),
            "image_grid_thw": torch.tensor([[1, rows, columns] for rows, columns in GRIDS]),
        }
        arrays |= {f"{side}_text": ids, f"{side}_mask": mask, f"{side}_logits": model(**inputs).logits.numpy()}
    replies = model.generate(**inputs, max_new_tokens=REPLY, do_sample=False, eos_token_id=479, pad_token_id=0)
    return arrays | {"replies": replies[:, ids.shape[1] :].numpy().astype(np.int32)}


def _padded(texts: list[list[int]], side: str) -> tuple[np.ndarray, np.ndarray]:
    length = max(map(len, texts)) + 2
    ids, mask = np.zeros((len(texts), length), np.int32), np.zeros((len(texts), length), bool)
    for row, text in enumerate(texts):
        where = slice(len(text)) if side == "right" else slice(length - len(text), length)
        ids[row, where], mask[row, where] = text, True
    return ids, mask


def _around(rng: np.random.Generator) -> list[tuple[tuple[int, int], list[int], list[int]]]:
    texts = [rng.integers(4, 460, count).tolist() for count in (3, 4, 2, 6)]
    return list(zip(GRIDS, texts[::2], texts[1::2], strict=True))


def idefics() -> tuple[torch.nn.Module, Callable[..., Arrays]]:
    config = transformers.IdeficsConfig(
        vocab_size=480,
        additional_vocab_size=2,
        hidden_size=30,
        intermediate_size=24,
        num_hidden_layers=4,
        num_attention_heads=5,
        cross_layer_interval=2,
        qk_layer_norms=True,
        use_resampler=True,
        alpha_type="vector",
        alpha_initializer="ones",
        vision_config={"embed_dim": 32, "image_size": 16, "patch_size": 8, **ENCODER},
        perceiver_config={
            "use_resampler": True,
            "resampler_n_latents": 3,
            "resampler_depth": 2,
            "resampler_n_heads": 2,
            "resampler_head_dim": 12,
            "qk_layer_norms_perceiver": True,
        },
    )
    return transformers.IdeficsForVisionText2Text(config), look


def look(model: Any, rng: np.random.Generator) -> Arrays:
    """Texts with two images each, and words before the first, padded on the right and on the left."""
    image = rng.uniform(-1, 1, (2, 2, 16, 16, 3)).astype(np.float32)
    texts = [[1, 9, 480, 481, 480, 33, 71, 480, 481, 480, 8], [1, 480, 481, 480, 7, 55, 12, 480, 481, 480, 90, 14, 77]]
    arrays: Arrays = {"image": image}
    for side in ("right", "left"):
        ids, mask = _padded(texts, side)
        inputs = {
            "input_ids": torch.tensor(ids).long(),
            "attention_mask": torch.tensor(mask).long(),
            "pixel_values": torch.tensor(image).permute(0, 1, 4, 2, 3),
            "image_attention_mask": _looks_at(ids),
        }
        arrays |= {f"{side}_text": ids, f"{side}_mask": mask, f"{side}_logits": model(**inputs).logits.numpy()}
    # transformers' own generation hands the last token's image mask on; here it is spelt out, without its cache.
    for _ in range(REPLY):
        token = model(**inputs).logits[:, -1].argmax(-1)[:, None]
        inputs["input_ids"] = torch.cat([inputs["input_ids"], token], dim=1)
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(token)], dim=1)
        last = inputs["image_attention_mask"][:, -1:]
        inputs["image_attention_mask"] = torch.cat([inputs["image_attention_mask"], last], dim=1)
    return arrays | {"replies": inputs["input_ids"][:, ids.shape[1] :].numpy().astype(np.int32)}


def _looks_at(ids: np.ndarray) -> torch.Tensor:
    """One-hot of the latest image at each token, as transformers' processor makes it."""
    place = (ids == 481).cumsum(axis=-1) - 1
    return torch.tensor((place[..., None] == np.arange(2)).astype(np.int64))


SIGLIP: dict[str, Any] = {"hidden_size": 32, "image_size": 24, "patch_size": 8, "vision_use_head": False, **ENCODER}
GEMMA: dict[str, Any] = {
    "hidden_size": 40,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 480,
}
IMAGE_TOKEN = 478


def paligemma() -> tuple[torch.nn.Module, Callable[..., Arrays]]:
    return _paligemma(GEMMA | {"model_type": "gemma", "num_key_value_heads": 1}), read


def paligemma2() -> tuple[torch.nn.Module, Callable[..., Arrays]]:
    caps = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 1.0}
    return _paligemma(GEMMA | caps | {"model_type": "gemma2", "query_pre_attn_scalar": 24, "sliding_window": 5}), read


def _paligemma(text_config: dict[str, Any]) -> torch.nn.Module:
    config = transformers.PaliGemmaConfig(
        text_config=text_config,
        vision_config=SIGLIP | {"model_type": "siglip_vision_model"},
        image_token_index=IMAGE_TOKEN,
        projection_dim=GEMMA["hidden_size"],
        hidden_size=GEMMA["hidden_size"],
    )
    return transformers.PaliGemmaForConditionalGeneration(config)


def gemma3() -> tuple[torch.nn.Module, Callable[..., Arrays]]:
    ropes = {
        "full_attention": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 8.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
    }
    text_config = GEMMA | {"num_hidden_layers": 3, "query_pre_attn_scalar": 24, "sliding_window": 5}
    config = transformers.Gemma3Config(
        text_config=text_config | {"rope_parameters": ropes, "sliding_window_pattern": 3},
        vision_config=SIGLIP | {"patch_size": 4},
        mm_tokens_per_image=9,
        image_token_index=IMAGE_TOKEN,
        boi_token_index=476,
        eoi_token_index=477,
    )
    return transformers.Gemma3ForConditionalGeneration(config), read


def read(model: Any, rng: np.random.Generator) -> Arrays:
    """Two images with questions and answers of other lengths, padded on the right and on the left, and replies to them.

    PaliGemma's image tokens come first and are no part of `text`; Gemma 3's stand among the words. The mask of the
    reference depends on token_type_ids, which are therefore always given.
    """
    first = model.config.model_type == "paligemma"
    image = rng.uniform(-1, 1, (2, 24, 24, 3)).astype(np.float32)
    marks = [IMAGE_TOKEN] * 9
    questions = [[2, *rng.integers(4, 470, count).tolist()] for count in (8, 5)]
    answers = [rng.integers(4, 470, count).tolist() for count in (4, 6)]
    prefixes = [[*marks, *q] if first else [*q[:3], 476, *marks, 477, *q[3:]] for q in questions]
    arrays: Arrays = {"image": image}
    for side in ("right", "left"):
        texts = [[*prefix, *answer] for prefix, answer in zip(prefixes, answers, strict=True)]
        given = _inputs(texts, list(map(len, prefixes)), image, side, first=first)
        logits = model(**given).logits.numpy()
        real = given["attention_mask"].numpy().astype(bool)
        n_image = len(marks) if first else 0
        arrays |= {f"{side}_logits": _gather(logits, real, n_image)}
        arrays["text"] = _gather(given["input_ids"].numpy().astype(np.int32), real, n_image)
        arrays["mask_input"] = _gather(real, real, n_image)
        arrays["mask_ar"] = _gather(_in_answer(texts, prefixes, side).astype(np.int32), real, n_image)
    given = _inputs(prefixes, list(map(len, prefixes)), image, "left", first=first)
    replies = model.generate(**given, max_new_tokens=32, do_sample=False, eos_token_id=1, pad_token_id=0)
    return arrays | {"replies": replies[:, given["input_ids"].shape[1] :].numpy().astype(np.int32)}


def _inputs(
    texts: list[list[int]], n_prefix: list[int], image: np.ndarray, side: str, *, first: bool
) -> dict[str, Any]:
    length = max(map(len, texts))
    pad = [(0, length - len(t)) if side == "right" else (length - len(t), 0) for t in texts]
    ids = np.stack([np.pad(t, p) for t, p in zip(texts, pad, strict=True)])
    mask = np.stack([np.pad(np.ones(len(t), int), p) for t, p in zip(texts, pad, strict=True)])
    in_answer = _in_answer(texts, [t[:n] for t, n in zip(texts, n_prefix, strict=True)], side)
    types = in_answer if first else ids == IMAGE_TOKEN
    return {
        "input_ids": torch.tensor(ids).long(),
        "attention_mask": torch.tensor(mask).long(),
        "token_type_ids": torch.tensor(types).long(),
        "pixel_values": torch.tensor(image).permute(0, 3, 1, 2),
    }


def _in_answer(texts: list[list[int]], prefixes: list[list[int]], side: str) -> np.ndarray:
    length = max(map(len, texts))
    where = np.zeros((len(texts), length), bool)
    for row, (text, prefix) in enumerate(zip(texts, prefixes, strict=True)):
        start = 0 if side == "right" else length - len(text)
        where[row, start + len(prefix) : start + len(text)] = True
    return where


def _gather(array: np.ndarray, real: np.ndarray, n_image: int) -> np.ndarray:
    """The real tokens after the image's, at the left, zeros after them."""
    gathered = np.zeros_like(array)
    for row, where in enumerate(real):
        gathered[row, : where.sum()] = array[row, where]
    return gathered[:, n_image:]


FAMILIES: dict[str, Callable[[], tuple[torch.nn.Module, Callable[..., Arrays]]]] = {
    "paligemma": paligemma,
    "paligemma2": paligemma2,
    "gemma3": gemma3,
    "siglip": siglip,
    "clip": clip,
    "idefics": idefics,
    "qwen2": qwen2,
    "qwen2_5": qwen2_5,
}


if __name__ == "__main__":
    command_line.run(main)
