"""The page: content, figures and words poured into the template. It stands alone and loads nothing."""

import dataclasses
import json
import os
import pathlib

import jinja2

from vlmcog import files
from vlmcog.evaluation import ladder
from vlmcog.report import scale, wording
from vlmcog.report.content import Content, read
from vlmcog.report.scale import Scale
from vlmcog.tasks.registry import get_task

TITLES = {
    ladder.SAME_SPLIT: "Same split",
    ladder.OPPOSITE_SPLIT: "Opposite split",
    ladder.OTHER_LOOK: "Other look",
    ladder.REAL_PHOTOS: "Real photographs",
    ladder.OTHER_DOMAIN: "Other domain",
    ladder.ELSEWHERE: "Elsewhere",
}
METRICS = {
    "accuracy": "accuracy",
    "brier": "Brier score",
    "mean_absolute_error": "mean absolute error",
    "pearson": "Pearson\N{RIGHT SINGLE QUOTATION MARK}s r with people",
    "spearman": "Spearman\N{RIGHT SINGLE QUOTATION MARK}s \N{GREEK SMALL LETTER RHO} with people",
    "kappa": "Cohen\N{RIGHT SINGLE QUOTATION MARK}s \N{GREEK SMALL LETTER KAPPA} with the majority",
    "majority_accuracy": "accuracy of the majority",
    "leave_one_out_pearson": "Pearson\N{RIGHT SINGLE QUOTATION MARK}s r, one person with the others",
    "split_half_reliability": "split-half reliability (Spearman\N{EN DASH}Brown)",
    "pearson_ceiling": "ceiling of Pearson\N{RIGHT SINGLE QUOTATION MARK}s r",
}
ALIGNMENT = ("pearson", "spearman", "kappa")


@dataclasses.dataclass(frozen=True)
class Curve:
    """A curve over training steps."""

    title: str
    x: Scale
    y: Scale
    points: str
    last: float


def write_report(workdir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes the page of an evaluated run and returns its path.

    Raises:
      UserError: nothing was evaluated, or a file of the run is damaged.
    """
    path = pathlib.Path(workdir) / "report" / "index.html"
    files.write_text(path, render(read(pathlib.Path(workdir))))
    return path


def render(content: Content) -> str:
    """Returns the page as HTML; every text in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vlmcog.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        content=content,
        words=wording,
        titles=TITLES,
        metric_names=METRICS,
        alignment=ALIGNMENT,
        ladder=ladder,
        accuracy=accuracy_axis(content),
        unit=scale.UNIT,
        curves=curves(content),
        get_task=get_task,
        config=json.dumps(dataclasses.asdict(content.config), indent=2),
    )


def accuracy_axis(content: Content) -> Scale:
    """Returns the one axis of the ladder, wide enough for everything on it."""
    estimates = [e for s in content.standings for e in s.estimates if e.metric in wording.SHARES]
    return scale.accuracy_scale([0.5, *(end for e in estimates for end in (e.value, e.low))])


def curves(content: Content) -> list[Curve]:
    """Returns the learning curves that the log has."""
    wanted = {"loss": "Training loss, nats a token", "validation_accuracy": "Validation accuracy"}
    found = ((title, [(row["step"], row[key]) for row in content.log if key in row]) for key, title in wanted.items())
    return [_curve(title, points) for title, points in found if len(points) > 1]


def _curve(title: str, points: list[tuple[float, float]]) -> Curve:
    steps, values = zip(*points, strict=True)
    x, y = scale.step_scale(steps), scale.value_scale(values)
    return Curve(title, x, y, scale.polyline(points, x, y), values[-1])
