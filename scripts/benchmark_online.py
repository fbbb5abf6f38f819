"""How fast fresh trials come, and how long training waits for them.

  python scripts/benchmark_online.py --size 64 --batch_size 32

For each source (grain: simulated and rendered in threads; device: drawn from a bank, dressed and rendered on the
devices; a built set's trials in memory are the yardstick) the tiny model trains for some steps. Images/s is that of the
source alone. Data wait is the share of a training step that goes into having its batch: steps with the source against
steps that take one batch again and again, since on a device both are queued and no clock of the host sees the wait.
Medians over rounds that take turns.
"""

import argparse
import functools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from vlmcog import command_line
from vlmcog.datasets.bank import make_bank, read_bank
from vlmcog.datasets.build import build
from vlmcog.datasets.online import OnlineTrials
from vlmcog.datasets.read import load
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.memory import use_huge_pages
from vlmcog.models import registry
from vlmcog.training import input, optimizer, sharding, step
from vlmcog.training.config import TrainConfig, from_config_dict
from vlmcog.training.device_source import DeviceBatches

SCENES = 256


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels; default: 64")
    parser.add_argument("--batch_size", type=int, default=32, help="default: 32")
    parser.add_argument("--steps", type=int, default=10, help="steps a round; default: 10")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    args = parser.parse_args(argv)
    use_huge_pages(argv)
    data = {"batch_size": args.batch_size, "threads": os.cpu_count() or 1}
    config = from_config_dict({"data": data, "model": {"image_size": args.size}, "eval_every": 0})
    spec = DatasetSpec("cubeworld_towers", "cubeworld", "small", args.size, SCENES, 1, 1)
    mesh = sharding.make_mesh(config.mesh, args.batch_size)
    print(f"{jax.devices()[0].device_kind} x {mesh.size}, {args.size} px, batch {args.batch_size}")
    with tempfile.TemporaryDirectory() as folder, jax.set_mesh(mesh):
        train = _trainer(config, mesh)
        sources = _sources(config, spec, mesh, pathlib.Path(folder))
        for name, row in _measure(sources, train, args.steps, args.rounds, args.batch_size).items():
            print(f"{name:8} {row[0]:8.1f} images/s alone   data wait {row[1]:6.1%} of a step")
        for batches in sources.values():
            batches.close()


def _sources(config: TrainConfig, spec: DatasetSpec, mesh: Any, folder: pathlib.Path) -> dict[str, Any]:
    processor = registry.build(config.model).processor
    build(spec, folder)
    make_bank(spec, SCENES, folder / "bank.npz")
    return {
        "built": input.train_batches(load(spec, "train", folder), processor, config.data, seed=0),
        "grain": input.train_batches(OnlineTrials(spec), processor, config.data, seed=0),
        "device": DeviceBatches(read_bank(folder / "bank.npz"), processor, config.data, seed=0, mesh=mesh),
    }


def _trainer(config: TrainConfig, mesh: Any) -> Callable[[Any], None]:
    """Returns a function that takes one training step on a batch, queued as training has it."""
    model = registry.build(config.model)
    optimise = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    abstract = step.abstract_state(model, optimise, config.mesh, mesh)
    compiled = step.compiled_step(model, optimise, abstract)
    kept = [step.first_state(model, optimise, abstract, seed=0)]

    def train(batch: Any) -> None:
        kept[0], metrics = compiled(kept[0], sharding.put_share(batch, mesh))
        jax.block_until_ready(metrics)

    return train


def _measure(
    sources: dict[str, Any], train: Callable[[Any], None], steps: int, rounds: int, batch_size: int
) -> dict[str, tuple[float, float]]:
    alone: dict[str, list[float]] = {name: [] for name in sources}
    waits: dict[str, list[float]] = {name: [] for name in sources}
    for batches in sources.values():  # compiles
        train(next(batches))
    for _ in range(rounds):
        for name, batches in sources.items():
            same = next(batches)
            without = _seconds(lambda same=same: train(same), steps)
            fed = _seconds(functools.partial(lambda batches: train(next(batches)), batches), steps)
            waits[name].append(max(1 - without / fed, 0.0))
            taken = _seconds(functools.partial(lambda batches: jax.block_until_ready(next(batches)), batches), steps)
            alone[name].append(batch_size * steps / taken)
    return {name: (statistics.median(alone[name]), statistics.median(waits[name])) for name in sources}


def _seconds(work: Callable[[], Any], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - start


if __name__ == "__main__":
    command_line.run(main)
