"""The figures of a study for a paper, each as PDF and SVG, the same bytes for the same tables."""

import itertools
import math
import pathlib
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vlmcog.evaluation.tables import rows as rows_of
from vlmcog.files import atomic_path
from vlmcog.report import study_page
from vlmcog.report.study_page import Tables

MODEL, PEOPLE, QUIET = "#0a5fa8", "#ad5a00", "#757b83"
STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "vlmcog",
}
UNDATED = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
COLUMNS = 4
_WIDTH = 7.0  # of a page in inches


def write_figures(folder: pathlib.Path, tables: Tables) -> None:
    """Writes every figure that the tables have something for.

    Args:
      folder: where to.
      tables: those of `study.tables`, by name.
    """
    with matplotlib.rc_context(STYLE):
        drawn = {name: draw(tables) for name, draw in FIGURES.items()}
        for (name, figure), (kind, undated) in itertools.product(drawn.items(), UNDATED.items()):
            if figure is not None:
                with atomic_path(folder / f"{name}.{kind}") as temporary:
                    figure.savefig(temporary, format=kind, metadata=undated)


def matrix(tables: Tables) -> Figure:
    """Accuracy of every model on every set as a heat map, with intervals."""
    table = tables["matrix"]
    models, sets = (list(dict.fromkeys(table[name])) for name in ("model", "evaluated_on"))
    values = table.pivot(index="model", columns="evaluated_on", values="accuracy").loc[models, sets]
    figure, axes = _axes(height=0.45 * len(models) + 1.2)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    for row in rows_of(table):
        text = f"{100 * row.accuracy:.0f}\n{100 * row.ci_low:.0f} to {100 * row.ci_high:.0f}"
        axes.text(sets.index(row.evaluated_on), models.index(row.model), text, ha="center", va="center", fontsize=6)
    axes.set_xticks(range(len(sets)), sets, rotation=30, ha="right")
    axes.set_yticks(range(len(models)), models)
    axes.set_title("accuracy in %, with 95 % intervals", loc="left")
    return figure


def gains(tables: Tables) -> Figure:
    """The gains that the hypotheses are about, and the bounds within which one counts as none."""
    table = tables["contrasts"]
    names = list(dict.fromkeys(table.hypothesis))
    counts = [int((table.hypothesis == name).sum()) for name in names]
    figure = Figure(figsize=(_WIDTH, 0.18 * len(table) + 0.6 * len(names)), layout="constrained")
    panels = np.ravel(figure.subplots(len(names), height_ratios=counts))
    for axes, name in zip(panels, names, strict=True):
        own = table.loc[table.hypothesis == name]
        bound, places = own.bound.iloc[0], np.arange(len(own))
        axes.axvspan(-bound, bound, color=QUIET, alpha=0.15, linewidth=0)
        axes.axvline(0, color=QUIET, linewidth=0.8)
        _intervals(axes, own.gain, own.ci_low, own.ci_high, places)
        axes.set_yticks(places, [f"{row.model} on {row.evaluated_on}" for row in rows_of(own)])
        axes.invert_yaxis()
        axes.set_title(
            f"{name}: gain in {'r with people' if own.metric.iloc[0] == 'pearson' else 'accuracy'}", loc="left"
        )
    return figure


def ladders(tables: Tables) -> Figure:
    """Accuracy of each tuned model, nearest sets first, with the base model's and people's."""
    shown = list(study_page.ladders(tables["matrix"], tables["people"]))
    figure, panels = _grid(len(shown), height=0.16 * len(shown[0].rungs) + 0.5, columns=2)
    for axes, ladder in zip(panels, shown, strict=True):
        for place, (row, before, person) in enumerate(ladder.rungs):
            axes.plot(before.accuracy, place, "o", color=QUIET, markerfacecolor="none", markersize=3.5)
            if person is not None:
                axes.vlines(person.value, place - 0.4, place + 0.4, color=PEOPLE)
            _intervals(axes, row.accuracy, row.ci_low, row.ci_high, place)
        axes.set(xlim=(0, 1), title=ladder.model)
        axes.set_yticks(range(len(ladder.rungs)), [row.evaluated_on for row, _, _ in ladder.rungs])
        axes.set_ylim(len(ladder.rungs) - 0.5, -0.5)
    judged = bool((tables["people"].metric == "accuracy").any())
    figure.supxlabel("accuracy; hollow: before tuning" + "; line: the average person" * judged)
    return figure


