"""Times scoring of options that share an image and a question, against scoring each by itself; prints a table a size.

    python scripts/benchmark_scoring.py [--options 8] [--repeats 7] [--sizes tiny small]

The models are PaliGemmas with 256 image tokens and random weights. Where torch and transformers are installed, the same
weights are scored by transformers too, option by option, on as many threads.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vlmcog import command_line
from vlmcog.checkpoints import hugging_face
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig, VisionConfig
from vlmcog.models.gemma import GemmaConfig
from vlmcog.models.paligemma import PaliGemmaNetworks

SIZES = {
    "tiny": PaliGemmaNetworks(
        VisionConfig(width=192, depth=4, mlp_dim=768, num_heads=4, patch_size=14),
        GemmaConfig(width=256, depth=6, mlp_dim=1024, num_heads=4, num_kv_heads=1, head_dim=64),
        vocabulary_size=8192,
    ),
    "small": PaliGemmaNetworks(
        VisionConfig(width=384, depth=12, mlp_dim=1536, num_heads=6, patch_size=14),
        GemmaConfig(width=512, depth=12, mlp_dim=2048, num_heads=8, num_kv_heads=1, head_dim=64),
        vocabulary_size=8192,
    ),
}
SIDE = 224  # 256 image tokens
QUESTION = "Will this block tower fall?"


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--options", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="default: all")
    args = parser.parse_args(argv)
    for size in args.sizes:
        model = registry.family("paligemma").build(ModelConfig(size="nano", image_size=SIDE), SIZES[size])
        params = jax.jit(model.init)(jax.random.key(0))
        print(f"{size}: {sum(leaf.size for leaf in jax.tree.leaves(params)):,} parameters")
        _print_table(_ways(model, params, [str(number) for number in range(args.options)]), args.repeats)


def _ways(model: Any, params: Any, options: list[str]) -> dict[str, Callable[[], np.ndarray]]:
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    ways = {
        "one prefix, options side by side": _shared(model, params, image, options),
        "a full forward pass an option": _full(model, params, image, options),
    }
    reference = _reference(model, params, image, options)
    return ways if reference is None else ways | {"transformers, an option at a time": reference}


def _shared(model: Any, params: Any, image: np.ndarray, options: list[str]) -> Callable[[], np.ndarray]:
    score = jax.jit(model.score)
    example = model.processor.score_example(image, QUESTION, options)
    batch = {key: jnp.asarray(value)[None] for key, value in example.items()}
    return lambda: np.asarray(score(params, batch))[0]


def _full(model: Any, params: Any, image: np.ndarray, options: list[str]) -> Callable[[], np.ndarray]:
    score = jax.jit(lambda params, batch: -model.loss(params, batch)[0] * batch["mask_loss"].sum().astype(jnp.float32))
    examples = [model.processor.train_example(image, QUESTION, option) for option in options]
    batches = [{key: jnp.asarray(value)[None] for key, value in example.items()} for example in examples]
    return lambda: np.array([score(params, batch) for batch in batches])


def _reference(model: Any, params: Any, image: np.ndarray, options: list[str]) -> Callable[[], np.ndarray] | None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import torch  # pyright: ignore[reportMissingImports]
        import transformers  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        hugging_face.save(folder, model.hugging_face, params)
        theirs = transformers.PaliGemmaForConditionalGeneration.from_pretrained(folder).eval()
    inputs = [_their_inputs(torch, model, image, option) for option in options]

    def score() -> np.ndarray:
        scores = []
        with torch.no_grad():
            for given, n_answer in inputs:
                logits = theirs(**given, logits_to_keep=n_answer + 1).logits[0, :-1]
                answer = given["input_ids"][0, -n_answer:]
                scores.append(float(logits.log_softmax(-1).gather(1, answer[:, None]).sum()))
        return np.array(scores)

    return score


def _their_inputs(torch: Any, model: Any, image: np.ndarray, option: str) -> tuple[dict[str, Any], int]:
    processor, config = model.processor, model.hugging_face.config
    prefix, suffix = processor.prefix(QUESTION), processor.suffix(option)
    marks = [config["image_token_index"]] * config["text_config"]["num_image_tokens"]
    ids = torch.tensor([[*marks, *prefix, *suffix]])
    types = torch.tensor([[0] * (len(marks) + len(prefix)) + [1] * len(suffix)])
    pixels = torch.tensor(processor.image(image)).permute(2, 0, 1)[None]
    given = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": types,
        "pixel_values": pixels,
    }
    return given, len(suffix)


def _print_table(ways: dict[str, Callable[[], np.ndarray]], repeats: int) -> None:
    """Medians of interleaved runs, after one that compiles."""
    scores = {name: score() for name, score in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, score in ways.items():
            start = time.perf_counter()
            score()
            times[name].append(time.perf_counter() - start)
    first = next(iter(ways))
    best = {name: statistics.median(each) for name, each in times.items()}
    print(f"{'way':36} {'ms':>8} {'shared / this':>14} {'largest P':>10} {'max |difference of P|':>22}")
    for name in ways:
        chances = _softmax(scores[name])
        apart = np.abs(chances - _softmax(scores[first])).max()
        ratio = best[first] / best[name]
        print(f"{name:36} {1e3 * best[name]:8.1f} {ratio:14.3f} {chances.max():10.4f} {apart:22.1e}")


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


if __name__ == "__main__":
    command_line.run(main)
