"""The table of a release: the script's numbers are those that its parts give by hand."""

import math
import runpy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import rdata


@pytest.fixture(scope="module")
def script():
    return runpy.run_path("scripts/release_table.py")


def _value(table, task, who, metric):
    (row,) = table[(table.task == task) & (table.who == who) & (table.metric == metric)].to_dict("records")
    return row


def _pooled_kappas(answers):
    """Cohen's kappa of every two columns by its own formula."""
    for i in range(answers.shape[1]):
        for j in range(i):
            x, y = answers[:, i], answers[:, j]
            expected = x.mean() * y.mean() + (1 - x.mean()) * (1 - y.mean())
            if 0 < x.mean() < 1 and 0 < y.mean() < 1:
                yield ((x == y).mean() - expected) / (1 - expected)


def _check_towers(table, root):
    answers = pd.read_csv(root / "data/tower_human_data.csv", index_col=0).to_numpy(float)
    results = pd.read_csv(root / "data/LERER_RESULTS_NEW.csv").query("Experiment == 3")
    truths = results.GT.astype(float).to_numpy()
    right = answers == truths[:, None]
    assert _value(table, "tower_falls", "people", "accuracy")["value"] == pytest.approx(right.mean())
    kappas = {"mean pairwise kappa": answers, "mean error consistency": right.astype(float)}
    for metric, matrix in kappas.items():
        value = _value(table, "tower_falls", "people", metric)["value"]
        assert value == pytest.approx(np.mean(list(_pooled_kappas(matrix))))
    share = answers.mean(1)
    votes = np.where(share == 0.5, 0.5, (share > 0.5) == truths)
    assert _value(table, "tower_falls", "people", "majority accuracy")["value"] == pytest.approx(votes.mean())
    for model in ("FUYU", "GPT-4V", "CLAUDE-3"):
        share = (pd.to_numeric(results[model]).to_numpy() == truths).mean()
        assert _value(table, "tower_falls", model, "accuracy")["value"] == pytest.approx(share)


def _check_jenga(table, root):
    people = rdata.read_rda(root / "data/exp1_prediction.RData")["df.exp1.prediction"]
    model = pd.read_csv(root / "data/JENGA_RESULTS_REV2.csv", sep=";").query("Experiment == 2").set_index("Image")
    means = people.groupby("trial").response.mean()
    to_truth, to_people = (model.OTTER - model.GT).abs().mean(), (model.OTTER.loc[means.index] - means).abs().mean()
    assert _value(table, "jenga_count", "OTTER", "MAE to truth")["value"] == pytest.approx(to_truth)
    assert _value(table, "jenga_count", "OTTER", "MAE to people")["value"] == pytest.approx(to_people)
    to_truth = (people.response - people.nfall).abs().mean()
    to_people = (people.response - people.trial.map(means)).abs().mean()
    assert _value(table, "jenga_count", "people", "MAE to truth")["value"] == pytest.approx(to_truth)
    assert _value(table, "jenga_count", "people", "MAE to people")["value"] == pytest.approx(to_people)


def test_table_agrees_with_pandas(script, made_up_release):
    table = script["release_table"](made_up_release, draws=0, resamples=50)
    _check_towers(table, made_up_release)
    _check_jenga(table, made_up_release)
    assert _value(table, "tower_falls", "FUYU", "accuracy")["note"] == "1 unanswered, counted as wrong"
    text = script["markdown"](table)
    assert len(text.splitlines()) == len(table) + 2


def test_sample_agrees_with_pandas(script, release):
    table = script["release_table"](release, draws=0, resamples=50)
    _check_towers(table, release)
    _check_jenga(table, release)
    assert _value(table, "tower_falls", "people", "accuracy")["value"] == pytest.approx(2791 / 4280)


def test_constant_and_silent_models_have_no_score_but_a_reason(script, made_up_release):
    asked = {
        one.task: one
        for read in script["READERS"]
        for one in script["questions"](made_up_release, read(made_up_release))
    }
    rows = {
        "no variance: always answers 100": ("michotte_outcome", "ADAPTER"),
        "3 of 3 pictures unanswered": ("agents_intention", "FUYU"),
    }
    for reason, (task, who) in rows.items():
        row = script["fit_row"](asked[task], who, 10)
        assert math.isnan(row.value)
        assert reason in row.note


@pytest.mark.slow
def test_fits_of_the_sample(script, release):
    table = script["release_table"](release, draws=1000, resamples=50)
    fits = table[table.metric == "signed root of R2"]
    assert len(fits) == 6 * 6
    assert (fits.value.notna() | (fits.note != "")).all()
    people = fits[fits.who == "people"]
    assert (people.value > 0.3).all()


def test_help_teaches():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.release_table", "--help"], capture_output=True, text=True, check=True
    )
    assert "--release" in done.stdout
