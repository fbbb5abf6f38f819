"""The accuracy on every rung as a few lines of text, for a terminal."""

import math

import pandas as pd

from vlmcog.datasets import specs
from vlmcog.evaluation import ladder
from vlmcog.evaluation.metrics import JUDGES, PEOPLE, SIMULATED
from vlmcog.evaluation.observers import CHANCE, OBSERVER

HEADER = ("rung", "evaluated on", "items", "accuracy [95 %]", "chance", "people")


def summary(metrics: pd.DataFrame) -> str:
    """Returns a table of the models' accuracies: a line for each set they were evaluated on, in the ladder's order."""
    rows = [_row(row, metrics) for row in accuracies(metrics).itertuples()]
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    lines = [HEADER, *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def accuracies(metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows that hold a model's own accuracy, in the ladder's order, with their rung as a further column."""
    own = ~metrics.model.isin(JUDGES) & ~metrics.model.str.startswith(OBSERVER) & metrics.metric.eq("accuracy")
    rows = metrics.loc[own]
    names = [ladder.rung(row.evaluated_on, specs.parse_joined(row.tuned_on)).name for row in rows.itertuples()]
    order = [*ladder.LADDER, ladder.ELSEWHERE]
    return rows.assign(rung=names).sort_values("rung", key=lambda rungs: rungs.map(order.index), kind="stable")


def _row(row, metrics: pd.DataFrame) -> tuple[str, ...]:
    here = metrics.loc[metrics.evaluated_on.eq(row.evaluated_on) & metrics.metric.eq("accuracy")]
    others = dict(zip(here.model, here.value, strict=True))
    accuracy = f"{_percent(row.value)} [{_percent(row.ci_low)}, {_percent(row.ci_high)}]"
    chance, people, simulated = (_percent(others.get(name, math.nan)) for name in (CHANCE, PEOPLE, SIMULATED))
    judges = f"{simulated} (simulated)" if SIMULATED in others else people
    return (row.rung, row.evaluated_on, str(row.n), accuracy, chance, judges)


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"
