"""What people said about the items that a model answered."""

from collections.abc import Sequence

import pandas as pd

from vlmcog.statistics import ceilings
from vlmcog.statistics.ceilings import Responses

COLUMNS = ("evaluated_on", "item", "mean", "n")


def response_matrix(judgments: pd.DataFrame, items: Sequence[str]) -> Responses | None:
    """Turns one task's judgment table into people x items, in the order of `items`; None where nobody was asked."""
    if judgments.empty:
        return None
    matrix = judgments.pivot(index="participant", columns="item", values="response")
    return matrix.reindex(columns=list(items)).to_numpy(float)


def item_table(responses: Responses, items: Sequence[str], *, evaluated_on: str) -> pd.DataFrame:
    """Returns each item's mean response and how many people gave one; no single person's answers."""
    n = (responses == responses).sum(0)
    table = pd.DataFrame({"item": list(items), "mean": ceilings.item_means(responses), "n": n})
    return table.assign(evaluated_on=evaluated_on).loc[:, list(COLUMNS)]
