"""What the runs of a study answered, as tables: the generalisation matrix, the curves, and the contrasts.

Every number is a mean over seeds and items of the same set; see `statistics.crossed`.
"""

import dataclasses
import functools
import pathlib

import numpy as np
import pandas as pd
from jaxtyping import Float

from vlmcog.evaluation import ladder, manifest, tables
from vlmcog.evaluation.metrics import as_arrays
from vlmcog.statistics.crossed import Estimate, crossed_mean, pearson_values
from vlmcog.study import design
from vlmcog.study.config import StudyConfig
from vlmcog.study.design import Column, Row
from vlmcog.study.plan import PROBES, Folders, Plan, tune_name
from vlmcog.tasks.registry import get_task

ACCURACY, PEARSON = "accuracy", "pearson"
MAKE_IT = "the same command, after deleting the folder of that run"


@dataclasses.dataclass(frozen=True)
class Results:
    """The answers of every run, read when they are asked for."""

    config: StudyConfig
    folders: Folders
    plan: Plan

    @functools.cached_property
    def columns(self) -> tuple[Column, ...]:
        """The sets."""
        return design.columns(self.config)

    def seeds(self, row: Row) -> tuple[int, ...]:
        """The seeds of a model's runs."""
        return self.config.curve_seeds if row.curve else self.config.seeds

    def scores(self, row: Row, column: Column, metric: str = ACCURACY) -> Float[np.ndarray, "seeds items"]:
        """Returns a model's item scores on a set: right or wrong; or values whose mean is the correlation with people.

        Items without a truth, or that nobody judged, are left out; without any the table is empty.
        """
        answers = [self._answers(row, column, seed) for seed in self.seeds(row)]
        if metric == ACCURACY:
            known = answers[0].answer.to_numpy() >= 0
            return np.array([(one.response == one.answer).to_numpy()[known].astype(float) for one in answers])
        people = self._people(row, column)
        judged = ~np.isnan(people)
        graded = np.array([as_arrays(one, get_task(column.task).answers).graded[judged] for one in answers])
        return pearson_values(graded, people[judged])

    def has_people(self, column: Column) -> bool:
        """Whether people judged a set."""
        row = design.base(self.config)
        return tables.people_path(self._run(row, self.seeds(row)[0]), self._rung(row, column)).exists()

    def gain(self, row: Row, column: Column, metric: str = ACCURACY) -> Estimate:
        """Returns by how much a model is above the base model of the same seed, item by item."""
        base = self.scores(design.base(self.config), column, metric)
        mine = [self.config.seeds.index(seed) for seed in self.seeds(row)]
        return crossed_mean(self.scores(row, column, metric) - base[mine])

    def matrix(self) -> pd.DataFrame:
        """Returns the accuracy, and the gain over the base model, of every model on every set."""
        return pd.DataFrame([self._cell(row, column) for row in design.rows(self.config) for column in self.columns])

    def curves(self) -> pd.DataFrame:
        """Returns the same of the models of the curves, with how many items or looks they were tuned on."""
        cells = [
            {"curve": row.curve, "x": row.items if row.curve == "items" else len(row.specs), **self._cell(row, column)}
            for row in design.curves(self.config)
            for column in self.columns
        ]
        return pd.DataFrame(cells)

    def probes(self) -> pd.DataFrame:
        """Returns how well physical quantities can be read off each layer, before tuning and after."""
        runs = [(row, seed) for row in design.probed(self.config) for seed in self.config.curve_seeds]
        read = [pd.read_csv(self._run(row, seed) / PROBES).assign(model=row.name, seed=seed) for row, seed in runs]
        return pd.concat(read, ignore_index=True)

    def _cell(self, row: Row, column: Column) -> dict[str, object]:
        scores = self.scores(row, column)
        estimate, gain = crossed_mean(scores), self.gain(row, column)
        return {
            "model": row.name,
            "evaluated_on": column.name,
            "relation": design.relation(row, column),
            "accuracy": estimate.value,
            "ci_low": max(estimate.interval().low, 0.0),
            "ci_high": min(estimate.interval().high, 1.0),
            "gain": gain.value,
            "gain_low": gain.interval().low,
            "gain_high": gain.interval().high,
            "seeds": scores.shape[0],
            "items": scores.shape[1],
        }

    def _people(self, row: Row, column: Column) -> Float[np.ndarray, " items"]:
        """People's mean answer to each item, in the order of the answers."""
        seed = self.seeds(row)[0]
        path = tables.people_path(self._run(row, seed), self._rung(row, column))
        table = tables.read_people(path, make_it=MAKE_IT)
        means = dict(zip(table.item, table["mean"], strict=True))
        return np.array([means.get(item, np.nan) for item in self._answers(row, column, seed).item])

    def _answers(self, row: Row, column: Column, seed: int) -> pd.DataFrame:
        return _read_answers(self._run(row, seed), self._rung(row, column))

    def _run(self, row: Row, seed: int) -> pathlib.Path:
        return self.folders.run(self.plan[tune_name(row, seed)].stem)

    def _rung(self, row: Row, column: Column) -> ladder.Rung:
        return ladder.rung(str(column.spec), row.specs)


@functools.lru_cache(maxsize=1024)
def _read_answers(run: pathlib.Path, rung: ladder.Rung) -> pd.DataFrame:
    path = tables.answers_path(run, rung)
    table = tables.read_answers(path, run=manifest.read(run)["run"], make_it=MAKE_IT)
    return table.sort_values("item", ignore_index=True)
