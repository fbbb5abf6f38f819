"""Lists the names and shapes of public checkpoints' tensors, which the tests hold every real size against.

    python scripts/list_public_tensors.py [--out tests/public_tensors] [FAMILY ...]

Needs torch and transformers, whose models it builds from the public configs (written out here, not taken from vlmcog)
without memory for their weights. A line is a name, its layers as a range, and a shape.
"""

import argparse
import collections
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

from vlmcog import command_line


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=sorted(CONFIGS), help="default: all")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/public_tensors"), help="%(default)s")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for family in args.families:
        kind, names, sizes = CONFIGS[family]
        parts = [f"# {size}\n" + table(_tensors(kind, names, config)) for size, config in sizes.items()]
        (args.out / f"{family}.txt").write_text("\n".join(parts))


def table(tensors: Mapping[str, Sequence[int]]) -> str:
    """A line for each name and shape; layers that are alike share one: `layers.{0..11}.norm.weight [64]`."""
    layers: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for name, shape in tensors.items():
        found = re.search(r"\.(\d+)\.", name)
        general = name if found is None else f"{name[: found.start(1)]}{{}}{name[found.end(1) :]}"
        layers[general, str(list(shape))] += [int(found.group(1))] if found else []
    lines = [f"{name.replace('{}', _range(sorted(numbers)))} {shape}" for (name, shape), numbers in layers.items()]
    return "\n".join(sorted(lines)) + "\n"


def _range(numbers: list[int]) -> str:
    whole = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{{{numbers[0]}..{numbers[-1]}}}" if whole else ",".join(map(str, numbers))


