"""The command that puts a run's model to new trials: `python -m vlmcog.evaluate --workdir DIR --datasets ladder`."""

import argparse
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from vlmcog import command_line, files
from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.datasets import read, specs
from vlmcog.datasets.features import NO_ANSWER
from vlmcog.datasets.location import build_command, dataset_dir, is_built
from vlmcog.datasets.read import TrialSource
from vlmcog.datasets.shortcuts import Shortcut, shortcut_baselines
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.errors import UserError
from vlmcog.evaluation import examples, fitted_noise, ladder, manifest, metrics, mixed_fits, observers, tables
from vlmcog.evaluation import people as people_lib
from vlmcog.evaluation.alignment import alignment_metrics
from vlmcog.evaluation.answers import answer
from vlmcog.evaluation.consistency import consistency
from vlmcog.evaluation.ladder import Rung
from vlmcog.evaluation.metrics import Metric
from vlmcog.evaluation.people import People
from vlmcog.evaluation.summary import summary
from vlmcog.humans import reading
from vlmcog.humans.judgments import fingerprint, on_task_scale
from vlmcog.models import registry
from vlmcog.training import result
from vlmcog.training import workdir as workdir_lib
from vlmcog.training.config import TrainConfig

SPLIT = "test"
LADDER = "ladder"
BATCH_SIZE = 64

EPILOG = """\
examples:
  python -m vlmcog.evaluate --workdir runs/towers --datasets ladder
  python -m vlmcog.evaluate --workdir runs/towers --datasets lerer_towers,cubeworld_towers/wooden_large

writes DIR/answers/NAME.csv and DIR/metrics.csv (all tables as Parquet, too), DIR/observers/, DIR/people/,
DIR/consistency/, DIR/examples/ and DIR/manifest.json; what was evaluated before on other sets stays.
`python -m vlmcog.report` makes a page of them."""

Ask = Callable[[Rung, TrialSource], pd.DataFrame]


def evaluate(
    workdir: str | os.PathLike[str],
    datasets: Sequence[str] = (LADDER,),
    data_dir: str | os.PathLike[str] | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    rescore: bool = False,
    judgments: str | os.PathLike[str] | None = None,
    with_observers: bool = True,
    with_fits: bool = True,
) -> pd.DataFrame:
    """Evaluates the newest checkpoint of a run and returns all metrics of the run so far (`metrics.COLUMNS`).

    Args:
      workdir: the run's folder.
      datasets: `NAME/CONFIG` or `NAME/CONFIG:TASK`; `ladder` stands for those rungs of the ladder that are built.
      data_dir: the folder of built datasets; None for that of the training.
      batch_size: trials at a time; changes speed alone.
      rescore: take the answers that are in the workdir, without the model.
      judgments: a judgment table (CSV or Parquet) of the one dataset that is named, in place of its own.
      with_observers: whether heuristics, simulators and simple cues answer too, as they would beside any other model.
      with_fits: whether mixed models are fitted where people were asked; a hard one takes minutes.

    Raises:
      UserError: no checkpoint; a dataset is unknown, isn't built or has neither truths nor people; stale answers; a
        judgment table that can't be read or judges nothing that is asked.
    """
    if batch_size < 1:
        raise UserError(f"--batch_size {batch_size} is too small; give 1 or more")
    run = _open_run(pathlib.Path(workdir))
    data_dir = data_dir or run.config.data.data_dir or None
    given = None if judgments is None else _read_judgments(pathlib.Path(judgments), datasets)
    sources = {rung: _open(rung, data_dir, given) for rung in _choose(datasets, run.tuned_on, data_dir)}
    ask = functools.partial(_reread, run) if rescore else _asker(run, batch_size)
    for rung, source in sources.items():
        cues = _shortcuts(rung, source, data_dir) if with_observers else None
        _score(run, rung, source, ask(rung, source), cues, given, with_fits)
    return tables.read_metrics(run.workdir, run=run.name, make_it=make_command(run.workdir))


def make_command(workdir: pathlib.Path, datasets: str = LADDER) -> str:
    """Returns the command that evaluates a run, for messages."""
    return f"python -m vlmcog.evaluate --workdir {workdir} --datasets {datasets}"


@dataclasses.dataclass(frozen=True)
class _Run:
    """A training run: its folder, its config, the name that its tables carry."""

    workdir: pathlib.Path
    config: TrainConfig
    name: str

    @property
    def tuned_on(self) -> tuple[DatasetSpec, ...]:
        return specs.parse_joined(self.config.data.dataset)


@dataclasses.dataclass(frozen=True, eq=False)
class _Judgments:
    """Judgments from a file, checked and on the scale of their tasks."""

    path: pathlib.Path
    table: pd.DataFrame


