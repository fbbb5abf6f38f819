"""The command `python -m vlmcog.scenes`: look at scenes, looks and sweeps of one factor, each as one picture."""

import argparse
import pathlib
from collections.abc import Sequence

from PIL import Image

from vlmcog import command_line
from vlmcog.files import atomic_path
from vlmcog.scenes import path_tracer, pictures
from vlmcog.scenes.generate import KINDS
from vlmcog.scenes.look_file import MITSUBA, RENDERERS
from vlmcog.scenes.looks import LOOKS, get_look
from vlmcog.scenes.sweeps import FACTORS, get_factor

EXAMPLES = """examples:
  python -m vlmcog.scenes sheet --kind pyramids --sizes 3,4 --look wooden --out sheet.png
  python -m vlmcog.scenes sheet --look path/to/mine.toml --out sheet.png
  python -m vlmcog.scenes gallery --out looks.png
  python -m vlmcog.scenes sweep --factor camera_elevation --look toy --out sweep.png
"""


def main(argv: Sequence[str]) -> None:
    """Reads the command line and writes the picture."""
    arguments = _parser().parse_args(argv)
    if arguments.renderer == MITSUBA:
        path_tracer.check_installed()
    with atomic_path(arguments.out) as temporary:
        picture, said = arguments.draw(arguments)
        picture.save(temporary)
    print(f"{arguments.out}: {said}")


def _sheet(arguments: argparse.Namespace) -> tuple[Image.Image, str]:
    get_look(arguments.look)
    return pictures.truths(
        arguments.kind,
        arguments.count,
        look=arguments.look,
        sizes=arguments.sizes or (),
        seed=arguments.seed,
        size=arguments.pixels,
        columns=arguments.columns,
        renderer=arguments.renderer,
    )


def _gallery(arguments: argparse.Namespace) -> tuple[Image.Image, str]:
    for look in arguments.looks:
        get_look(look)
    return pictures.gallery(
        arguments.looks,
        arguments.kinds,
        seed=arguments.seed,
        size=arguments.pixels,
        columns=arguments.columns,
        renderer=arguments.renderer,
    )


def _sweep(arguments: argparse.Namespace) -> tuple[Image.Image, str]:
    get_look(arguments.look)
    levels = arguments.levels or get_factor(arguments.factor).levels
    return pictures.along(
        arguments.factor,
        levels,
        kind=arguments.kind,
        look=arguments.look,
        count=arguments.count,
        seed=arguments.seed,
        size=arguments.pixels,
        renderer=arguments.renderer,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m vlmcog.scenes", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sheet = _command(commands, "sheet", _sheet, "freshly made scenes, each with its truth")
    _add_kind(sheet)
    sheet.add_argument(
        "--sizes",
        type=_list_of(_at_least(0)),
        help="numbers of blocks of towers (2 or more), of rows of pyramids, and so on; default: all",
    )
    sheet.add_argument("--count", type=_at_least(1), default=24, help="how many scenes; default: 24")
    sheet.add_argument("--columns", type=_at_least(1), default=6, help="scenes a row; default: 6")

    gallery = _command(commands, "gallery", _gallery, "the same scenes in every look, a look after the other")
    gallery.add_argument("--looks", type=_list_of(str), default=tuple(LOOKS), help="names or files; default: all")
    gallery.add_argument("--kinds", type=_list_of(_kind), default=("towers", "pyramids"), help="default: %(default)s")
    gallery.add_argument("--columns", type=_at_least(1), default=6, help="pictures a row; default: 6")

    sweep = _command(commands, "sweep", _sweep, "scenes with one factor changed, a row for each")
    _add_kind(sweep)
    sweep.add_argument("--factor", choices=tuple(FACTORS), required=True, help="what changes")
    sweep.add_argument("--levels", type=_list_of(str), help="such as 0.1,0.5; default: the factor's own")
    sweep.add_argument("--count", type=_at_least(1), default=2, help="how many scenes; default: 2")
    return parser


def _command(commands, name: str, draw, what: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=f"one PNG of {what}",
        description=f"Writes one PNG of {what}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(draw=draw)
    parser.add_argument("--pixels", type=_at_least(16), default=224, help="pixels a side of each; default: 224")
    parser.add_argument("--seed", type=_at_least(0), default=0, help="another seed, other scenes; default: 0")
    parser.add_argument("--renderer", choices=RENDERERS, help="default: the one that each look asks for")
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FILE.png", help="where to write it")
    return parser


def _add_kind(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=tuple(KINDS), default="towers", help="default: towers")
    parser.add_argument("--look", default="cubeworld", help=f"{', '.join(LOOKS)}, or a FILE.toml; default: cubeworld")


def _kind(text: str) -> str:
    if text not in KINDS:
        raise argparse.ArgumentTypeError(f"no kind {text!r}; the kinds are {', '.join(KINDS)}")
    return text


def _list_of(read):
    def read_all(text: str) -> tuple:
        return tuple(read(part) for part in text.split(","))

    return read_all


def _at_least(smallest: int):
    def number(text: str) -> int:
        value = int(text)
        if value < smallest:
            raise argparse.ArgumentTypeError(f"{value} is less than {smallest}")
        return value

    return number


if __name__ == "__main__":
    command_line.run(main)