def alignment(tables: Tables) -> Figure | None:
    """Every model's answers over people's mean answers, for each judged set."""
    judged = tables["items"].loc[tables["items"].people.notna()]
    if not len(tables["alignment"]):
        return None
    figure, panels = _grid(len(tables["alignment"]), height=1.8)
    for axes, row in zip(panels, rows_of(tables["alignment"]), strict=True):
        own = judged.loc[(judged.model == row.model) & (judged.evaluated_on == row.evaluated_on)]
        axes.plot(own.people, own.answer, "o", color=MODEL, markersize=2, alpha=0.6)
        axes.axline((0, 0), slope=1, color=PEOPLE, linewidth=0.8)
        ends = (0, 1.05 * max(1, *own.people, *own.answer))
        axes.set(xlim=ends, ylim=ends)
        r = "no variance" if math.isnan(row.pearson) else f"r = {row.pearson:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]"
        axes.set_title(f"{row.model} on {row.evaluated_on}\n{r}", fontsize=6)
    figure.supxlabel("people: mean answer")
    figure.supylabel("model: mean answer")
    return figure


def curves(tables: Tables) -> Figure | None:
    """Accuracy over the number of training scenes, and of looks, for each set."""
    table = tables["curves"]
    if not len(table):
        return None
    groups = list(table.groupby(["curve", "evaluated_on"], sort=False))
    figure, panels = _grid(len(groups), height=1.5)
    for axes, (_, rows) in zip(panels, groups, strict=True):
        rows = rows.sort_values("x")
        curve, column = rows.curve.iloc[0], rows.evaluated_on.iloc[0]
        _intervals(axes, rows.x, rows.ci_low, rows.ci_high, rows.accuracy, upright=True)
        axes.plot(rows.x, rows.accuracy, color=MODEL, linewidth=1)
        axes.set_xscale("log", base=2)
        axes.set_xticks(rows.x, [f"{value:g}" for value in rows.x], fontsize=6)
        axes.set(ylim=(0, 1), title=column, xlabel={"items": "training scenes"}.get(curve, curve))
    return figure


def learning(tables: Tables) -> Figure | None:
    """Accuracy on validation scenes over training steps, a line a seed."""
    groups = list(tables["learning"].dropna(subset="validation_accuracy").groupby("model", sort=False))
    return _lines(groups, "seed", "step", "validation_accuracy", "training steps") if groups else None


def probes(tables: Tables) -> Figure | None:
    """R2 of linear probes over layers, a line a model."""
    shown = tables["probes"].loc[(tables["probes"].network != "pixels") & tables["probes"].value.notna()]
    means = shown.groupby(["quantity", "network", "model", "layer"], sort=False).value.mean().clip(0).reset_index()
    groups = list(means.groupby(means.quantity + ", " + means.network, sort=False))
    return _lines(groups, "model", "layer", "value", "layer") if groups else None


FIGURES: dict[str, Callable[[Tables], Figure | None]] = {
    "matrix": matrix,
    "gains": gains,
    "ladders": ladders,
    "alignment": alignment,
    "curves": curves,
    "learning": learning,
    "probes": probes,
}


def _lines(groups: list[tuple[Any, pd.DataFrame]], of: str, x: str, y: str, label: str) -> Figure:
    figure, panels = _grid(len(groups), height=1.5)
    for axes, (title, rows) in zip(panels, groups, strict=True):
        for place, (name, own) in enumerate(rows.groupby(of, sort=False)):
            axes.plot(own[x], own[y], marker=".", color=(MODEL, PEOPLE, QUIET)[place % 3], linewidth=1, label=str(name))
        axes.set(ylim=(0, 1), title=title, xlabel=label)
    panels[0].legend(fontsize=6, title=of, title_fontsize=6)
    return figure


def _grid(count: int, *, height: float, columns: int = COLUMNS) -> tuple[Figure, np.ndarray]:
    """So many panels, each that high in inches, without those that would stay empty."""
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(_WIDTH, rows * height + 0.4), layout="constrained")
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _intervals(axes: Axes, x: Any, low: Any, high: Any, y: Any, *, upright: bool = False) -> None:
    if upright:
        axes.vlines(x, low, high, color=MODEL, linewidth=1)
    else:
        axes.hlines(y, low, high, color=MODEL, linewidth=1)
    axes.plot(x, y, "o", color=MODEL, markersize=3.5)
