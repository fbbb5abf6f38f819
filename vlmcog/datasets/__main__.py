"""`python -m vlmcog.datasets`: makes, lists and checks datasets."""

import argparse
import dataclasses
import itertools
import pathlib
from collections.abc import Sequence

from vlmcog import command_line
from vlmcog.datasets import shortcuts
from vlmcog.datasets.bank import make_bank
from vlmcog.datasets.build import build
from vlmcog.datasets.location import built_specs, default_data_dir
from vlmcog.datasets.publish import GALLERY, publish
from vlmcog.datasets.read import load
from vlmcog.datasets.registry import PUBLIC, SYNTHETIC
from vlmcog.datasets.simulate import simulate
from vlmcog.datasets.specs import SPLIT_SIZES, SPLITS, SUFFIXES, DatasetSpec, parse
from vlmcog.scenes.looks import LOOKS

DESCRIPTION = """\
Datasets of images, questions, truths and human judgments, made without TensorFlow.

A dataset is named NAME/CONFIG. The CONFIG of a synthetic set, cubeworld_..., is LOOK_SIZE, SIZE being small or large
(`list` shows them all), and a suffix for each option that isn't at its default (-size224 -train8000 -validation500
-test1000 -seed0 -limit100); the flags of `build` write the suffixes for you.
The public sets have no config. lerer_towers, jenga, michotte and agents are read from a checkout of the release
https://github.com/lsbuschoff/multimodal, and physion from one of
https://github.com/cogtoolslab/physics-benchmarking-neurips2021 and a folder with a frame of each clip: STIM_ID.png, or
the first picture of a folder STIM_ID."""

EXAMPLES = """\
examples:
  python -m vlmcog.datasets list
  python -m vlmcog.datasets build cubeworld_towers/cubeworld_small --size 64 --train 4000
  python -m vlmcog.datasets build lerer_towers --release ~/multimodal
  python -m vlmcog.datasets build physion --release ~/physics-benchmarking-neurips2021 --frames ~/physion_frames
  python -m vlmcog.datasets shortcuts cubeworld_towers/cubeworld_small-size64-train4000"""


