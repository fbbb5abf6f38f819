"""Everything that the page shows, read from a run's folder."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from vlmcog.datasets import specs
from vlmcog.datasets.features import NO_ANSWER
from vlmcog.datasets.location import build_command
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.errors import UserError
from vlmcog.evaluation import examples, ladder, manifest, tables
from vlmcog.evaluation.examples import Example
from vlmcog.evaluation.ladder import Rung
from vlmcog.evaluation.metrics import JUDGES, PEOPLE, SIMULATED, as_arrays
from vlmcog.evaluation.observers import CHANCE, OBSERVER
from vlmcog.statistics.calibration import Bin, reliability_curve
from vlmcog.tasks.registry import get_task
from vlmcog.training import workdir as workdir_lib
from vlmcog.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN where undefined."""

    who: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    undefined: str = ""


@dataclasses.dataclass(frozen=True)
class Pair:
    """The error consistency of two of people, model and observers; NaN where undefined."""

    first: str
    second: str
    error_consistency: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How far single answers to an item differ, and how many there are of one.

    Attributes:
      deviation: the standard deviation of answers to one item, pooled over items; NaN where only means are known.
      answers: how many an item has: the harmonic mean, which is the one that a mean's variance goes by.
    """

    deviation: float
    answers: float

    def error(self, mean: float, *, is_binary: bool) -> float:
        """Returns the standard error of people's mean where all people would say `mean`: of yes and no, a share."""
        deviation = math.sqrt(mean * (1 - mean)) if is_binary else self.deviation
        return deviation / math.sqrt(self.answers)


@dataclasses.dataclass(frozen=True)
class Standing:
    """What was measured on one evaluated set.

    Attributes:
      rung: the set and where it stands.
      facts: what the manifest says of it.
      estimates: every number.
      examples: some of its stimuli.
      differing: those on which model and people differ most.
      points: for each item judged by people, their mean response, the model's graded answer and the truth.
      sampling: how far a mean of so many people's answers may lie from what all people would say.
      reliability: bins of P(yes) with how often the answer was yes, where there is a truth.
      consistency: every two of people, model and observers compared in their errors.
    """

    rung: Rung
    facts: dict[str, Any]
    estimates: tuple[Estimate, ...]
    examples: tuple[Example, ...]
    differing: tuple[Example, ...] = ()
    points: tuple[tuple[float, float, int], ...] = ()
    sampling: Sampling | None = None
    reliability: tuple[Bin, ...] = ()
    consistency: tuple[Pair, ...] = ()

    def get(self, metric: str, who: str = "") -> Estimate | None:
        """Returns a number of `who`: the model, unless named; None where it wasn't measured."""
        mine = (e for e in self.estimates if e.metric == metric and (e.who == who if who else is_model(e.who)))
        return next(mine, None)

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        guess = self.get("accuracy", CHANCE)
        return guess.value if guess else float("nan")

    @property
    def people(self) -> Estimate | None:
        """The average person's accuracy, or the average simulated participant's."""
        return self.get("accuracy", self.judges)

    @property
    def judges(self) -> str:
        """Who judged it: `people`, unless they are `simulated participants`."""
        return self.facts.get("judges") or PEOPLE

    @property
    def is_simulated(self) -> bool:
        """Whether simulated participants judged it."""
        return self.judges == SIMULATED

    @property
    def observers(self) -> list[Estimate]:
        """The accuracies of observers other than chance, of those that have one."""
        known = (e for e in self.estimates if e.metric == "accuracy" and not math.isnan(e.value))
        return [e for e in known if e.who.startswith(OBSERVER) and e.who != CHANCE]


@dataclasses.dataclass(frozen=True)
class Missing:
    """A rung of the ladder that was not evaluated, and the commands that add it."""

    rung: Rung
    commands: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Content:
    """A run and everything measured on it."""

    run: str
    model: str
    config: TrainConfig
    tuned_on: tuple[DatasetSpec, ...]
    standings: tuple[Standing, ...]
    missing: tuple[Missing, ...]
    log: tuple[dict[str, float], ...]
    manifest: dict[str, Any]

    @property
    def steps(self) -> list[int]:
        """The training steps whose checkpoints were evaluated: one, unless the run went on in between."""
        return sorted(
            {s.facts["checkpoint_step"] for s in self.standings if s.facts.get("checkpoint_step") is not None}
        )

    def on(self, rung: str) -> Standing | None:
        """Returns the first standing on a rung, by its name."""
        return next((standing for standing in self.standings if standing.rung.name == rung), None)


def is_model(who: str) -> bool:
    """Whether a row of the metrics is about the model, not about people or an observer."""
    return who not in JUDGES and not who.startswith(OBSERVER)