def _open_run(workdir: pathlib.Path) -> _Run:
    return _Run(workdir, workdir_lib.read_config(workdir), manifest.read(workdir)["run"])


def _choose(
    datasets: Sequence[str], tuned_on: Sequence[DatasetSpec], data_dir: str | os.PathLike[str] | None
) -> Iterator[Rung]:
    for name in datasets:
        if name != LADDER:
            yield ladder.rung(name, tuned_on)
            continue
        for rung in ladder.rungs(tuned_on):
            if rung.name == ladder.SAME_SPLIT or is_built(dataset_dir(rung.spec, data_dir)):
                yield rung
            else:
                print(f"not evaluated: {rung.name}; make its dataset with: {build_command(rung.spec, data_dir)}")


def _read_judgments(path: pathlib.Path, datasets: Sequence[str]) -> _Judgments:
    if len(datasets) != 1 or LADDER in datasets:
        raise UserError(f"{path} holds judgments of one set, for several share names of items; name it in --datasets")
    return _Judgments(path, on_task_scale(reading.read(path).table))


def _open(rung: Rung, data_dir: str | os.PathLike[str] | None, judgments: _Judgments | None) -> TrialSource:
    source = read.load(rung.spec, SPLIT, data_dir, tasks=(rung.task,))
    if judgments is not None:
        items = {trial.item for trial in source}
        if not (judgments.table.task.eq(rung.task) & judgments.table.item.isin(items)).any():
            raise UserError(
                f"{judgments.path} holds no answer to {rung.task!r} about an item of {rung.spec}, split {SPLIT}"
            )
    elif not any(trial.answer != NO_ANSWER or trial.judgments or trial.aggregate for trial in source):
        raise UserError(f"{rung.evaluated_on} has neither truths nor people's judgments to score answers against")
    return source


def _asker(run: _Run, batch_size: int) -> Ask:
    model = registry.build(run.config.model)
    params = result.restore(run.workdir, model)
    with Checkpoints(run.workdir / workdir_lib.CHECKPOINTS) as checkpoints:
        step = result.judged_step(checkpoints, run.config)

    def ask(rung: Rung, source: TrialSource) -> pd.DataFrame:
        name = rung.evaluated_on
        answers = answer(model, params, source, batch_size=batch_size, run=run.name, evaluated_on=name)
        tables.write(answers, tables.answers_path(run.workdir, rung))
        manifest.update(run.workdir, name, {"checkpoint_step": step})
        return answers

    return ask


def _reread(run: _Run, rung: Rung, source: TrialSource) -> pd.DataFrame:
    path = tables.answers_path(run.workdir, rung)
    answers = tables.read_answers(path, run=run.name, make_it=make_command(run.workdir, rung.evaluated_on))
    if list(answers.item) != [trial.item for trial in source]:
        raise UserError(f"{path} answers other items than {rung.evaluated_on} has now; evaluate anew without --rescore")
    return answers


def _shortcuts(rung: Rung, source: TrialSource, data_dir: str | os.PathLike[str] | None) -> list[Shortcut]:
    """What simple cues reach on the set that the model was tuned on: the check that it needs more than them."""
    if rung.name != ladder.SAME_SPLIT or not rung.spec.is_synthetic or not rung.is_binary:
        return []
    return shortcut_baselines(read.load(rung.spec, "train", data_dir, tasks=(rung.task,)), source)


def _score(
    run: _Run,
    rung: Rung,
    source: TrialSource,
    answers: pd.DataFrame,
    shortcuts: Sequence[Shortcut] | None,
    judgments: _Judgments | None,
    with_fits: bool,
) -> None:
    """Writes what follows from the answers on one rung; a run that is cut off keeps the rungs before it.

    Where `shortcuts` is None no other observer answers either.
    """
    people = people_lib.gather(source, answers.item, judgments.table if judgments else None)
    noise = None if shortcuts is None else fitted_noise.fit(source, people)
    others = answers.iloc[:0] if shortcuts is None else observers.observer_answers(source, answers, shortcuts, noise)
    everyone = pd.concat([answers, others], ignore_index=True) if len(others) else answers
    scored = (
        observers.chance(answers)
        + _score_each(everyone, people, with_fits)
        + observers.fitted(noise)
        + (observers.unanswered(source) if shortcuts is not None else [])
    )
    if people is not None:
        scored += (mixed_fits.slope(answers, people) if with_fits else []) + people_lib.people_metrics(answers, people)
        means = people_lib.item_table(people, answers.item, evaluated_on=rung.evaluated_on)
        tables.write(means, tables.people_path(run.workdir, rung))
        apart = examples.to_json(examples.differing(source, answers, people))
        files.write_text(tables.differing_path(run.workdir, rung), apart)
    tables.write(others, tables.observers_path(run.workdir, rung))
    tables.write(consistency(everyone, people), tables.consistency_path(run.workdir, rung))
    drawn = examples.to_json(examples.examples(source, answers, people))
    files.write_text(tables.examples_path(run.workdir, rung), drawn)
    facts = _facts(rung, source, people, scored) | _facts_of_file(judgments)
    _note_changes(rung, manifest.read(run.workdir)["evaluations"].get(rung.evaluated_on, {}), facts)
    manifest.update(run.workdir, rung.evaluated_on, facts)
    rows = metrics.table(
        scored,
        run=run.name,
        tuned_on=run.config.data.dataset,
        evaluated_on=rung.evaluated_on,
        seed=run.config.seed,
    )
    tables.update_metrics(run.workdir, rows, run=run.name, make_it=make_command(run.workdir))


