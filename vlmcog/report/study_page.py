"""The page of a study: its tables as figures and sentences. It stands alone and loads nothing."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import pandas as pd

from vlmcog import files
from vlmcog.errors import UserError
from vlmcog.report import scale, wording
from vlmcog.report.html import template
from vlmcog.report.scale import Scale

TABLES = ("matrix", "contrasts", "hypotheses", "curves", "probes")
CURVES = {"items": "training scenes", "looks": "looks"}
QUANTITIES = {"margin": "static margin", "top_offset": "offset of the top block", "n_blocks": "number of blocks"}
VERDICT_MARKS = {"supported": "✓", "not supported": "✗", "undecided": "?"}


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a figure, with its points in a box of 100 x 100."""

    name: str
    points: str
    last: float


@dataclasses.dataclass(frozen=True)
class Panel:
    """One small figure: lines over labelled places along x."""

    title: str
    x: Scale
    y: Scale
    labels: tuple[str, ...]
    lines: tuple[Line, ...]


def write_study_report(workdir: pathlib.Path) -> pathlib.Path:
    """Writes the page of a study whose tables are there, and returns its path.

    Raises:
      UserError: a table is missing or damaged.
    """
    path = workdir / "report" / "index.html"
    files.write_text(path, render(*_read(workdir)))
    return path


def render(tables: dict[str, pd.DataFrame], record: dict[str, Any]) -> str:
    """Returns the page as HTML; every text in it is escaped.

    Args:
      tables: those of `TABLES`, by name.
      record: the study's config, and the code that ran it.
    """
    contrasts = [
        (name, list(rows.itertuples())) for name, rows in tables["contrasts"].groupby("hypothesis", sort=False)
    ]
    return template("study.html").render(
        words=wording,
        matrix=_matrix(tables["matrix"]),
        columns=list(dict.fromkeys(tables["matrix"].evaluated_on)),
        hypotheses=list(tables["hypotheses"].itertuples()),
        marks=VERDICT_MARKS,
        contrasts=contrasts,
        gains=gain_scale,
        curves={title: list(_curves(tables["curves"], curve)) for curve, title in CURVES.items()},
        probes=list(_probes(tables["probes"])),
        tables=TABLES,
        record=record,
        config=json.dumps(record["config"], indent=2),
    )


def gain_scale(rows: list[Any]) -> Scale:
    """Returns the axis of some gains: to either side as far as the furthest end of an interval or bound, at most 1."""
    ends = [abs(end) for row in rows for end in (row.ci_low, row.ci_high, row.bound) if not math.isnan(end)]
    most = min(scale.value_scale(ends or [1.0]).high, 1.0)
    return Scale(-most, most, (-most, -most / 2, 0.0, most / 2, most))


def _read(workdir: pathlib.Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    path = workdir / "study.json"
    try:
        tables = {}
        for name in TABLES:
            path = workdir / "tables" / f"{name}.csv"
            tables[name] = pd.read_csv(path)
        path = workdir / "study.json"
        return tables, json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({type(error).__name__}); run the study again") from None


def _matrix(table: pd.DataFrame) -> list[tuple[str, list[Any]]]:
    return [(str(model), list(rows.itertuples())) for model, rows in table.groupby("model", sort=False)]


def _curves(table: pd.DataFrame, curve: str) -> Iterator[Panel]:
    """A panel a set: accuracy over what the curve varies, at equal steps."""
    own = table.loc[table.curve == curve] if len(table) else table
    if own.empty:
        return
    places = {x: place for place, x in enumerate(sorted(set(own.x)))}
    x, y = Scale(0.0, max(len(places) - 1, 1), tuple(map(float, places.values()))), scale.UNIT
    for column, rows in own.groupby("evaluated_on", sort=False):
        rows = rows.sort_values("x")
        points = list(zip(map(places.__getitem__, rows.x), rows.accuracy, strict=True))
        line = Line("accuracy", scale.polyline(points, x, y), points[-1][1])
        yield Panel(str(column), x, y, tuple(f"{value:,}" for value in places), (line,))


def _probes(table: pd.DataFrame) -> Iterator[Panel]:
    """A panel for each quantity and network: R2, at least 0, over layers, a line a model."""
    shown = table.loc[(table.network != "pixels") & table.value.notna()]
    for (quantity, network), rows in shown.groupby(["quantity", "network"], sort=False):
        layers = sorted(set(rows.layer))
        x, lines = Scale(0.0, float(max(*layers, 1)), tuple(map(float, layers))), []
        for model, own in rows.groupby("model", sort=False):
            means = own.groupby("layer").value.mean().clip(lower=0.0)
            points = list(zip(map(float, means.index), means, strict=True))
            lines.append(Line(str(model), scale.polyline(points, x, scale.UNIT), points[-1][1]))
        title = f"{QUANTITIES[str(quantity)]}, {network}"
        yield Panel(title, x, scale.UNIT, tuple(map(str, layers)), tuple(lines))
