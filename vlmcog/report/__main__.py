"""The command that writes the page: `python -m vlmcog.report --workdir DIR`."""

import argparse
import pathlib
from collections.abc import Sequence

from vlmcog import command_line
from vlmcog.report.page import write_report

EPILOG = """\
example:
  python -m vlmcog.report --workdir runs/towers

writes DIR/report/index.html from what `python -m vlmcog.evaluate` left in DIR: one file that loads nothing else."""


def main(argv: Sequence[str]) -> None:
    """Writes the page and says where it is."""
    parser = argparse.ArgumentParser(
        prog="python -m vlmcog.report",
        description="Write one static page about an evaluated run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="the folder of the evaluated run")
    print(f"report: {write_report(parser.parse_args(argv).workdir)}")


if __name__ == "__main__":
    command_line.run(main)
