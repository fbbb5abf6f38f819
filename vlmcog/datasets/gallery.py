"""A built set on one page that stands alone: pictures with truths, what varies, balance, and shortcuts."""

import base64
import collections
import dataclasses
import io
import itertools
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from vlmcog.datasets import read, shortcuts
from vlmcog.datasets.factors import Value, factors
from vlmcog.datasets.features import NO_ANSWER, Trial
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.errors import UserError

THUMBNAILS = 24
THUMBNAIL_SIDE = 160
BINS = 16
CHANCE = 0.5
SPLIT_OF_PICTURES = "test"


@dataclasses.dataclass(frozen=True)
class Page:
    """The page, and the tasks that the set asks."""

    html: str
    tasks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Bar:
    """A bar of a histogram: its name and its parts as percentages of the figure's height, a part an answer."""

    name: str
    counts: tuple[int, ...]
    parts: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A factor's histogram; `low` and `high` label the axis of a number."""

    title: str
    bars: tuple[Bar, ...]
    low: str = ""
    high: str = ""


def gallery(spec: DatasetSpec, data_dir: str | os.PathLike[str] | None = None) -> Page:
    """Returns the page of a built set.

    Raises:
      UserError: the set isn't built or is damaged.
    """
    splits = {split: read.load(spec, split, data_dir) for split in read.splits(spec, data_dir)}
    shown = splits[SPLIT_OF_PICTURES]
    tasks = tuple(sorted({trial.task for trial in shown}))
    first = [trial for trial in shown if trial.task == tasks[0]]
    options = first[0].options
    varying = factors(first)
    constants = {name: values[0] for name, values in varying.items() if len(set(values)) == 1}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vlmcog.datasets"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    html = environment.get_template("gallery.html").render(
        spec=spec,
        sizes={split: len(source) for split, source in splits.items()},
        pictures=_pictures(shown),
        task=tasks[0],
        question=first[0].question,
        options=options if len(options) <= 4 else (),
        figures=[_figure(name, values, _answers(first)) for name, values in varying.items() if name not in constants],
        constants=constants,
        balance=_balance(splits),
        chance=CHANCE,
        **_shortcut_rows(spec, data_dir),
    )
    return Page(html, tasks)


def _pictures(source: Iterable[Trial]) -> list[dict[str, Any]]:
    """The first items, each with every question about it and its truth."""
    by_item: dict[str, list[Trial]] = {}
    for trial in source:
        if trial.item in by_item or len(by_item) < THUMBNAILS:
            by_item.setdefault(trial.item, []).append(trial)
    return [
        {"image": _data_url(trials[0].image), "item": item, "truths": [_truth(trial) for trial in trials]}
        for item, trials in by_item.items()
    ]


def _truth(trial: Trial) -> str:
    answer = "unknown" if trial.answer == NO_ANSWER else trial.options[trial.answer]
    return f"{trial.task.replace('_', ' ')}: {answer}"


def _data_url(image: np.ndarray) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)  # smaller ones stay as they are
    buffer = io.BytesIO()
    picture.save(buffer, format="webp", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _answers(trials: Sequence[Trial]) -> list[int]:
    """The answer's index where the figure can tell answers apart, else 0."""
    few = len(trials[0].options) <= 4
    return [max(trial.answer, 0) if few else 0 for trial in trials]


def _figure(name: str, values: Sequence[Value], answers: Sequence[int]) -> Figure:
    ways = max(answers) + 1
    if isinstance(values[0], str):
        names = sorted(set(map(str, values)), key=lambda text: (not text.isdigit(), len(text), text))
        return Figure(name, _bars(names, [names.index(str(value)) for value in values], answers, ways))
    numbers = np.array(values, float)
    known = np.isfinite(numbers)
    edges = np.histogram_bin_edges(numbers[known], BINS)
    bins = np.clip(np.searchsorted(edges, numbers[known], side="right") - 1, 0, BINS - 1).tolist()
    labels = [f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)]
    bars = _bars(labels, bins, np.array(answers)[known].tolist(), ways)
    return Figure(name, bars, f"{edges[0]:.3g}", f"{edges[-1]:.3g}")


def _bars(names: Sequence[str], bins: Sequence[int], answers: Sequence[int], ways: int) -> tuple[Bar, ...]:
    counts = np.zeros((len(names), ways), int)
    np.add.at(counts, (list(bins), list(answers)), 1)
    most = max(int(counts.sum(1).max()), 1)
    return tuple(
        Bar(name, tuple(row), tuple(100 * count / most for count in row))
        for name, row in zip(names, counts.tolist(), strict=True)
    )


def _balance(splits: dict[str, read.TrialSource]) -> list[dict[str, Any]]:
    """For each split, yes/no task and number of blocks: how many trials, and the share of positive answers."""
    counts: dict[tuple[str, str, int], collections.Counter[int]] = {}
    for split, source in splits.items():
        for trial in source:
            if len(trial.options) == 2 and trial.answer != NO_ANSWER:
                counts.setdefault((split, trial.task, trial.n_blocks), collections.Counter())[trial.answer] += 1
    order = list(splits)
    return [
        {"split": split, "task": task, "n_blocks": n, "trials": count.total(), "share": count[1] / count.total()}
        for (split, task, n), count in sorted(counts.items(), key=lambda kv: (order.index(kv[0][0]), kv[0][1:]))
    ]


def _shortcut_rows(spec: DatasetSpec, data_dir: str | os.PathLike[str] | None) -> dict[str, Any]:
    """The audit, or why there is none."""
    try:
        tasks = shortcuts.binary_tasks(spec)
        train, test = (read.load(spec, split, data_dir, tasks=tasks) for split in ("train", "test"))
        baselines = shortcuts.shortcut_baselines(train, test)
    except UserError as error:
        return {"audit": [], "no_audit": str(error)}
    rows = [
        {"name": _audited(one, tasks), "accuracy": one.accuracy, "low": one.interval.low, "high": one.interval.high}
        for one in baselines
    ]
    return {"audit": [row for row in rows if not math.isnan(row["accuracy"])], "no_audit": ""}


def _audited(shortcut: shortcuts.Shortcut, tasks: Sequence[str]) -> str:
    """The cue, and the task where there are several."""
    return shortcut.name if len(tasks) == 1 else f"{shortcut.task.replace('_', ' ')}: {shortcut.name}"
