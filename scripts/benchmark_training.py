"""Times steps of fine-tuning beside transformers and peft in torch; prints a table of time and memory.

    PYTHONPATH=. python scripts/benchmark_training.py [--turns 3] [--rows full lora full-bf16 lora-bf16] [--parts 1 4]

Both train the same PaliGemma (an image tower of 12 layers of 384 for 256 image tokens, a decoder of 8 layers of 512, a
vocabulary of 32,000) from the same file of random weights on the same batch of 8 images and 32 tokens of text, all of
its parameters or adapters of rank 16 on every matrix of tower and decoder, by AdamW with the gradient clipped at a norm
of 1. Each is a process of its own, told in turn to take three steps, so that what slows this machine slows both. The
first of the three is not counted: memory that a side has freed may be taken from a virtual machine while it waits, and
comes back slowly, which happens in no run of one's own. The first losses must agree. `bf16` rows compute in bfloat16 on
float32 parameters: ours as a config asks for it, theirs by autocast. In parts, gradients are added up: ours by
`optimizer.accumulate`, theirs by a backward pass each.

Needs torch, transformers and peft beside this package.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vlmcog import command_line
from vlmcog.errors import UserError

TEXT = {"prefix_length": 26, "suffix_length": 6}
VOCABULARY = 32_000
RANK = 16
STEPS_A_TURN = 3
ROWS = ("full", "lora", "full-bf16", "lora-bf16")
LARGEST_DIFFERENCE = {False: 1e-4, True: 5e-2}  # of first losses, in float32 and in bfloat16

ENVIRONMENT = {"ours": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, "theirs": {}}  # ours as `vlmcog.train` sets it

Step = Callable[[], float]  # takes a step; returns the loss before it


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of each side (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="of each side (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="(default: all)")
    parser.add_argument("--parts", nargs="+", type=int, default=(1, 4), help="of a batch, for each row (default: 1 4)")
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.side:
        _serve(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        _write_checkpoint(folder)
        print("| row | parts | ours, ms | theirs, ms | theirs / ours | ours, GiB | theirs, GiB | losses apart by |")
        print("|---|---|---|---|---|---|---|---|")
        for row, parts in itertools.product(args.rows, args.parts):
            print(_measure(row, parts, folder, args), flush=True)


def _measure(row: str, parts: int, folder: str, args: argparse.Namespace) -> str:
    with contextlib.ExitStack() as stack:
        sides = {side: stack.enter_context(_Side(side, row, parts, folder, args)) for side in ("ours", "theirs")}
        first = {side: process.step() for side, process in sides.items()}
        apart = abs(first["ours"]["loss"] - first["theirs"]["loss"])
        if not apart <= LARGEST_DIFFERENCE["bf16" in row]:
            raise UserError(f"row {row}: the first losses are {first}; they are to train the same model")
        steps: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for _ in range(args.turns):
            for side, process in sides.items():
                steps[side] += [process.step() for _ in range(STEPS_A_TURN)][1:]
    times = {side: statistics.median(step["ms"] for step in steps[side]) for side in sides}
    peaks = [steps[side][-1]["gib"] for side in sides]
    ratio = times["theirs"] / times["ours"]
    cells = [row, str(parts), *(f"{ms:.0f}" for ms in times.values()), f"{ratio:.2f}", *(f"{gib:.2f}" for gib in peaks)]
    return f"| {' | '.join(cells)} | {apart:.1e} |"


class _Side:
    """A process that takes a step whenever it is told to."""

    def __init__(self, side: str, row: str, parts: int, folder: str, args: argparse.Namespace) -> None:
        options = ["--side", side, "--rows", row, "--parts", str(parts), "--folder", folder]
        options += ["--threads", str(args.threads), "--batch_size", str(args.batch_size)]
        command = [sys.executable, __file__, *options]
        self.process = subprocess.Popen(
            command, env=os.environ | ENVIRONMENT[side], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def step(self) -> dict[str, float]:
        assert self.process.stdin
        assert self.process.stdout
        with contextlib.suppress(BrokenPipeError):
            print(file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise UserError(f"a side ended with status {self.process.wait()}; its words are above")
        return json.loads(answer)

    def __enter__(self) -> "_Side":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()


def _serve(args: argparse.Namespace) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    step = {"ours": _ours, "theirs": _theirs}[args.side](args)
    for _ in sys.stdin:
        start = time.perf_counter()
        loss = step()
        took = time.perf_counter() - start
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"loss": loss, "ms": 1e3 * took, "gib": gib}), flush=True)


def _batch(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Pixels, questions and answers, full length, so that neither side pads."""
    rng = np.random.default_rng(0)
    lengths = {"prefix": TEXT["prefix_length"], "suffix": TEXT["suffix_length"]}
    words = {name: rng.integers(10, VOCABULARY - 10, (args.batch_size, length)) for name, length in lengths.items()}
    return {"image": rng.uniform(-1, 1, (args.batch_size, 224, 224, 3)).astype(np.float32), **words}