def read(workdir: pathlib.Path) -> Content:
    """Reads a run's folder.

    Raises:
      UserError: it holds no run, nothing was evaluated, or a file is damaged or another run's; with the way out.
    """
    config = workdir_lib.read_config(workdir)
    tuned_on = specs.parse_joined(config.data.dataset)
    record = manifest.read(workdir)
    metrics = tables.read_metrics(workdir, run=record["run"], make_it=_evaluate(workdir, "ladder"))
    if metrics.empty:
        raise UserError(f"{workdir / tables.METRICS} is empty; evaluate with: {_evaluate(workdir, 'ladder')}")
    standings = [
        _standing(workdir, ladder.rung(str(name), tuned_on), rows, record)
        for name, rows in metrics.groupby("evaluated_on")
    ]
    order = [*ladder.LADDER, ladder.ELSEWHERE]
    return Content(
        run=record["run"],
        model=next(filter(is_model, metrics.model)),
        config=config,
        tuned_on=tuned_on,
        standings=tuple(sorted(standings, key=lambda standing: order.index(standing.rung.name))),
        missing=tuple(_missing(workdir, config, tuned_on, {standing.rung.name for standing in standings})),
        log=tuple(workdir_lib.read_log(workdir)),
        manifest=record,
    )


def _standing(workdir: pathlib.Path, rung: Rung, rows: pd.DataFrame, record: dict[str, Any]) -> Standing:
    facts = record["evaluations"].get(rung.evaluated_on, {})
    make_it = _evaluate(workdir, rung.evaluated_on)
    answers = tables.read_answers(tables.answers_path(workdir, rung), run=record["run"], make_it=make_it)
    people = tables.read_people(tables.people_path(workdir, rung), make_it=make_it) if facts.get("people") else None
    return Standing(
        rung=rung,
        facts=facts,
        estimates=tuple(_estimate(row, facts.get("undefined", {})) for row in rows.itertuples()),
        examples=tuple(examples.read(tables.examples_path(workdir, rung), make_it=make_it)),
        differing=() if people is None else tuple(examples.read(tables.differing_path(workdir, rung), make_it=make_it)),
        points=() if people is None else tuple(_points(people, rung, answers)),
        sampling=None if people is None else _sampling(people),
        reliability=tuple(_reliability(answers)) if rung.is_binary else (),
        consistency=tuple(_pairs(workdir, rung, make_it)),
    )


def _estimate(row: Any, undefined: dict[str, str]) -> Estimate:
    reason = undefined.get(f"{row.model}: {row.metric}", "undefined") if np.isnan(row.value) else ""
    return Estimate(row.model, row.metric, row.value, row.ci_low, row.ci_high, row.n, reason)


def _points(people: pd.DataFrame, rung: Rung, answers: pd.DataFrame) -> Iterator[tuple[float, float, int]]:
    means = dict(zip(people.item, people["mean"], strict=True))
    graded = as_arrays(answers, get_task(rung.task).answers).graded
    for item, value, answer in zip(answers.item, graded, answers.answer, strict=True):
        if not np.isnan(means.get(item, np.nan)):
            yield means[item], float(value), int(answer)


def _sampling(people: pd.DataFrame) -> Sampling:
    judged = people.loc[people.n > 0]
    return Sampling(float(np.sqrt((judged["sd"] ** 2).mean())), float(1 / (1 / judged.n).mean()))


def _reliability(answers: pd.DataFrame) -> list[Bin]:
    known = answers.loc[answers.answer != NO_ANSWER]
    if known.empty:
        return []
    p_yes = np.array([json.loads(probabilities)[1] for probabilities in known.probabilities])
    return [found for found in reliability_curve(p_yes, known.answer.to_numpy()) if found.n]


def _pairs(workdir: pathlib.Path, rung: Rung, make_it: str) -> Iterator[Pair]:
    table = tables.read_consistency(tables.consistency_path(workdir, rung), make_it=make_it)
    columns = (table[column] for column in ("first", "second", "error_consistency", "ci_low", "ci_high"))
    yield from map(Pair, *columns)


def _missing(
    workdir: pathlib.Path, config: TrainConfig, tuned_on: tuple[DatasetSpec, ...], done: set[str]
) -> Iterator[Missing]:
    for rung in ladder.rungs(tuned_on):
        if rung.name not in done:
            build = build_command(rung.spec, config.data.data_dir or None)
            yield Missing(rung, (build, _evaluate(workdir, rung.evaluated_on)))


def _evaluate(workdir: pathlib.Path, datasets: str) -> str:
    return f"python -m vlmcog.evaluate --workdir {workdir} --datasets {datasets}"
