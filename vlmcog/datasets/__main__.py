"""`python -m vlmcog.datasets`: makes, lists and checks datasets."""

import argparse
import dataclasses
import itertools
import pathlib
from collections.abc import Sequence

from vlmcog import command_line
from vlmcog.datasets.build import build
from vlmcog.datasets.location import built_specs, default_data_dir
from vlmcog.datasets.read import load
from vlmcog.datasets.registry import PUBLIC, SYNTHETIC, builder_class
from vlmcog.datasets.shortcuts import shortcut_baselines
from vlmcog.datasets.specs import SPLIT_SIZES, SUFFIXES, DatasetSpec, parse
from vlmcog.errors import UserError
from vlmcog.scenes.looks import LOOKS
from vlmcog.statistics.intervals import wilson

DESCRIPTION = """\
Datasets of images, questions, truths and human judgments, made without TensorFlow.

A dataset is named NAME/CONFIG. The synthetic sets cubeworld_towers and cubeworld_pyramids have the configs
LOOK_SIZE, LOOK being cubeworld or wooden and SIZE small or large, and a suffix for each option that isn't at its
default (-size224 -train8000 -validation500 -test1000 -seed0); the flags of `build` write the suffixes for you.
lerer_towers, photographs with the judgments of 107 people, is read from a checkout of the public release
https://github.com/lsbuschoff/multimodal and has no config."""

EXAMPLES = """\
examples:
  python -m vlmcog.datasets list
  python -m vlmcog.datasets build cubeworld_towers/cubeworld_small --size 64 --train 4000
  python -m vlmcog.datasets build lerer_towers --release ~/multimodal
  python -m vlmcog.datasets shortcuts cubeworld_towers/cubeworld_small-size64-train4000"""


OPTION_HELP = {
    "size": "side of the square images in pixels",
    "train": "scenes in the train split",
    "validation": "scenes in the validation split",
    "test": "scenes in the test split",
    "seed": "drives everything random; same seed, same data",
}


def main(argv: Sequence[str]) -> None:
    """Runs one of the subcommands."""
    args = _parser().parse_args(argv)
    args.run(args)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m vlmcog.datasets", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_build(commands.add_parser("build", help="make a dataset, unless it is there already", formatter_class=raw))
    _add_list(commands.add_parser("list", help="show the datasets and which are built"))
    _add_shortcuts(commands.add_parser("shortcuts", help="how far simple cues alone solve a built set"))
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.description = "Makes a dataset. An existing one is left as it is; an interrupted build is started afresh."
    parser.epilog = EXAMPLES
    parser.add_argument("name", metavar="NAME[/CONFIG]", help="the dataset; the CONFIG is cubeworld_small by default")
    _add_data_dir(parser)
    parser.add_argument("--release", type=pathlib.Path, metavar="CHECKOUT", help="the public release, for lerer_towers")
    for suffix, field in SUFFIXES.items():
        text = f"{OPTION_HELP[suffix]}; {getattr(DatasetSpec, field)} by default"
        parser.add_argument(f"--{suffix}", dest=field, type=int, metavar="N", help=text)
    parser.set_defaults(run=_build)


def _add_list(parser: argparse.ArgumentParser) -> None:
    _add_data_dir(parser)
    parser.set_defaults(run=_list)


def _add_shortcuts(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Fits logistic regressions to simple cues of the train split (number of blocks and height, offset of the top "
        "block, pixels at 32 px) and prints their accuracy on the test split with 95 % Wilson intervals."
    )
    parser.add_argument("name", metavar="NAME/CONFIG", help="a built synthetic dataset")
    _add_data_dir(parser)
    parser.set_defaults(run=_shortcuts)


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    default = str(default_data_dir()).replace("%", "%%")
    text = f"holds all datasets; {default} by default"
    parser.add_argument("--data_dir", type=pathlib.Path, metavar="DIR", help=text)


def _build(args: argparse.Namespace) -> None:
    given = {field: getattr(args, field) for field in SUFFIXES.values() if getattr(args, field) is not None}
    build(dataclasses.replace(parse(args.name), **given), args.data_dir, release=args.release)


def _list(args: argparse.Namespace) -> None:
    root = args.data_dir or default_data_dir()
    offered = [DatasetSpec(name, look, size) for name, look, size in itertools.product(SYNTHETIC, LOOKS, SPLIT_SIZES)]
    offered += [DatasetSpec(name) for name in PUBLIC]
    built = built_specs(root)
    for spec in [*offered, *(spec for spec in built if spec not in offered)]:
        print(f"{'built' if spec in built else '-':7}{spec}")
    print(f"in {root}; a set with other options is built by name or by flags, see build --help")


def _shortcuts(args: argparse.Namespace) -> None:
    spec = parse(args.name)
    if not spec.is_synthetic:
        raise UserError(f"{spec} has no train split to fit shortcuts to; name a synthetic set")
    tasks = tuple(task.name for task in builder_class(spec.name).TASKS if task.answers.kind == "binary")
    train, test = (load(spec, split, args.data_dir, tasks=tasks) for split in ("train", "test"))
    print(f"{spec}: logistic regression on {len(train)} training trials, {len(test)} test trials")
    for baseline in shortcut_baselines(train, test):
        interval = wilson(int(baseline.correct.sum()), len(test))
        print(f"  {baseline.name:30} {baseline.correct.mean():.3f}  [{interval.low:.3f}, {interval.high:.3f}]")


if __name__ == "__main__":
    command_line.run(main)
