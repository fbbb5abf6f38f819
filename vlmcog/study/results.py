"""What the runs of a study answered: item scores, and gains over the base model.

Every number is a mean over seeds and items of the same set; see `statistics.crossed`.
"""

import dataclasses
import functools
import pathlib

import numpy as np
import pandas as pd
from jaxtyping import Float

from vlmcog.evaluation import examples, ladder, manifest, tables
from vlmcog.evaluation.examples import Example
from vlmcog.evaluation.metrics import as_arrays
from vlmcog.statistics.crossed import Estimate, crossed_mean, pearson_values
from vlmcog.study import design
from vlmcog.study.config import StudyConfig
from vlmcog.study.design import Column, Row
from vlmcog.study.plan import Folders, Plan, tune_name
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
        answers = [self.answers(row, column, seed) for seed in self.seeds(row)]
        if metric == ACCURACY:
            known = answers[0].answer.to_numpy() >= 0
            return np.array([(one.response == one.answer).to_numpy()[known].astype(float) for one in answers])
        people = self.people(row, column)
        judged = ~np.isnan(people)
        graded = np.array([as_arrays(one, get_task(column.task).answers).graded[judged] for one in answers])
        return pearson_values(graded, people[judged])

    def has_people(self, column: Column) -> bool:
        """Whether people judged a set."""
        row = design.base(self.config)
        return tables.people_path(self.run(row, self.seeds(row)[0]), self.rung(row, column)).exists()

    def gain(self, row: Row, column: Column, metric: str = ACCURACY) -> Estimate:
        """Returns by how much a model is above the base model of the same seed, item by item."""
        base = self.scores(design.base(self.config), column, metric)
        mine = [self.config.seeds.index(seed) for seed in self.seeds(row)]
        return crossed_mean(self.scores(row, column, metric) - base[mine])

    def people(self, row: Row, column: Column) -> Float[np.ndarray, " items"]:
        """Returns people's mean answer to each item, in the order of the answers; NaN where nobody answered."""
        seed = self.seeds(row)[0]
        path = tables.people_path(self.run(row, seed), self.rung(row, column))
        table = tables.read_people(path, make_it=MAKE_IT)
        means = dict(zip(table.item, table["mean"], strict=True))
        return np.array([means.get(item, np.nan) for item in self.answers(row, column, seed).item])

    def answers(self, row: Row, column: Column, seed: int) -> pd.DataFrame:
        """Returns what one run answered on a set, sorted by item."""
        return _read_answers(self.run(row, seed), self.rung(row, column))

    def run(self, row: Row, seed: int) -> pathlib.Path:
        """Returns the folder of a run."""
        return self.folders.run(self.plan[tune_name(row, seed)].stem)

    def rung(self, row: Row, column: Column) -> ladder.Rung:
        """Returns the rung that a set was evaluated as, which its files are named after."""
        return ladder.rung(str(column.spec), row.specs)


def pictures(results: Results) -> dict[str, list[Example]]:
    """Returns some stimuli of each set, drawn at random from those that a base model was right on and wrong on."""
    base, seed = design.base(results.config), results.config.seeds[0]
    return {
        column.name: examples.read(
            tables.examples_path(results.run(base, seed), results.rung(base, column)), make_it=MAKE_IT
        )
        for column in results.columns
    }


@functools.lru_cache(maxsize=1024)
def _read_answers(run: pathlib.Path, rung: ladder.Rung) -> pd.DataFrame:
    path = tables.answers_path(run, rung)
    table = tables.read_answers(path, run=manifest.read(run)["run"], make_it=MAKE_IT)
    return table.sort_values("item", ignore_index=True)
