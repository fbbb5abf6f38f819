"""The command that writes the page: `python -m vlmcog.report --workdir DIR`."""

import argparse
import os
import pathlib
from collections.abc import Sequence

from vlmcog import command_line, files
from vlmcog.report import content, page

EPILOG = """\
example:
  python -m vlmcog.report --workdir runs/towers

writes DIR/report/index.html from what `python -m vlmcog.evaluate` left in DIR: one file that loads nothing else."""


def write_report(workdir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes the page of an evaluated run and returns its path.

    Raises:
      UserError: nothing was evaluated, or a file of the run is damaged.
    """
    path = pathlib.Path(workdir) / "report" / "index.html"
    files.write_text(path, page.render(content.read(pathlib.Path(workdir))))
    return path


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
