"""The tables of a study, from the answers of its runs.

matrix       accuracy, and gain over the base model, of every model on every set
contrasts    the gains that the hypotheses are about, and `hypotheses`, the verdicts
curves       as `matrix`, of models tuned on ever more scenes, or looks
alignment    how every model's answers correlate with people's, on the sets that people judged
people       how good people are there, and how far they agree: the bars for a model
items        what every model answered to every item
learning     loss and accuracy of every run while it learnt
probes       how well physical quantities can be read off each layer, before tuning and after
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from vlmcog.evaluation import manifest, tables
from vlmcog.evaluation.metrics import JUDGES, as_arrays
from vlmcog.statistics.crossed import crossed_mean
from vlmcog.study import design, hypotheses
from vlmcog.study.design import Column, Row
from vlmcog.study.plan import PROBES
from vlmcog.study.results import MAKE_IT, PEARSON, Results
from vlmcog.tasks.registry import get_task
from vlmcog.training import workdir as workdir_lib

_MATRIX = ["model", "evaluated_on", "relation", "accuracy", "ci_low", "ci_high", "gain", "gain_low", "gain_high"]
_SIZES = ["seeds", "items"]
_LOGGED = ["loss", "validation_loss", "validation_accuracy"]


def make(results: Results) -> dict[str, pd.DataFrame]:
    """Returns every table by its name."""
    contrasts = hypotheses.contrasts(results)
    return {
        "matrix": matrix(results),
        "contrasts": contrasts,
        "hypotheses": hypotheses.verdicts(contrasts),
        "curves": curves(results),
        "alignment": alignment(results),
        "people": people(results),
        "items": items(results),
        "learning": learning(results),
        "probes": probes(results),
    }


def matrix(results: Results) -> pd.DataFrame:
    """Returns the accuracy of every model on every set, and the gain over the base model; NaN for that itself."""
    return pd.DataFrame([_cell(results, row, column) for row, column in _cells(results)], columns=[*_MATRIX, *_SIZES])


def curves(results: Results) -> pd.DataFrame:
    """Returns the same of the models of the curves, with how many items or looks they were tuned on, as `x`."""
    cells = [
        {"curve": row.curve, "x": row.items if row.curve == "items" else len(row.specs), **_cell(results, row, column)}
        for row in design.curves(results.config)
        for column in results.columns
    ]
    return pd.DataFrame(cells, columns=["curve", "x", *_MATRIX, *_SIZES])


def alignment(results: Results) -> pd.DataFrame:
    """Returns Pearson's r of every model's answers with people's mean answers, with its 95 % interval."""
    cells = []
    for row, column in _cells(results):
        if results.has_people(column):
            scores = results.scores(row, column, PEARSON)
            estimate = crossed_mean(scores)
            interval = estimate.interval()
            ends = np.clip([interval.low, interval.high], -1.0, 1.0)
            cells.append((row.name, column.name, estimate.value, *ends, *scores.shape))
    return pd.DataFrame(cells, columns=["model", "evaluated_on", PEARSON, "ci_low", "ci_high", *_SIZES])


def people(results: Results) -> pd.DataFrame:
    """Returns what is known of the people who judged a set: accuracies, and the ceilings of a correlation with them."""
    base = design.base(results.config)
    run = results.run(base, results.config.seeds[0])
    names = {results.rung(base, column).evaluated_on: column.name for column in results.columns}
    metrics = tables.read_metrics(run, run=manifest.read(run)["run"], make_it=MAKE_IT)
    own = metrics.loc[metrics.model.isin(JUDGES) & metrics.evaluated_on.isin(list(names))]
    own = own.assign(evaluated_on=own.evaluated_on.map(names)).rename(columns={"model": "who"})
    return own[["who", "evaluated_on", "metric", "value", "ci_low", "ci_high", "n"]]


def items(results: Results) -> pd.DataFrame:
    """Returns, of every model and item, the mean answer over seeds, and the share of seeds that were right.

    An answer is P(yes) or the expected count; `truth` is -1, and `right` NaN, where nobody knows it; `people` is their
    mean answer, NaN where nobody was asked.
    """
    return pd.concat([_items(results, row, column) for row, column in _cells(results)], ignore_index=True)


def learning(results: Results) -> pd.DataFrame:
    """Returns what the runs of the matrix logged while they learnt; NaN where they were not validated."""
    moments: dict[tuple[str, int, int], dict[str, float]] = {}
    for row in design.rows(results.config):
        for seed in results.seeds(row):
            for logged in workdir_lib.read_log(results.run(row, seed)):
                moments.setdefault((row.name, seed, int(logged["step"])), {}).update(logged)
    rows = [(*key, *map(logged.get, _LOGGED)) for key, logged in moments.items()]
    return pd.DataFrame(rows, columns=["model", "seed", "step", *_LOGGED]).astype(dict.fromkeys(_LOGGED, float))


def probes(results: Results) -> pd.DataFrame:
    """Returns how well physical quantities can be read off each layer, before tuning and after."""
    runs = [(row, seed) for row in design.probed(results.config) for seed in results.config.curve_seeds]
    read = [pd.read_csv(results.run(row, seed) / PROBES).assign(model=row.name, seed=seed) for row, seed in runs]
    return pd.concat(read, ignore_index=True)


def _cells(results: Results) -> Iterator[tuple[Row, Column]]:
    for row in design.rows(results.config):
        for column in results.columns:
            yield row, column


def _cell(results: Results, row: Row, column: Column) -> dict[str, Any]:
    scores = results.scores(row, column)
    estimate = crossed_mean(scores)
    cell = {
        "model": row.name,
        "evaluated_on": column.name,
        "relation": design.relation(row, column),
        "accuracy": estimate.value,
        "ci_low": max(estimate.interval().low, 0.0),
        "ci_high": min(estimate.interval().high, 1.0),
        "seeds": scores.shape[0],
        "items": scores.shape[1],
    }
    if row.name == design.BASE:
        return cell
    gain = results.gain(row, column)
    return cell | {"gain": gain.value, "gain_low": gain.interval().low, "gain_high": gain.interval().high}


def _items(results: Results, row: Row, column: Column) -> pd.DataFrame:
    answers = [results.answers(row, column, seed) for seed in results.seeds(row)]
    first, space = answers[0], get_task(column.task).answers
    right = np.mean([one.response == one.answer for one in answers], axis=0)
    return pd.DataFrame(
        {
            "model": row.name,
            "evaluated_on": column.name,
            "item": first.item,
            "truth": first.answer,
            "answer": np.mean([as_arrays(one, space).graded for one in answers], axis=0),
            "right": np.where(first.answer >= 0, right, np.nan),
            "people": results.people(row, column) if results.has_people(column) else np.nan,
        }
    )
