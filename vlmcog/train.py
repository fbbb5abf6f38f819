"""Fine-tunes a model: `python -m vlmcog.train --config configs/towers.py --workdir DIR`."""

import argparse
import contextlib
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import grain
import jax
import pandas as pd
from jax.sharding import Mesh

from vlmcog import command_line, distributed
from vlmcog.checkpoints.manager import Checkpoints, DamagedError
from vlmcog.datasets import read
from vlmcog.datasets.bank import read_bank
from vlmcog.datasets.online import OnlineTrials
from vlmcog.datasets.read import TrialSource, sampled_fingerprint
from vlmcog.datasets.specs import parse
from vlmcog.humans import reading
from vlmcog.humans.judgments import on_task_scale
from vlmcog.memory import use_huge_pages
from vlmcog.models import registry
from vlmcog.models.processor import Processor
from vlmcog.training import (
    config_file,
    dry_run,
    input,
    loop,
    metrics,
    optimizer,
    result,
    sharding,
    step,
    tree,
    validation,
)
from vlmcog.training import workdir as run
from vlmcog.training.config import TrainConfig
from vlmcog.training.device_source import DeviceBatches
from vlmcog.training.watch import Watch

EPILOG = """\
example:
  python -m vlmcog.datasets build cubeworld_towers/cubeworld_small --size 64
  python -m vlmcog.train --config configs/towers.py:small --workdir runs/towers --config.optimizer.learning_rate=3e-4

The same command again goes on from the last checkpoint, and ends with the same parameters as an undisturbed run.

config keys, with the values that a config file starts from (their meaning: vlmcog/training/config.py):
{keys}
"""