def _score_each(answers: pd.DataFrame, people: People | None, with_fits: bool) -> list[Metric]:
    """Scores the model and the observers alike."""
    scored = []
    for _, own in answers.groupby("model", sort=False):
        scored += metrics.model_metrics(own)
        if people is not None:
            scored += alignment_metrics(own, people)
            scored += mixed_fits.signed_root_r2(own, people) if with_fits else []
    return scored


def _facts(rung: Rung, source: TrialSource, people: People | None, scored: Sequence[Metric]) -> dict[str, Any]:
    """What the manifest says of a rung."""
    blocks = sorted({trial.n_blocks for trial in source} - {0})
    return {
        "task": rung.task,
        "items": len(source),
        "people": _n_people(people),
        "judges": people.name if people else "",
        "excluded_judgments": people.excluded if people else 0,
        "n_blocks": blocks[:1] + blocks[-1:],
        "fingerprint": read.fingerprint(source),
        "undefined": {f"{metric.model}: {metric.name}": metric.undefined for metric in scored if metric.undefined},
    }


def _facts_of_file(judgments: _Judgments | None) -> dict[str, str]:
    """Which file the judgments came from, and what was in it; empty where they are the set's own."""
    if judgments is None:
        return {"judgments_file": "", "judgments_fingerprint": ""}
    return {"judgments_file": judgments.path.name, "judgments_fingerprint": fingerprint(judgments.table)}


def _note_changes(rung: Rung, before: dict[str, Any], facts: dict[str, Any]) -> None:
    """Says where a set is scored on other data, or against other judgments, than the last time."""
    name = rung.evaluated_on
    if before.get("fingerprint", facts["fingerprint"]) != facts["fingerprint"]:
        print(f"note: the data of {name} have changed since it was last evaluated")
    if before.get("judgments_fingerprint", facts["judgments_fingerprint"]) != facts["judgments_fingerprint"]:
        now, then = (facts_["judgments_file"] or "the set itself" for facts_ in (facts, before))
        print(f"note: the judgments of {name}, from {now}, are not those of the last evaluation, from {then}")


def _n_people(people: People | None) -> int:
    """How many people answered: of those whose answers are not published one by one, as many as the item with most."""
    if people is None:
        return 0
    return len(people.responses) if people.responses is not None else int(people.n.max())


def main(argv: Sequence[str]) -> None:
    """Evaluates and prints the accuracy on every rung."""
    parser = argparse.ArgumentParser(
        prog="python -m vlmcog.evaluate",
        description="Put a trained model to new trials and score its answers against truth and people.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workdir", type=pathlib.Path, required=True, help="the folder of the training run")
    parser.add_argument(
        "--datasets",
        default=LADDER,
        help="NAME/CONFIG[:TASK] of built datasets, with commas between, or 'ladder' for every rung that is built "
        "(default)",
    )
    parser.add_argument("--data_dir", help="the folder of built datasets (default: that of the training)")
    parser.add_argument("--batch_size", type=int, default=BATCH_SIZE, help="trials at a time (default: %(default)s)")
    parser.add_argument(
        "--rescore", action="store_true", help="score the answers in DIR/answers anew, without the model"
    )
    parser.add_argument(
        "--judgments",
        type=pathlib.Path,
        metavar="FILE",
        help="what people said of the one set in --datasets: a table as `python -m vlmcog.humans convert` writes it",
    )
    args = parser.parse_args(argv)
    datasets = [name for name in args.datasets.split(",") if name]
    settings = {"batch_size": args.batch_size, "rescore": args.rescore, "judgments": args.judgments}
    rows = evaluate(args.workdir, datasets, args.data_dir, **settings)
    print(summary(rows))
    print(f"metrics: {args.workdir / tables.METRICS}")


if __name__ == "__main__":
    command_line.run(main)
