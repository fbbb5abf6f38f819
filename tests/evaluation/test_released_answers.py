"""The released models' answers: each to the right picture, and none made up."""

import csv
import math

import made_up_releases as made_up
import numpy as np
import pandas as pd
import pytest

from vlmcog.errors import UserError
from vlmcog.evaluation import released_answers
from vlmcog.evaluation.released_answers import MODELS, SOURCES

AGENTS = "data/AGENTS_RESULTS.csv"


def _read(release, task):
    table = released_answers.read(release, task)
    assert list(table.columns) == list(MODELS)
    return table


@pytest.mark.parametrize("task", SOURCES)
def test_answers_are_the_cells(made_up_release, task):
    source = SOURCES[task]
    table = _read(made_up_release, task)
    with (made_up_release / source.file).open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";" if "JENGA" in source.file else ","))
    expected = [row for row in rows if row[source.condition] == source.value]
    assert table.index.tolist() == [row[source.item] for row in expected]
    for model in MODELS:
        cells = [float(row[model]) if row[model] else math.nan for row in expected]
        np.testing.assert_array_equal(table[model], cells)
    assert math.isnan(released_answers.published(made_up_release, task)["FUYU"])


@pytest.mark.parametrize("task", SOURCES)
def test_sample(release, task):
    source = SOURCES[task]
    rows = pd.read_csv(release / source.file, sep=";" if "JENGA" in source.file else ",", dtype=str)
    rows = rows[rows[source.condition] == source.value].set_index(source.item)
    expected = rows[list(MODELS)].apply(pd.to_numeric)
    pd.testing.assert_frame_equal(_read(release, task), expected, check_names=False, check_dtype=False)


def test_published_scores_are_read_in_the_order_of_the_models(made_up_release):
    path = made_up_release / SOURCES["agents_intention"].published
    made_up.write_csv(
        path, [["V1", "V2", "V3"], *([f"{k}", 0.1 * k, 0, 0] for k in range(1, 6)), ["6", "NA", "NA", "NA"]]
    )
    scores = released_answers.published(made_up_release, "agents_intention")
    assert [scores[model] for model in MODELS] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert math.isnan(scores["HUMAN"])
    made_up.write_csv(path, [["V1"], ["1", 0.1]])
    with pytest.raises(UserError, match="not 6 rows"):
        released_answers.published(made_up_release, "agents_intention")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Intention", "Intent", ["no row with 'Intention' in column COND"]),
        ("OTTER", "OTHER", ["no column 'OTTER'"]),
        ("2,Intention", "1,Intention", ["column SEQ", "'1'", "a second row"]),
        ("2,Intention,", "2,Intention,maybe", ["row 6", "column FUYU", "'maybe'", "a number, or empty"]),
    ],
)
def test_wrong_file_is_named(made_up_release, old, new, words):
    path = made_up_release / AGENTS
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as raised:
        released_answers.read(made_up_release, "agents_intention")
    for word in (AGENTS, *words):
        assert word in str(raised.value)


def test_missing_file_is_named(made_up_release):
    (made_up_release / AGENTS).unlink()
    with pytest.raises(UserError, match=f"no {AGENTS}; a release is a checkout of"):
        released_answers.read(made_up_release, "agents_intention")
