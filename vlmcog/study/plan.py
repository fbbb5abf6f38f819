"""From a config to the cells of its study: sets are made, judged, learnt from and tested on."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

from vlmcog.datasets import read, registry
from vlmcog.datasets.build import build
from vlmcog.datasets.simulate import simulate
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.errors import UserError
from vlmcog.models import registry as models
from vlmcog.study import design
from vlmcog.study.cells import Plan
from vlmcog.study.config import StudyConfig
from vlmcog.study.design import BASE, Row
from vlmcog.training import config as config_lib
from vlmcog.training.config import TrainConfig
from vlmcog.training.workdir import read_config

PROBES = "probes.csv"
BATCH_SIZE = 64
PARTICIPANTS_NOISE = 0.1  # of the median simulated one, in block sides


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where a study keeps what it makes."""

    workdir: pathlib.Path

    @property
    def data(self) -> pathlib.Path:
        """The datasets."""
        return self.workdir / "data"

    def judgments(self, stem: str) -> pathlib.Path:
        """The answers of simulated participants."""
        return self.workdir / "judgments" / f"{stem}.csv"

    def run(self, stem: str) -> pathlib.Path:
        """A training run with its answers."""
        return self.workdir / "runs" / stem


def make(config: StudyConfig, folders: Folders) -> Plan:
    """Returns the cells of a study, each after those that it needs.

    Raises:
      UserError: `judgments` or `release` can't be read.
    """
    planner = _Planner(config, folders, Plan(), design.columns(config))
    for seed in config.seeds:
        for row in design.rows(config):
            planner.test(row, seed)
    for seed in config.curve_seeds:
        for row in design.curves(config):
            planner.test(row, seed)
        for row in design.probed(config):
            planner.probe(row, seed)
    return planner.plan


def tune_name(row: Row, seed: int) -> str:
    """The name of the cell that trains a model."""
    return f"tune {row.name}, seed {seed}"


def test_name(row: Row, seed: int) -> str:
    """The name of the cell that tests it."""
    return f"test {row.name}, seed {seed}"


def probe_name(row: Row, seed: int) -> str:
    """The name of the cell that probes its layers."""
    return f"probe {row.name}, seed {seed}"


@dataclasses.dataclass(frozen=True)
class _Planner:
    """Adds cells with all that they need; each returns the name of its cell."""

    config: StudyConfig
    folders: Folders
    plan: Plan
    columns: tuple[design.Column, ...]

    def test(self, row: Row, seed: int) -> str:
        needs = [self.tune(row, seed), *(self.build(column.spec) for column in self.columns)]
        run, specs = self.folders.run(self.plan[needs[0]].stem), [str(column.spec) for column in self.columns]

        def work(_: str) -> None:
            from vlmcog.evaluate import evaluate  # slow to import

            evaluate(run, specs, self.folders.data, with_observers=False, with_fits=False)

        return self.plan.add(test_name(row, seed), {}, needs, work)

    def probe(self, row: Row, seed: int) -> str:
        column = self.columns[0]
        needs = [self.tune(row, seed), self.build(column.spec)]
        run = self.folders.run(self.plan[needs[0]].stem)

        def work(_: str) -> None:
            from vlmcog.evaluation import probes, tables  # slow to import
            from vlmcog.training import result

            model = models.build(read_config(run).model)
            source = read.load(column.spec, "test", self.folders.data, tasks=(column.task,))
            found = probes.probes(model, result.restore(run, model), source, batch_size=BATCH_SIZE)
            tables.write(found.assign(evaluated_on=column.name), run / PROBES)

        return self.plan.add(probe_name(row, seed), {}, needs, work)

    def tune(self, row: Row, seed: int) -> str:
        # A public base needs no sets, so that it comes first and a wrong path shows before they are made.
        taken = row.name == BASE and bool(self.config.base_from)
        needs = [] if taken else [self.build(spec) for spec in row.specs]
        start = judgments = ""
        if row.name != BASE:
            before = self.tune(design.base(self.config), seed)
            needs, start = [*needs, before], str(self.folders.run(self.plan[before].stem))
        if row.judged:
            judge, judgments = self.judge(row)
            needs += judge
        config = design.train_config(
            self.config, row, seed, data_dir=str(self.folders.data), init_from=start, judgments=judgments
        )
        recipe: dict[str, Any] = {"config": _without_paths(config), "judgments": self._digest() if row.judged else ""}
        if taken:
            return self.plan.add(
                tune_name(row, seed), recipe | {"from": self.config.base_from}, needs, self._taken(config)
            )
        return self.plan.add(tune_name(row, seed), recipe, needs, self._trained(config))

    def judge(self, row: Row) -> tuple[list[str], str]:
        """What comes before a table of judgments about a model's training scenes, and the table."""
        if self.config.judgments:
            return [], self.config.judgments
        settings = {"participants": self.config.participants, "noise": PARTICIPANTS_NOISE, "items": row.items}

        def work(stem: str) -> None:
            out = self.folders.judgments(stem)
            simulate(row.specs[0], self.folders.data, out, split="train", **settings)

        name = self.plan.add("simulate people", settings, [self.build(row.specs[0])], work)
        return [name], str(self.folders.judgments(self.plan[name].stem))

    def build(self, spec: DatasetSpec) -> str:
        if (name := f"make {spec}") in self.plan:
            return name
        release = None if spec.is_synthetic else pathlib.Path(self.config.release)
        recipe = {} if release is None else {"release": registry.builder_class(spec.name).read(release).digest()}

        def work(_: str) -> None:
            build(spec, self.folders.data, release=release)

        return self.plan.add(name, recipe, (), work)

    def _trained(self, config: TrainConfig):
        def work(stem: str) -> None:
            from vlmcog.train import train  # slow to import

            train(config, self.folders.run(stem))

        return work

    def _taken(self, config: TrainConfig):
        """Makes a run of no steps from a public checkpoint."""

        def work(stem: str) -> None:
            from vlmcog.training import result  # slow to import

            base = self.config.base_from
            if not pathlib.Path(base).exists():
                raise UserError(f"base_from={base!r}: nothing is there; name a public checkpoint, a folder or file")
            result.take(base, config, self.folders.run(stem))

        return work

    def _digest(self) -> str:
        """That of people's judgments; those of simulated participants are a cell."""
        try:
            given = self.config.judgments and pathlib.Path(self.config.judgments).read_bytes()
        except OSError as error:
            raise UserError(f"judgments={self.config.judgments!r} can't be read: {error.strerror}") from error
        return hashlib.sha256(given).hexdigest() if given else ""


def _without_paths(config: TrainConfig) -> dict[str, Any]:
    """The config as JSON, but for where things lie: what lies there is a cell that is needed."""
    plain = json.loads(config_lib.to_json(config))
    plain["init_from"] = ""
    plain["data"] |= {"data_dir": "", "judgments": ""}
    return plain
