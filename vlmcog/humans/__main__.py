"""`python -m vlmcog.humans`: checks judgments, and turns exports of experiments into judgment tables."""

import argparse
import pathlib
from collections.abc import Sequence

import pandas as pd

from vlmcog import command_line
from vlmcog.errors import UserError
from vlmcog.files import atomic_path
from vlmcog.humans import exclusions, jspsych, prolific
from vlmcog.humans.judgments import on_task_scale
from vlmcog.humans.reading import Reading, pseudonymised, read

DESCRIPTION = """\
Judgments of people as one table: participant, item, task and response, and where known scale, order, response_time
(seconds) and why an answer is excluded. Files are CSV, Parquet or jsPsych's CSV and JSON."""

EXAMPLES = """\
examples:
  python -m vlmcog.humans check people.csv
  python -m vlmcog.humans convert export.json --jspsych --task tower_falls --column item=stimulus --code f=0 \\
      --code j=1 --prolific prolific_export.csv --keep Age --key "a secret" --out people.csv"""


def main(argv: Sequence[str]) -> None:
    """Runs one of the subcommands."""
    args = _parser().parse_args(argv)
    args.run(args)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m vlmcog.humans", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands.add_parser("check", help="say what is in a file, or what is wrong with it"))
    _add_convert(commands.add_parser("convert", help="write a judgment table", epilog=EXAMPLES, formatter_class=raw))
    return parser


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_input(parser)
    parser.set_defaults(run=_check)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes a judgment table under pseudonyms, each task's ratings on its own scale. Excludes nobody unless asked."
    )
    _add_input(parser)
    parser.add_argument("--prolific", type=pathlib.Path, metavar="EXPORT.csv", help="Prolific's demographic export")
    parser.add_argument("--keep", action="append", default=[], metavar="COLUMN", help="a column of it to keep")
    parser.add_argument("--people_out", type=pathlib.Path, metavar="FILE", help="where to write who took part")
    parser.add_argument("--key", default="", help="a secret from which the pseudonyms are made")
    parser.add_argument("--exclude", action="append", default=[], choices=RULES, help="a rule; may be given again")
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FILE", help="a .csv or .parquet file")
    parser.set_defaults(run=_convert)


RULES = {
    "constant": exclusions.constant_responders,
    "alternating": exclusions.alternating_responders,
    "slow_or_fast_answers": exclusions.response_time_outliers,
    "slow_or_fast_people": exclusions.response_time_outlier_people,
}


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--jspsych", action="store_true", help="the file is jsPsych's")
    parser.add_argument("--task", default="", help="the task of every trial, of a jsPsych file without a task column")
    parser.add_argument(
        "--column", action="append", default=[], type=_pair, metavar="WHAT=NAME", help="where jsPsych's file keeps WHAT"
    )
    parser.add_argument(
        "--code", action="append", default=[], type=_pair, metavar="KEY=NUMBER", help="what a key pressed means"
    )


def _check(args: argparse.Namespace) -> None:
    _say(_read(args))


def _convert(args: argparse.Namespace) -> None:
    for path in filter(None, (args.out, args.people_out)):
        if path.suffix not in (".csv", ".parquet"):
            raise UserError(f"{path}: end its name in .csv or .parquet")
    reading = _read(args)
    if args.prolific:
        reading, people = prolific.join(reading, args.prolific, keep=args.keep, key=args.key)
        if args.people_out:
            _write(people.table, args.people_out)
        reading = Reading(reading.table, reading.rows, (*reading.notes, *people.notes))
    else:
        reading = pseudonymised(reading, key=args.key)
    table = exclusions.apply(on_task_scale(reading.table), [RULES[name] for name in args.exclude])
    _write(table, args.out)
    _say(Reading(table, reading.rows, reading.notes))
    print(f"written to {args.out}")


def _read(args: argparse.Namespace) -> Reading:
    if not args.jspsych:
        if args.file.suffix == ".json":
            raise UserError(f"{args.file}: JSON is read as jsPsych's alone; add --jspsych")
        return read(args.file)
    columns = jspsych.Columns(**_known(dict(args.column)))
    return jspsych.read(args.file, columns=columns, task=args.task, codes=_numbers(args.code))


def _known(columns: dict[str, str]) -> dict[str, str]:
    known = jspsych.Columns.__dataclass_fields__
    for name in columns:
        if name not in known:
            raise UserError(f"--column {name}=...: it is one of {', '.join(known)}")
    return columns


def _numbers(pairs: list[tuple[str, str]]) -> dict[str, float]:
    try:
        return {key: float(number) for key, number in pairs}
    except ValueError as error:
        raise UserError(f"--code: {error}; write KEY=NUMBER, such as f=0") from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _write(table: pd.DataFrame, path: pathlib.Path) -> None:
    write = table.to_csv if path.suffix == ".csv" else table.to_parquet
    with atomic_path(path) as temporary:
        write(temporary, index=False)


def _say(reading: Reading) -> None:
    table = reading.table
    people, items = table["participant"].nunique(), table["item"].nunique()
    print(f"{len(table)} judgments of {items} items by {people} people, from {reading.rows} rows")
    for note in reading.notes:
        print(f"  {note}")
    for task, reason, answers, of in exclusions.summary(table).itertuples(index=False):
        print(f"  {task}: {answers} answers of {of} people: {reason}")


if __name__ == "__main__":
    command_line.run(main)