WORKERS_HELP = "1 is this one, with a thread a core; by default 1, or one a core for 20,000 scenes and more"
OPTION_HELP = {
    "size": "side of the square images in pixels",
    "train": "scenes in the train split",
    "validation": "scenes in the validation split",
    "test": "scenes in the test split",
    "seed": "drives everything random; same seed, same data",
    "limit": "make nothing where a shortcut answers more than N %% of the test trials (see the command shortcuts)",
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
    _add_publish(commands.add_parser("publish", help="add card, metadata, checksums and gallery to a built set"))
    _add_simulate(commands.add_parser("simulate", help="make judgments by simulated participants, for demonstrations"))
    _add_bank(commands.add_parser("bank", help="simulate scenes for training that renders on the devices"))
    return parser


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.description = "Makes a dataset. An existing one is left as it is; a build that was cut off goes on."
    parser.epilog = EXAMPLES
    parser.add_argument("name", metavar="NAME[/CONFIG]", help="the dataset; the CONFIG is cubeworld_small by default")
    _add_data_dir(parser)
    parser.add_argument("--release", type=pathlib.Path, metavar="CHECKOUT", help="the release, for a public set")
    text = "pictures of the clips, for physion; the release's folder frames by default"
    parser.add_argument("--frames", type=pathlib.Path, metavar="FOLDER", help=text)
    for suffix, field in SUFFIXES.items():
        text = f"{OPTION_HELP[suffix]}; {getattr(DatasetSpec, field)} by default"
        parser.add_argument(f"--{suffix}", dest=field, type=int, metavar="N", help=text)
    parser.add_argument("--workers", type=int, metavar="N", help=f"processes; {WORKERS_HELP}")
    text = "make the scenes in Apache Beam (pip install 'vlmcog[beam]') with these options; runner=DirectRunner alone"
    parser.add_argument("--beam", nargs="*", metavar="KEY=VALUE", help=text)
    parser.set_defaults(run=_build)


def _add_list(parser: argparse.ArgumentParser) -> None:
    _add_data_dir(parser)
    parser.set_defaults(run=_list)


def _add_shortcuts(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Fits logistic regressions to simple cues of the train split (number of blocks and height, offset of the top "
        "block, colours, pixels at 32 px, random filters) and prints their accuracy on the test split with 95 % Wilson "
        "intervals."
    )
    parser.add_argument("name", metavar="NAME/CONFIG", help="a built synthetic dataset")
    _add_data_dir(parser)
    text = "exit with status 2 where one answers more than N %% right; by default the limit of the set's name"
    parser.add_argument("--limit", type=int, metavar="N", help=text)
    parser.set_defaults(run=_shortcuts)


def _add_publish(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes README.md (the card), croissant.json, SHA256SUMS and index.html (the gallery: pictures and truths, "
        "what varies, balance, shortcuts) into the folder of a built set; scripts/push_dataset.py sends it on."
    )
    parser.add_argument("name", metavar="NAME[/CONFIG]", help="a built dataset")
    _add_data_dir(parser)
    parser.set_defaults(run=_publish)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes a judgment table of simulated participants, noisy simulators that know each scene, about whether the "
        "towers of one split of a set fall. They are not people, and tables and pages say so."
    )
    parser.add_argument("name", metavar="NAME/CONFIG", help="a built set of towers")
    _add_data_dir(parser)
    parser.add_argument("--participants", type=int, default=30, metavar="N", help="how many; default: %(default)s")
    text = "standard deviation of each block's seen place, in sides, of the median one; default: %(default)s"
    parser.add_argument("--split", choices=SPLITS, default="test", help="whose towers; default: %(default)s")
    parser.add_argument("--items", type=int, default=0, metavar="N", help="of its first so many towers; default: all")
    parser.add_argument("--noise", type=float, default=0.1, metavar="SIDES", help=text)
    parser.add_argument("--seed", type=int, default=0, help="same seed, same answers; default: %(default)s")
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FILE", help="the CSV file")
    parser.set_defaults(run=_simulate)


def _add_bank(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Samples and simulates scenes of a set's train split and keeps their arrays and answers in one file, for "
        "python -m vlmcog.train with --config.data.online=device --config.data.bank=FILE."
    )
    parser.add_argument("name", metavar="NAME/CONFIG", help="a synthetic dataset; it needn't be built")
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FILE", help="the bank, an .npz file")
    parser.add_argument("--scenes", type=int, default=4000, metavar="N", help="how many; 4000 by default")
    parser.set_defaults(run=_bank)


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    default = str(default_data_dir()).replace("%", "%%")
    text = f"holds all datasets; {default} by default"
    parser.add_argument("--data_dir", type=pathlib.Path, metavar="DIR", help=text)


def _build(args: argparse.Namespace) -> None:
    given = {field: getattr(args, field) for field in SUFFIXES.values() if getattr(args, field) is not None}
    beam = args.beam if args.beam or args.beam is None else ["runner=DirectRunner"]
    build(
        dataclasses.replace(parse(args.name), **given),
        args.data_dir,
        release=args.release,
        frames=args.frames,
        workers=args.workers,
        beam=beam or (),
    )


def _list(args: argparse.Namespace) -> None:
    root = args.data_dir or default_data_dir()
    offered = [DatasetSpec(name, look, size) for name, look, size in itertools.product(SYNTHETIC, LOOKS, SPLIT_SIZES)]
    offered += [DatasetSpec(name) for name in PUBLIC]
    built = built_specs(root)
    for spec in [*offered, *(spec for spec in built if spec not in offered)]:
        print(f"{'built' if spec in built else '-':7}{spec}")
    print(f"in {root}; a set with other options is built by name or by flags, see build --help")


def _simulate(args: argparse.Namespace) -> None:
    simulate(
        parse(args.name),
        args.data_dir,
        args.out,
        participants=args.participants,
        noise=args.noise,
        split=args.split,
        items=args.items,
        seed=args.seed,
    )
    print(f"judgments of {args.participants} simulated participants: {args.out}")


def _shortcuts(args: argparse.Namespace) -> None:
    spec = parse(args.name)
    tasks = shortcuts.binary_tasks(spec)
    limited = spec if args.limit is None else dataclasses.replace(spec, shortcut_limit=args.limit)
    train, test = (load(spec, split, args.data_dir, tasks=tasks) for split in ("train", "test"))
    print(f"{spec}: logistic regression on {len(train)} training trials, {len(test)} test trials")
    baselines = shortcuts.shortcut_baselines(train, test)
    for task, of_task in itertools.groupby(baselines, lambda baseline: baseline.task):
        print(f"  {task}")
        for baseline in of_task:
            interval = baseline.interval
            print(f"    {baseline.name:30} {baseline.accuracy:.3f}  [{interval.low:.3f}, {interval.high:.3f}]")
    shortcuts.check(spec, baselines, limited.shortcut_limit)


def _publish(args: argparse.Namespace) -> None:
    print(f"open {publish(args.name, args.data_dir) / GALLERY}")


def _bank(args: argparse.Namespace) -> None:
    make_bank(parse(args.name), args.scenes, args.out)
    print(f"{args.scenes} scenes are in {args.out}")


if __name__ == "__main__":
    command_line.run(main)