def main(argv: Sequence[str]) -> None:
    """The command line."""
    defaults = tree.flatten(dataclasses.asdict(TrainConfig()))
    parser = argparse.ArgumentParser(
        "python -m vlmcog.train",
        description="Fine-tunes a model, or goes on with it.",
        epilog=EPILOG.format(keys="\n".join(f"  {key}={value!r}" for key, value in defaults.items())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, metavar="FILE[:ARG]", help="config file, and its argument")
    parser.add_argument("--workdir", type=pathlib.Path, metavar="DIR", help="folder of the run")
    parser.add_argument_group("config values").add_argument(
        "--config.KEY", metavar="VALUE", help="replaces a value of the config", default=argparse.SUPPRESS
    )
    parser.add_argument(
        "--dry_run",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="train nothing; print what a step takes, and whether it fits a device such as h100",
    )
    parser.add_argument(
        "--skip_damaged", action="store_true", help="move a damaged checkpoint aside and go on from the one before"
    )
    parser.add_argument(
        "--devices", type=int, metavar="N", help="devices to compile a dry run for (default: those of this machine)"
    )
    parser.add_argument(
        "--distributed",
        nargs="?",
        const="",
        metavar="INDEX/COUNT@HOST:PORT",
        help="train together with the same command on other machines, which SLURM and TPU pods make known",
    )
    options, overrides = parser.parse_known_args(argv)
    if options.dry_run is not None:
        return _dry_run(options, overrides)
    if options.workdir is None:
        parser.error("--workdir is required, unless it is a --dry_run")
    use_huge_pages(argv)
    if options.distributed is not None:
        distributed.start(options.distributed)
    train(config_file.load(options.config, overrides), options.workdir, skip_damaged=options.skip_damaged)


def train(config: TrainConfig, workdir: str | pathlib.Path, *, skip_damaged: bool = False) -> None:
    """Trains to the last step of `config`, from the newest checkpoint in `workdir` if there is one.

    A run that was cut off and goes on has the same parameters, bit for bit, as one that was not. With `skip_damaged`
    it goes on from the newest checkpoint that can be read.

    Raises:
      UserError: config, data or devices don't allow the run, `workdir` holds another one, or the loss is NaN.
    """
    workdir = pathlib.Path(workdir)
    run.check(workdir, config)
    mesh = sharding.make_mesh(config.mesh, config.data.batch_size, parts=config.optimizer.accumulate)
    model = registry.build(config.model)
    source, held_out = _source(config), _load(config, "validation") if config.eval_every else None
    splits = {"train": source, "validation": held_out}
    data = {name: sampled_fingerprint(split) for name, split in splits.items() if isinstance(split, TrialSource)}
    run.check_data(workdir, data)
    batches = _batches(config, source, model.processor, mesh)
    optimise = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    abstract = step.abstract_state(model, optimise, config.mesh, mesh)
    optimizer.check_precision(optimise, abstract.params)
    with (
        jax.set_mesh(mesh),
        contextlib.closing(batches),
        Checkpoints(workdir / run.CHECKPOINTS, keep=config.keep, keep_best=config.keep_best) as checkpoints,
    ):
        last_step, restored = _newest(checkpoints, step.saved(optimise, abstract), skip_damaged=skip_damaged)
        if last_step == config.total_steps:
            return _say(f"{workdir} is trained to its last step, {last_step}")
        if restored:
            _say(f"going on from step {last_step} of {config.total_steps} in {workdir}")
            state, place = restored
            batches.set_state(place)
        if not restored or config.lora.active:
            base = result.load_base(model, config.init_from, config.mesh, mesh) if config.init_from else None
            first = step.first_state(model, optimise, abstract, seed=config.seed, base=base)
            state = step.resumed(optimise, first, state) if restored else first
        if distributed.is_first():
            run.claim(workdir, config, data)
        with metrics.open_writers(workdir, last_step=last_step) as writer:
            loop.run(
                config,
                state,
                optimizer=optimise,
                train_step=step.compiled_step(model, optimise, abstract),
                batches=batches,
                put=functools.partial(sharding.put_share, mesh=mesh),
                validate=validation.make_validate(model, held_out, mesh, config) if held_out else None,
                checkpoints=checkpoints,
                writer=writer,
                watch=Watch(workdir, model.processor, writer),
            )


def _newest(
    checkpoints: Checkpoints, abstract: step.TrainState, *, skip_damaged: bool
) -> tuple[int, tuple[step.TrainState, dict[str, Any]] | None]:
    """The last step with a checkpoint, or 0, and what that holds: the state and the place in the data."""
    while last := checkpoints.latest():
        try:
            return last, (checkpoints.restore_state(last, abstract), checkpoints.restore_data(last))
        except DamagedError as error:
            if not skip_damaged:
                raise
            _say(f"{error}; moved to {checkpoints.set_aside(last)}")
    return 0, None


def _dry_run(options: argparse.Namespace, overrides: Sequence[str]) -> None:
    if options.devices:  # before jax looks for devices; later it would not hear of it
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", options.devices)
    print(dry_run.report(config_file.load(options.config, overrides), options.dry_run))


def _source(config: TrainConfig) -> TrialSource | OnlineTrials | None:
    """Where trials to learn from are read or made; None where the devices make them."""
    data = config.data
    if data.online == "device":
        return None
    return OnlineTrials(parse(data.dataset), tasks=data.tasks) if data.online else _load(config, "train")


def _batches(
    config: TrainConfig, source: TrialSource | OnlineTrials | None, processor: Processor, mesh: Mesh
) -> grain.DatasetIterator | DeviceBatches:
    data = config.data
    if source is None:
        return DeviceBatches(read_bank(data.bank), processor, data, seed=config.seed, mesh=mesh)
    share = sharding.process_share(mesh, data.batch_size)
    return input.train_batches(source, processor.fitted(source.asked()), data, seed=config.seed, share=share)


def _say(line: str) -> None:
    if distributed.is_first():
        print(line, file=sys.stderr)


def _load(config: TrainConfig, split: str) -> TrialSource:
    data = config.data
    items = data.items if split == "train" else 0
    source = read.load(data.dataset, split, data.data_dir or None, tasks=data.tasks or None, items=items)
    return source.judged_by(_read_judgments(data.judgments)) if data.judgments else source


@functools.lru_cache(maxsize=1)
def _read_judgments(path: str) -> pd.DataFrame:
    """The judgment table that both splits are judged by."""
    return on_task_scale(reading.read(pathlib.Path(path)).table)


if __name__ == "__main__":
    command_line.run(main)
