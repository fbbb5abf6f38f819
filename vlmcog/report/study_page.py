"""The page of a study: its tables as figures and sentences. It stands alone and loads nothing."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from vlmcog import files
from vlmcog.evaluation.examples import Example
from vlmcog.evaluation.ladder import ELSEWHERE, LADDER
from vlmcog.evaluation.tables import rows as rows_of
from vlmcog.report import scale, wording
from vlmcog.report.html import template
from vlmcog.report.scale import Scale

CURVES = {"items": "training scenes", "looks": "looks"}
QUANTITIES = {"margin": "static margin", "top_offset": "offset of the top block", "n_blocks": "number of blocks"}
VERDICT_MARKS = {"supported": "✓", "not supported": "✗", "undecided": "?"}
CEILING = "pearson_ceiling"

Tables = Mapping[str, pd.DataFrame]
"""Those of `study.tables`, by name."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a figure, with its points in a box of 100 x 100, and intervals as (x, low, high)."""

    name: str
    points: str
    last: float
    intervals: tuple[tuple[float, float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Panel:
    """One small figure: lines over labelled places along x."""

    title: str
    x: Scale
    y: Scale
    labels: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True)
class Ladder:
    """One model's accuracies, nearest set first, with the base model's and people's on the same set, where known."""

    model: str
    rungs: tuple[tuple[Any, Any, Any], ...]


@dataclasses.dataclass(frozen=True)
class Scatter:
    """One model's answers over people's mean answers to the same items."""

    title: str
    note: str
    axis: Scale
    points: tuple[tuple[float, float, int], ...]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A stimulus, and of each model the share of seeds that were right on it, or its mean answer where no truth is."""

    example: Example
    answers: tuple[Any, ...]


def write_study_report(
    workdir: pathlib.Path, tables: Tables, pictures: Mapping[str, Sequence[Example]], record: Mapping[str, Any]
) -> pathlib.Path:
    """Writes the page of a study and returns its path; see `render`."""
    path = workdir / "report" / "index.html"
    files.write_text(path, render(tables, pictures, record))
    return path


def render(tables: Tables, pictures: Mapping[str, Sequence[Example]], record: Mapping[str, Any]) -> str:
    """Returns the page as HTML; every text in it is escaped.

    Args:
      tables: those of `study.tables`, by name.
      pictures: some stimuli of each set.
      record: the study's config, and the code that ran it.
    """
    contrasts = [(name, rows_of(rows)) for name, rows in tables["contrasts"].groupby("hypothesis", sort=False)]
    return template("study.html").render(
        words=wording,
        matrix=_matrix(tables["matrix"]),
        columns=list(dict.fromkeys(tables["matrix"].evaluated_on)),
        hypotheses=rows_of(tables["hypotheses"]),
        marks=VERDICT_MARKS,
        contrasts=contrasts,
        gains=gain_scale,
        unit=scale.UNIT,
        ladders=list(ladders(tables["matrix"], tables["people"])),
        scatters=_scatters(tables),
        curves={title: list(_curves(tables["curves"], curve)) for curve, title in CURVES.items()},
        learning=list(_learning(tables["learning"])),
        probes=list(_probes(tables["probes"])),
        pictures={name: list(_pictures(tables["items"], name, drawn)) for name, drawn in pictures.items()},
        tables=list(tables),
        record=record,
        config=json.dumps(record["config"], indent=2),
    )


def gain_scale(rows: list[Any]) -> Scale:
    """Returns the axis of some gains: to either side as far as the furthest end of an interval or bound, at most 1."""
    ends = [abs(end) for row in rows for end in (row.ci_low, row.ci_high, row.bound) if not math.isnan(end)]
    most = min(scale.value_scale(ends or [1.0]).high, 1.0)
    return Scale(-most, most, (-most, -most / 2, 0.0, most / 2, most))


def ladders(matrix: pd.DataFrame, people: pd.DataFrame) -> Iterator[Ladder]:
    """Yields the ladder of each model but the first, which is the base model."""
    (_, base), *tuned = _matrix(matrix)
    known = {row.evaluated_on: row for row in rows_of(people) if row.metric == "accuracy"}
    before = {row.evaluated_on: row for row in base}
    order = [*LADDER, ELSEWHERE]
    for model, rows in tuned:
        nearest_first = sorted(rows, key=lambda row: order.index(row.relation))
        yield Ladder(
            model, tuple((row, before[row.evaluated_on], known.get(row.evaluated_on)) for row in nearest_first)
        )


def _matrix(table: pd.DataFrame) -> list[tuple[str, list[Any]]]:
    return [(str(model), rows_of(rows)) for model, rows in table.groupby("model", sort=False)]


def _scatters(tables: Tables) -> dict[str, list[Scatter]]:
    """For each judged set a panel a model."""
    judged = tables["items"].loc[tables["items"].people.notna()]
    found: dict[str, list[Scatter]] = {}
    for row in rows_of(tables["alignment"]):
        own = judged.loc[(judged.model == row.model) & (judged.evaluated_on == row.evaluated_on)]
        both = [*own.people, *own.answer]
        axis = scale.UNIT if max(both) <= 1 else scale.value_scale(both)
        note = "no variance" if math.isnan(row.pearson) else f"r = {wording.decimal(row.pearson)}"
        if not math.isnan(row.ci_low):
            note += f" [{wording.decimal(row.ci_low)}, {wording.decimal(row.ci_high)}]"
        points = tuple(zip(own.people, own.answer, own.truth, strict=True))
        found.setdefault(_judged_title(row.evaluated_on, tables["people"]), []).append(
            Scatter(row.model, note, axis, points)
        )
    return found


def _judged_title(column: str, people: pd.DataFrame) -> str:
    ceiling = people.loc[(people.evaluated_on == column) & (people.metric == CEILING)].value.dropna()
    return f"{column}, ceiling of r {wording.decimal(ceiling.iloc[0])}" if len(ceiling) else column


def _curves(table: pd.DataFrame, curve: str) -> Iterator[Panel]:
    """A panel a set: accuracy over what the curve varies, at equal steps."""
    own = table.loc[table.curve == curve]
    places = {x: place for place, x in enumerate(sorted(set(own.x)))}
    x = Scale(0.0, max(len(places) - 1, 1), tuple(map(float, places.values())))
    for column, rows in own.groupby("evaluated_on", sort=False):
        rows = rows.sort_values("x")
        at = list(map(places.__getitem__, rows.x))
        line = _line("accuracy", zip(at, rows.accuracy, strict=True), x)
        line = dataclasses.replace(line, intervals=tuple(zip(at, rows.ci_low, rows.ci_high, strict=True)))
        yield Panel(str(column), x, scale.UNIT, tuple(f"{value:,}" for value in places), (line,))


def _learning(table: pd.DataFrame) -> Iterator[Panel]:
    """A panel a model that was validated: accuracy over training steps, a line a seed."""
    for model, rows in table.loc[table.validation_accuracy.notna()].groupby("model", sort=False):
        x = scale.step_scale(list(rows.step))
        seeds = rows.groupby("seed", sort=False)
        lines = [_line(f"seed {seed}", zip(own.step, own.validation_accuracy, strict=True), x) for seed, own in seeds]
        yield Panel(str(model), x, scale.UNIT, tuple(f"{tick:,.0f}" for tick in x.ticks), tuple(lines))


def _probes(table: pd.DataFrame) -> Iterator[Panel]:
    """A panel for each quantity and network: R2, at least 0, over layers, a line a model."""
    shown = table.loc[(table.network != "pixels") & table.value.notna()]
    for (quantity, network), rows in shown.groupby(["quantity", "network"], sort=False):
        layers = sorted(set(rows.layer))
        x, lines = Scale(0.0, float(max(*layers, 1)), tuple(map(float, layers))), []
        for model, own in rows.groupby("model", sort=False):
            means = own.groupby("layer").value.mean().clip(lower=0.0)
            lines.append(_line(str(model), zip(map(float, means.index), means, strict=True), x))
        title = f"{QUANTITIES[str(quantity)]}, {network}"
        yield Panel(title, x, scale.UNIT, tuple(map(str, layers)), tuple(lines))


def _line(name: str, points: Any, x: Scale) -> Line:
    points = list(points)
    return Line(name, scale.polyline(points, x, scale.UNIT), points[-1][1])


def _pictures(items: pd.DataFrame, column: str, drawn: Sequence[Example]) -> Iterator[Picture]:
    own = items.loc[items.evaluated_on == column]
    for example in drawn:
        yield Picture(example, tuple(rows_of(own.loc[own["item"] == example.item])))