def _tensors(kind: str, renames: Iterable[tuple[str, str]], config: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    """What a checkpoint holds: no copies that are tied, under the names of the public files."""
    import torch  # pyright: ignore[reportMissingImports]
    import transformers  # pyright: ignore[reportMissingImports]

    made = transformers.AutoConfig.for_model(kind, **config)
    architecture = {"siglip": "SiglipModel", "clip": "CLIPModel", "idefics": "IdeficsForVisionText2Text"}
    with torch.device("meta"):
        name = architecture.get(kind)
        model = (
            getattr(transformers, name)(made) if name else transformers.AutoModelForImageTextToText.from_config(made)
        )
    model.tie_weights()
    shapes = {}
    for key, parameter in model.named_parameters():  # a tied one comes once
        for pattern, replacement in renames:
            key = re.sub(pattern, replacement, key)
        shapes[key] = tuple(parameter.shape)
    return shapes


def _siglip(vision: Sequence[int], text: Sequence[int], patch: int, image: int, rows: int) -> dict[str, Any]:
    keys = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads")
    return {
        "vision_config": dict(zip(keys, vision, strict=True)) | {"patch_size": patch, "image_size": image},
        "text_config": dict(zip(keys, text, strict=True)) | {"vocab_size": rows, "projection_size": vision[0]},
    }


def _clip(vision: Sequence[int], text: Sequence[int], patch: int, projection: int) -> dict[str, Any]:
    config = _siglip(vision, text, patch, 224, 49_408)
    return config | {"projection_dim": projection}


def _qwen(text: Sequence[int], rows: int, vision: dict[str, Any], *, tied: bool = False) -> dict[str, Any]:
    keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    config = dict(zip(keys, text, strict=True)) | {"vocab_size": rows, "tie_word_embeddings": tied}
    return {"text_config": config, "vision_config": vision, "tie_word_embeddings": tied}


_BASE, _LARGE = (768, 12, 3072, 12), (1024, 24, 4096, 16)
_SO400M, _GIANT = (1152, 27, 4304, 16), (1536, 40, 6144, 16)
_QWEN_NAMES = ((r"^model\.visual\.", "visual."), (r"^model\.language_model\.", "model."))


def _first(width: int) -> dict[str, Any]:
    return {"embed_dim": 1280, "depth": 32, "num_heads": 16, "hidden_size": width}


def _second(width: int, mlp: int = 3420) -> dict[str, Any]:
    return {"hidden_size": 1280, "depth": 32, "num_heads": 16, "intermediate_size": mlp, "out_hidden_size": width}


_GEMMA_NAMES = (
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.", ""),
    (r"^vision_tower\.", "vision_tower.vision_model."),
)


def _gemma(kind: str, text: Sequence[int], rows: int, image: int, **other: Any) -> dict[str, Any]:
    keys = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads")
    sizes = dict(zip((*keys, "num_key_value_heads", "head_dim"), text, strict=True))
    vision = {"model_type": "siglip_vision_model", "patch_size": 14, "image_size": image, "vision_use_head": False}
    vision |= dict(zip(keys, _SO400M, strict=True))
    return {"text_config": sizes | {"model_type": kind, "vocab_size": rows}, "vision_config": vision} | other


def _paligemma(kind: str, text: Sequence[int], image: int) -> dict[str, Any]:
    return _gemma(kind, text, 257_216, image, projection_dim=text[0], image_token_index=257_152)


_2B, _9B, _27B = (2304, 26, 9216, 8, 4, 256), (3584, 42, 14_336, 16, 8, 256), (4608, 46, 36_864, 32, 16, 128)

CONFIGS: dict[str, tuple[str, tuple[tuple[str, str], ...], dict[str, dict[str, Any]]]] = {
    "paligemma": (
        "paligemma",
        _GEMMA_NAMES,
        {f"3b {side}": _paligemma("gemma", (2048, 18, 16_384, 8, 1, 256), side) for side in (224, 448, 896)}
        | {
            "2-3b 224": _paligemma("gemma2", _2B, 224),
            "2-10b 448": _paligemma("gemma2", _9B, 448),
            "2-28b 896": _paligemma("gemma2", _27B, 896),
        },
    ),
    "gemma3": (
        "gemma3",
        _GEMMA_NAMES,
        {
            "4b 896": _gemma("gemma3_text", (2560, 34, 10_240, 8, 4, 256), 262_208, 896),
            "12b 896": _gemma("gemma3_text", (3840, 48, 15_360, 16, 8, 256), 262_208, 896),
            "27b 896": _gemma("gemma3_text", (5376, 62, 21_504, 32, 16, 128), 262_208, 896),
        },
    ),
    "siglip": (
        "siglip",
        (),
        {
            "base-16 224": _siglip(_BASE, _BASE, 16, 224, 32_000),
            "large-16 256": _siglip(_LARGE, _LARGE, 16, 256, 32_000),
            "so400m-14 384": _siglip(_SO400M, _SO400M, 14, 384, 32_000),
            "2-base-16 224": _siglip(_BASE, _BASE, 16, 224, 256_000),
            "2-base-32 256": _siglip(_BASE, _BASE, 32, 256, 256_000),
            "2-large-16 256": _siglip(_LARGE, _LARGE, 16, 256, 256_000),
            "2-so400m-14 224": _siglip(_SO400M, _SO400M, 14, 224, 256_000),
            "2-so400m-16 256": _siglip(_SO400M, _SO400M, 16, 256, 256_000),
            "2-giant-16 256": _siglip(_GIANT, _SO400M, 16, 256, 256_000),
        },
    ),
    "clip": (
        "clip",
        (),
        {
            "base-32 224": _clip(_BASE, (512, 12, 2048, 8), 32, 512),
            "base-16 224": _clip(_BASE, (512, 12, 2048, 8), 16, 512),
            "large-14 224": _clip(_LARGE, (768, 12, 3072, 12), 14, 768),
            "huge-14 224": _clip((1280, 32, 5120, 16), (1024, 24, 4096, 16), 14, 1024),
        },
    ),
    "flamingo": (
        "idefics",
        (),
        {
            "9b 224": {
                "additional_vocab_size": 2,
                "cross_layer_interval": 4,
                "qk_layer_norms": True,
                "use_resampler": True,
                "vision_config": {"embed_dim": 1280},
                "perceiver_config": {"use_resampler": True, "qk_layer_norms_perceiver": True},
            }
        },
    ),
    "qwen-2": (
        "qwen2_vl",
        _QWEN_NAMES,
        {
            "2-2b 448": _qwen((1536, 8960, 28, 12, 2), 151_936, _first(1536), tied=True),
            "2-7b 448": _qwen((3584, 18_944, 28, 28, 4), 152_064, _first(3584)),
            "2-72b 448": _qwen((8192, 29_568, 80, 64, 8), 152_064, _first(8192)),
        },
    ),
    "qwen-2.5": (
        "qwen2_5_vl",
        _QWEN_NAMES,
        {
            "2.5-3b 448": _qwen((2048, 11_008, 36, 16, 2), 151_936, _second(2048), tied=True),
            "2.5-7b 448": _qwen((3584, 18_944, 28, 28, 4), 152_064, _second(3584)),
            "2.5-32b 448": _qwen((5120, 27_648, 64, 40, 8), 152_064, _second(5120, 3456)),
            "2.5-72b 448": _qwen((8192, 29_568, 80, 64, 8), 152_064, _second(8192, 3456)),
        },
    ),
}


if __name__ == "__main__":
    command_line.run(main)
