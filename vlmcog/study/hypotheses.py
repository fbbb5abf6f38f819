"""The study's four hypotheses, each with its test, written down before any result is seen.

    in-domain gain             tuned models beat their base model on new items of their own split
    gain in alignment          in their own domain they correlate better with people than their base model
    no transfer to visuals     on the same question in other looks and photographs they are as good as their base model
    no transfer to domains     so they are on the other cognitive domain

Each is a claim about several contrasts, a model and a set each, and holds where it holds in all of them: its p-value is
the largest of theirs (an intersection-union test; Berger, 1982, Technometrics 24, 295-300), and Holm's correction runs
over the four. "No transfer" is tested as equivalence (see `Estimate.p_not_equivalent`): that a gain is not significant
is no evidence that there is none. A claim that is not shown is not refuted by that: it is undecided, unless an interval
lies wholly where the claim says that it doesn't.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from vlmcog.evaluation.ladder import OTHER_DOMAIN, OTHER_LOOK, REAL_PHOTOS, SAME_SPLIT
from vlmcog.statistics.crossed import Estimate
from vlmcog.statistics.multiple import holm
from vlmcog.study import design
from vlmcog.study.design import BASE, Column, Row
from vlmcog.study.results import ACCURACY, PEARSON, Results

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"
LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A claim about gains over the base model.

    Attributes:
      name: as in the tables.
      claim: in words.
      metric: whose gain it is.
      relations: the sets that it is about, by where they stand from what a model was tuned on.
      is_gain: whether it claims a gain, rather than that there is none.
    """

    name: str
    claim: str
    metric: str
    relations: tuple[str, ...]
    is_gain: bool

    def p_value(self, gain: Estimate, bound: float) -> float:
        """Of the claim being wrong in one contrast."""
        return gain.p_not_above(0.0) if self.is_gain else gain.p_not_equivalent(bound)

    def is_refuted(self, gain: Estimate, bound: float) -> bool:
        """Whether the 95 % interval of one contrast lies wholly where the claim says that it doesn't."""
        interval = gain.interval()
        return interval.high < bound if self.is_gain else interval.low > bound or interval.high < -bound


HYPOTHESES = (
    Hypothesis(
        "in-domain gain", "Fine-tuning improves accuracy on new items of the same split", ACCURACY, (SAME_SPLIT,), True
    ),
    Hypothesis(
        "gain in alignment",
        "Fine-tuning in the domain that people were asked about makes answers more like theirs",
        PEARSON,
        (SAME_SPLIT, OTHER_LOOK, REAL_PHOTOS),
        True,
    ),
    Hypothesis(
        "no transfer to visuals",
        "What is learnt does not carry over to other looks and photographs",
        ACCURACY,
        (OTHER_LOOK, REAL_PHOTOS),
        False,
    ),
    Hypothesis(
        "no transfer to domains",
        "What is learnt does not carry over to the other domain",
        ACCURACY,
        (OTHER_DOMAIN,),
        False,
    ),
)


def contrasts(results: Results) -> pd.DataFrame:
    """Returns every contrast of every hypothesis: the gain with its interval, and the p-value of the claim."""
    return pd.DataFrame(
        [row for hypothesis in HYPOTHESES for row in _contrasts(hypothesis, results)], columns=_CONTRASTS
    )


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Returns what the contrasts say of each hypothesis: the p-value, corrected; the verdict; and a sentence."""
    found = [_verdict(hypothesis, table.loc[table.hypothesis == hypothesis.name]) for hypothesis in HYPOTHESES]
    corrected = holm(np.array([p_value for _, _, p_value in found]))
    rows = []
    for (hypothesis, own, p_value), p_holm in zip(found, corrected, strict=True):
        verdict = _decide(own, p_holm)
        rows.append((hypothesis.name, p_value, p_holm, len(own), verdict, _sentence(hypothesis, own, p_holm, verdict)))
    return pd.DataFrame(rows, columns=["hypothesis", "p", "p_holm", "contrasts", "verdict", "sentence"])


_CONTRASTS = ["hypothesis", "model", "evaluated_on", "metric", "gain", "ci_low", "ci_high", "bound", "p", "refuted"]


def _contrasts(hypothesis: Hypothesis, results: Results) -> Iterator[tuple]:
    config = results.config
    bound = config.equivalence if hypothesis.metric == ACCURACY else config.equivalence_pearson
    for row, column in _pairs(hypothesis, results):
        gain = results.gain(row, column, hypothesis.metric)
        interval = gain.interval()
        yield (
            hypothesis.name,
            row.name,
            column.name,
            hypothesis.metric,
            gain.value,
            interval.low,
            interval.high,
            bound,
            hypothesis.p_value(gain, bound),
            hypothesis.is_refuted(gain, bound),
        )


def _pairs(hypothesis: Hypothesis, results: Results) -> Iterator[tuple[Row, Column]]:
    """Models tuned on the truth of one domain, with the sets that the hypothesis is about."""
    for row in design.rows(results.config):
        if row.name == BASE or row.judged or len(row.domains) > 1:
            continue
        for column in results.columns:
            is_judged = hypothesis.metric == ACCURACY or results.has_people(column)
            if is_judged and design.relation(row, column) in hypothesis.relations:
                yield row, column


def _verdict(hypothesis: Hypothesis, own: pd.DataFrame) -> tuple[Hypothesis, pd.DataFrame, float]:
    undefined = own.empty or own.p.isna().any()
    return hypothesis, own, math.nan if undefined else float(own.p.max())


def _decide(own: pd.DataFrame, p_holm: float) -> str:
    if own.refuted.any():
        return NOT_SUPPORTED
    return SUPPORTED if p_holm < LEVEL else UNDECIDED


def _sentence(hypothesis: Hypothesis, own: pd.DataFrame, p_holm: float, verdict: str) -> str:
    if own.empty:
        return f"{hypothesis.claim}: {verdict}, since no set of this study can tell."
    least, most = own.gain.min(), own.gain.max()
    unit = "points of accuracy" if hypothesis.metric == ACCURACY else "of Pearson's r"
    scale, digits = (100, 1) if hypothesis.metric == ACCURACY else (1, 2)
    gains = f"gains over the base model of {scale * least:.{digits}f} to {scale * most:.{digits}f} {unit}"
    against = own.loc[own.refuted.astype(bool)]
    where = f"; against it: {', '.join(f'{r.model} on {r.evaluated_on}' for r in against.itertuples())}" * bool(
        len(against)
    )
    test = "one-sided t-test" if hypothesis.is_gain else f"equivalence within ±{scale * own.bound.iloc[0]:g}"
    p_text = "undefined" if math.isnan(p_holm) else f"{p_holm:.2g}"
    return f"{hypothesis.claim}: {verdict} ({gains} in {len(own)} contrasts; {test}, corrected p = {p_text}{where})."
