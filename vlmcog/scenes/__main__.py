"""The command `python -m vlmcog.scenes`: look at scenes and their truths."""

import argparse
import pathlib
from collections.abc import Sequence

from vlmcog import command_line
from vlmcog.files import atomic_path
from vlmcog.scenes.contact_sheet import contact_sheet
from vlmcog.scenes.generate import KINDS, generate
from vlmcog.scenes.looks import LOOKS

EXAMPLE = """example:
  python -m vlmcog.scenes sheet --kind pyramids --sizes 3,4 --look wooden --out sheet.png
"""


def main(argv: Sequence[str]) -> None:
    """Reads the command line and writes the sheet."""
    arguments = _parser().parse_args(argv)
    sizes = arguments.sizes or tuple(size for sizes in KINDS[arguments.kind].sizes.values() for size in sizes)
    made = generate(
        arguments.kind, arguments.count, seed=arguments.seed, split="test", look=arguments.look, sizes=sizes
    )
    sheet = contact_sheet([one.labelled for one in made], size=arguments.pixels, columns=arguments.columns)
    with atomic_path(arguments.out) as temporary:
        sheet.save(temporary)
    simulated, rejected = sum(one.simulated for one in made), sum(one.rejected for one in made)
    print(f"{arguments.out}: {len(made)} scenes; {rejected} of {simulated} simulated were ambiguous")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m vlmcog.scenes", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sheet = commands.add_parser(
        "sheet",
        help="write one PNG of scenes with their truths",
        description="Writes one PNG of freshly made scenes, each with its truth.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sheet.add_argument("--kind", choices=tuple(KINDS), default="towers", help="default: towers")
    sheet.add_argument("--look", choices=tuple(LOOKS), default="cubeworld", help="default: cubeworld")
    sheet.add_argument(
        "--sizes",
        type=_numbers,
        help="numbers of blocks of towers (2 or more), of rows of pyramids, and so on; default: all",
    )
    sheet.add_argument("--count", type=_at_least(1), default=24, help="how many scenes; default: 24")
    sheet.add_argument("--columns", type=_at_least(1), default=6, help="scenes a row; default: 6")
    sheet.add_argument("--pixels", type=_at_least(16), default=224, help="pixels a side of each; default: 224")
    sheet.add_argument("--seed", type=_at_least(0), default=0, help="another seed, other scenes; default: 0")
    sheet.add_argument("--out", type=pathlib.Path, required=True, metavar="FILE.png", help="where to write it")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(_at_least(0), text.split(",")))


def _at_least(smallest: int):
    def number(text: str) -> int:
        value = int(text)
        if value < smallest:
            raise argparse.ArgumentTypeError(f"{value} is less than {smallest}")
        return value

    return number


if __name__ == "__main__":
    command_line.run(main)