def _config(args: argparse.Namespace) -> Any:
    from vlmcog.training.config import from_config_dict

    row, parts = args.rows[0], args.parts[0]
    adapters = {"rank": RANK, "alpha": 2.0 * RANK}
    adamw = {"method": "adamw", "learning_rate": 1e-4, "beta2": 0.999, "clip_norm": 1.0}
    return from_config_dict(
        {
            "model": {
                "size": "custom",
                "config_json": str(pathlib.Path(args.folder) / "config.json"),
                "image_size": 224,
                "compute_dtype": "bfloat16" if "bf16" in row else "float32",
                **TEXT,
            },
            "data": {"batch_size": args.batch_size},
            "optimizer": {**adamw, "accumulate": parts},
            "schedule": {"warmup_steps": 0, "decay": "constant"},
            "lora": {"vision": adapters, "language": adapters} if "lora" in row else {},
        }
    )


def _write_checkpoint(folder: str) -> None:
    import jax

    from vlmcog.checkpoints import hugging_face
    from vlmcog.models import registry
    from vlmcog.models.config import ModelConfig, VisionConfig
    from vlmcog.models.gemma import GemmaConfig
    from vlmcog.models.paligemma import PaliGemmaNetworks

    networks = PaliGemmaNetworks(
        VisionConfig(width=384, depth=12, mlp_dim=1536, num_heads=6, patch_size=14),
        GemmaConfig(width=512, depth=8, mlp_dim=2048, num_heads=8, num_kv_heads=1, head_dim=64),
        vocabulary_size=VOCABULARY,
    )
    model = registry.family("paligemma").build(ModelConfig(size="nano", image_size=224), networks)
    hugging_face.save(folder, model.hugging_face, jax.device_get(jax.jit(model.init)(jax.random.key(0))))


def _ours(args: argparse.Namespace) -> Step:
    import jax

    from vlmcog import memory
    from vlmcog.checkpoints import pretrained
    from vlmcog.training import dry_run, sharding, step

    program = dry_run.trace(_config(args))
    model, mesh = program.model, program.mesh
    base = pretrained.load(args.folder, model, jax.eval_shape(model.init, jax.random.key(0)))
    with jax.set_mesh(mesh):
        train_step = program.traced.lower().compile()
        state = step.first_state(model, program.optimizer, program.abstract, seed=0, base=base)
    del base
    memory.give_back_freed()
    batch = sharding.put_share(_our_batch(_batch(args)), mesh=mesh)

    def take() -> float:
        nonlocal state
        state, metrics = train_step(state, batch)
        return float(jax.block_until_ready(metrics)["loss"])

    return take


def _our_batch(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    text = np.concatenate([given["prefix"], given["suffix"]], axis=1).astype(np.int32)
    is_answer = np.broadcast_to(np.arange(text.shape[1]) >= given["prefix"].shape[1], text.shape)
    return {
        "image": given["image"],
        "text": text,
        "mask_ar": is_answer.astype(np.int32),
        "mask_input": np.ones(text.shape, bool),
        "mask_loss": is_answer,
    }


def _theirs(args: argparse.Namespace) -> Step:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch  # pyright: ignore[reportMissingImports]
    import transformers  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(args.threads)
    row = args.rows[0]
    model = transformers.PaliGemmaForConditionalGeneration.from_pretrained(args.folder).train()
    if "lora" in row:
        model = _with_adapters(model)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-2, fused=True)
    batch, n_parts = _their_batch(model, _batch(args)), args.parts[0]
    cuts = [{name: torch.tensor(value[part::n_parts]) for name, value in batch.items()} for part in range(n_parts)]

    def take() -> float:
        total = 0.0
        for cut in cuts:
            with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in row):
                loss = model(**cut).loss / n_parts  # each part has as many answer tokens
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    return take


def _with_adapters(model: Any) -> Any:
    import peft  # pyright: ignore[reportMissingImports]

    names = "q_proj|k_proj|v_proj|out_proj|o_proj|fc1|fc2|gate_proj|up_proj|down_proj"
    config = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=rf".*\.({names})")
    return peft.get_peft_model(model, config)


def _their_batch(model: Any, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    text = np.concatenate([given["prefix"], given["suffix"]], axis=1)
    tower = model.config.vision_config
    marks = np.full((len(text), (tower.image_size // tower.patch_size) ** 2), model.config.image_token_index)
    ids = np.concatenate([marks, text], axis=1)
    is_answer = np.broadcast_to(np.arange(ids.shape[1]) >= ids.shape[1] - given["suffix"].shape[1], ids.shape)
    return {
        "pixel_values": given["image"].transpose(0, 3, 1, 2),
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": is_answer.astype(np.int64),
        "labels": np.where(is_answer, ids, -100),
    }


if __name__ == "__main__":
    command_line.run(main)
