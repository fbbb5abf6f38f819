"""Verdicts: on made-up runs with known truth each hypothesis is decided as it should be, and never by too little."""

import numpy as np
import pytest

from vlmcog.statistics.crossed import crossed_mean
from vlmcog.study import design, hypotheses
from vlmcog.study.config import StudyConfig
from vlmcog.study.design import relation
from vlmcog.study.hypotheses import NOT_SUPPORTED, SUPPORTED, UNDECIDED

CONFIG = StudyConfig(other_looks=("wooden",))


class MadeUp:
    """Results whose gains are drawn around a mean for each relation."""

    config = CONFIG
    columns = design.columns(CONFIG)

    def __init__(self, *, items=600, judged=(), **gains):
        self.items, self.judged, self.gains = items, judged, gains

    def has_people(self, column):
        return column.name in self.judged

    def gain(self, row, column, metric):
        rng = np.random.default_rng([len(row.name), len(column.name), len(metric)])
        mean = self.gains.get(relation(row, column).replace(" ", "_"), 0.0)
        return crossed_mean(mean + 0.4 * rng.standard_normal((3, self.items)))


def _verdicts(results):
    table = hypotheses.verdicts(hypotheses.contrasts(results))
    return dict(zip(table.hypothesis, table.verdict, strict=True)), table


def test_a_gain_without_transfer_is_supported_throughout():
    found, table = _verdicts(MadeUp(items=4000, same_split=0.3, judged=("IP small",)))
    assert set(found.values()) == {SUPPORTED}
    assert (table.p_holm >= table.p).all()
    assert "gains over the base model of" in table.sentence.iloc[0]


def test_transfer_refutes_that_there_is_none():
    found, table = _verdicts(MadeUp(items=4000, same_split=0.3, other_look=0.2, other_domain=0.2))
    assert found["no transfer to visuals"] == found["no transfer to domains"] == NOT_SUPPORTED
    assert "IP small on IP wooden" in table.sentence[2]


def test_no_gain_refutes_a_gain():
    assert _verdicts(MadeUp(items=4000))[0]["in-domain gain"] == NOT_SUPPORTED


def test_few_items_decide_nothing():
    found, _ = _verdicts(MadeUp(items=12, same_split=0.1))
    assert found["no transfer to visuals"] == found["no transfer to domains"] == UNDECIDED


def test_without_people_alignment_is_undecided():
    found, table = _verdicts(MadeUp(same_split=0.3))
    assert found["gain in alignment"] == UNDECIDED
    assert "no set of this study can tell" in table.sentence[1]


def test_contrasts_are_of_models_tuned_on_the_truth_of_one_domain():
    table = hypotheses.contrasts(MadeUp(same_split=0.3))
    own = table.loc[table.hypothesis == "in-domain gain"]
    names = ["IP small", "IP large", "CR small", "CR large"]
    assert list(own.model) == list(own.evaluated_on) == names


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_they_say():
    """Of gains that are all nothing, and of transfers at the bound, at most one study in twenty is called supported."""
    rng, gains, transfers = np.random.default_rng(0), 0, 0
    for _ in range(400):
        null = crossed_mean(0.4 * rng.standard_normal((3, 300)))
        edge = crossed_mean(CONFIG.equivalence + 0.4 * rng.standard_normal((3, 300)))
        gains += null.p_not_above(0.0) < hypotheses.LEVEL
        transfers += edge.p_not_equivalent(CONFIG.equivalence) < hypotheses.LEVEL
    assert gains <= 0.07 * 400
    assert transfers <= 0.07 * 400
