"""A study's page and figures from made-up tables: with people or without, and with what is undefined."""

import itertools

import numpy as np
import pandas as pd
import pytest

from vlmcog.evaluation.examples import Example
from vlmcog.report.study_figures import write_figures
from vlmcog.report.study_page import render

MODELS, SETS = ("base", "IP <small>"), ("IP small", "photographs")
RECORD = {
    "config": {
        "seeds": [0, 1],
        "train": 2000,
        "test": 3,
        "image_size": 64,
        "base_from": "",
        "base": {"total_steps": 1200},
        "tune": {"total_steps": 500, "model": {"family": "paligemma", "size": "tiny"}},
    },
    "versions": {"vlmcog": "0"},
    "git_revision": "",
}
PICTURE = Example("tower-1", "Will it fall?", ("no", "yes"), (0.4, 0.6), response=1, answer=0, people=0.25, png="AA==")


def _table(columns, rows):
    return pd.DataFrame(rows, columns=columns.split())


def _tables(*, judged):
    cells = list(itertools.product(MODELS, SETS))
    relations = {"IP small": "same split", "photographs": "real photos"}
    matrix = [(m, s, relations[s], 0.6, 0.5, 0.7, 0.1, 0.0, 0.2, 2, 3) for m, s in cells]
    people = [("people", "photographs", "accuracy", 0.61, 0.55, 0.66, 3)]
    people.append(("people", "photographs", "pearson_ceiling", 0.98, 0.97, 0.99, 3))
    answers = np.linspace(0, 1, 3)
    items = [
        (m, s, f"tower-{k}", 0, answers[k], 0.5, answers[2 - k] if judged and s == "photographs" else np.nan)
        for m, s in cells
        for k in range(3)
    ]
    scale = "model evaluated_on relation accuracy ci_low ci_high gain gain_low gain_high seeds items"
    contrast = ("in-domain gain", MODELS[1], "IP small", "accuracy", 0.1, 0.0, 0.2, 0.05, 0.04, False)
    return {
        "matrix": _table(scale, matrix),
        "contrasts": _table("hypothesis model evaluated_on metric gain ci_low ci_high bound p refuted", [contrast]),
        "hypotheses": _table(
            "hypothesis p p_holm contrasts verdict sentence",
            [("in-domain gain", 0.04, 0.16, 1, "undecided", "So & so.")],
        ),
        "curves": _table(f"curve x {scale}", [("items", x, *matrix[2]) for x in (64, 256)]),
        "alignment": _table(
            "model evaluated_on pearson ci_low ci_high seeds items",
            [("base", "photographs", np.nan, np.nan, np.nan, 2, 3), (MODELS[1], "photographs", 0.3, 0.1, 0.5, 2, 3)]
            * judged,
        ),
        "people": _table("who evaluated_on metric value ci_low ci_high n", people * judged),
        "items": _table("model evaluated_on item truth answer right people", items),
        "learning": _table(
            "model seed step loss validation_loss validation_accuracy",
            [(m, seed, step, 1.0, 1.0, 0.5) for m in MODELS for seed in (0, 1) for step in (50, 100)],
        ),
        "probes": _table(
            "quantity network layer value model",
            [("margin", "vision", layer, 0.2 * layer, m) for m in MODELS for layer in range(3)],
        ),
    }


@pytest.mark.parametrize("judged", [False, True])
def test_the_page_shows_what_there_is(judged):
    page = render(_tables(judged=judged), {"photographs": [PICTURE]}, RECORD)
    assert page.count('class="square"') == 2 * judged
    assert page.count("the average person 61") == 1 * judged
    assert ("ceiling of r 0.98" in page) == ("no variance" in page) == ("r = 0.30 [0.10, 0.50]" in page) == judged
    assert page.count("<polyline") == 1 + 2 * 2 + 2  # a curve, two models of two seeds, two models' probes
    assert page.count('class="whisker"') == 2
    assert page.count("<img") == 1
    assert "<small>" not in page
    assert "So &amp; so." in page


def test_a_study_without_curves_or_validations_has_a_page():
    tables = _tables(judged=True)
    tables |= {name: tables[name].iloc[:0] for name in ("curves", "probes", "learning", "contrasts")}
    page = render(tables, {}, RECORD)
    assert "How they learnt" not in page
    assert "More looks" not in page


@pytest.mark.parametrize("judged", [False, True])
def test_figures_are_written_the_same_each_time(tmp_path, judged):
    for folder in ("a", "b"):
        write_figures(tmp_path / folder, _tables(judged=judged))
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / folder).iterdir()} for folder in ("a", "b"))
    assert first == second
    drawn = {"matrix", "gains", "ladders", "curves", "learning", "probes"} | ({"alignment"} if judged else set())
    assert set(first) == {f"{name}.{kind}" for name in drawn for kind in ("pdf", "svg")}
    assert b">IP &lt;small&gt;<" in first["matrix.svg"]  # text stays text
