"""The command that runs a whole study: `python -m vlmcog.study --config configs/study.py:tiny --workdir DIR`."""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Sequence

import jax

from vlmcog import command_line, files
from vlmcog.evaluation import manifest
from vlmcog.evaluation import tables as evaluation_tables
from vlmcog.memory import use_huge_pages
from vlmcog.report.study_figures import write_figures
from vlmcog.report.study_page import write_study_report
from vlmcog.study import plan, run, tables
from vlmcog.study.config import StudyConfig
from vlmcog.study.results import Results, pictures
from vlmcog.training import config_file

EPILOG = """\
examples:
  python -m vlmcog.study --config configs/study.py:smoke --workdir runs/study
  python -m vlmcog.study --config configs/study.py:tiny --workdir runs/study --config.seeds='(0, 1)'
  python -m vlmcog.study --config configs/study.py:tiny --workdir runs/study --status

The same command goes on where it was cut off, and may run in several processes, on several machines that share DIR:
each does what no other is doing. What it makes, in DIR:
  report/index.html      the page; open it in a browser
  figures/               its figures for a paper, as PDF and SVG
  tables/matrix.csv      accuracy and gain of every model on every set
  tables/contrasts.csv   the gains that the hypotheses are about
  tables/hypotheses.csv  the verdicts
  tables/curves.csv      the data-scaling and look-diversity curves
  tables/probes.csv      how well margin, offset and number of blocks can be read off each layer
  tables/                and people, alignment, items, learning; each as Parquet, too
  runs/                  the models with their answers"""


def study(config: StudyConfig, workdir: pathlib.Path) -> None:
    """Does what is left to do of a study and writes its tables and its page.

    Raises:
      UserError: the config doesn't allow a run, or a file of the study is damaged.
    """
    jax.config.update("jax_compilation_cache_dir", str(workdir / "compiled"))  # most runs have the same programs
    folders = plan.Folders(workdir)
    cells = plan.make(config, folders)
    run.work_off(cells, workdir)
    results = Results(config, folders, cells)
    found = tables.make(results)
    for name, table in found.items():
        evaluation_tables.write(table, workdir / "tables" / f"{name}.csv")
    record = {
        "config": dataclasses.asdict(config),
        "versions": manifest.versions_of_code(),
        "git_revision": manifest.git_revision(),
    }
    files.write_text(workdir / "study.json", json.dumps(record, indent=2) + "\n")
    print("\n".join(found["hypotheses"].sentence))
    write_figures(workdir / "figures", found)
    print(f"report: {write_study_report(workdir, found, pictures(results), record)}")


def main(argv: Sequence[str]) -> None:
    """Reads the command line and runs the study, or tells how far it is."""
    parser = argparse.ArgumentParser(
        "python -m vlmcog.study",
        description="Tunes models, tests each on the whole ladder, compares them with people, over seeds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, metavar="FILE.py[:SIZE]", help="such as configs/study.py:tiny")
    parser.add_argument("--workdir", type=pathlib.Path, required=True, metavar="DIR", help="folder for everything")
    parser.add_argument("--status", action="store_true", help="only show which cells are done, under way or to do")
    options, overrides = parser.parse_known_args(argv)
    config = config_file.load(options.config, overrides, StudyConfig)
    if options.status:
        return print(run.status(plan.make(config, plan.Folders(options.workdir)), options.workdir))
    use_huge_pages(argv)
    study(config, options.workdir)


if __name__ == "__main__":
    command_line.run(main)
