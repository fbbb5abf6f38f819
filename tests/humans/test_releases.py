"""The readers of jenga, michotte, agents and physion: everything is read, nothing is lost in silence."""

import csv
import pathlib
import re

import made_up_releases as made_up
import numpy as np
import pandas as pd
import pytest
import rdata

from vlmcog.errors import UserError
from vlmcog.humans import agents, jenga, michotte, physion
from vlmcog.tasks.michotte import MICHOTTE_OUTCOME, MISSED

OUTCOME = "dataframes/03_michotte/HUMAN_outcome.csv"
INTENTION = "data/agents_intention.csv"
PREDICTION = "data/exp1_prediction.RData"
LABELS = "data/readout_labels.csv"
DROP = "results/csv/humans/human_accuracy-drop_pilot.csv"


def _responses(release, task):
    rows = release.judgments[release.judgments.task == task]
    return rows.set_index(["participant", "item"]).response.sort_index().to_dict()


def _expected(people, items, responses):
    expected = dict(zip(zip(people, items, strict=True), map(float, responses), strict=True))
    assert len(expected) == len(people)
    return expected


def _rows(path: pathlib.Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _refused(read, *words: str) -> None:
    with pytest.raises(UserError) as raised:
        read()
    assert "\n" not in str(raised.value)
    for word in words:
        assert word in str(raised.value)


def _check_jenga(root):
    release = jenga.read(root)
    for task, name in (("jenga_count", "prediction"), ("jenga_responsibility", "responsibility")):
        given = rdata.read_rda(root / f"data/exp1_{name}.RData")[f"df.exp1.{name}"]
        items = given.trial.astype(int).astype(str).to_list()
        expected = _expected(given.participant.astype(str).to_list(), items, given.response)
        assert _responses(release, task) == expected
        truths = dict(zip(items, given.nfall, strict=True))
        bricks = dict(zip(items, given.nbricks, strict=True))
        for one in (one for one in release.stimuli if one.task.name == task and one.item in truths):
            assert one.answer == (truths[one.item] if task == "jenga_count" else None)
            assert one.n_blocks == bricks[one.item]
        orders = release.judgments[release.judgments.task == task].order
        assert (orders.to_numpy(int) == given.order.astype(int).to_numpy() - 1).all()
    return release


def test_jenga(made_up_release):
    release = _check_jenga(made_up_release)
    assert [one.item for one in release.stimuli] == ["1", "1", "4", "4", "5", "5", "10", "10"]
    assert len(release.judgments) == 2 * 3 * made_up.JENGA_PEOPLE
    assert any("no truth for picture 5, kept without an answer" in note for note in release.notes)
    assert any("nobody judged 5 (jenga_count)" in note for note in release.notes)
    assert "data/exp1_prediction.RData: columns left out: condition, pfall" in release.notes


def test_jenga_sample(release):
    table = _check_jenga(release).judgments
    assert table.groupby("task").participant.nunique().to_dict() == {"jenga_count": 31, "jenga_responsibility": 35}
    assert (table.item.nunique(), len(table)) == (14, 434 + 490)


def _check_michotte(root):
    release = michotte.read(root)
    clips = [one.item for one in release.stimuli[::2]]
    for name in ("outcome", "counterfactual"):
        given = pd.read_csv(root / f"dataframes/03_michotte/HUMAN_{name}.csv")
        items = clips * given.Ind.nunique()
        expected = _expected(given.Ind.astype(int).astype(str), items, given.Human)
        assert _responses(release, f"michotte_{name}") == pytest.approx(expected)
    return release


def test_michotte(made_up_release):
    release = _check_michotte(made_up_release)
    assert [one.item for one in release.stimuli[::2]] == ["1", "2", "8", "13"]
    questions = {one.item: one.question for one in release.stimuli if one.task is MICHOTTE_OUTCOME}
    assert questions == {
        "1": MISSED,
        "2": MISSED,
        "8": MICHOTTE_OUTCOME.question,
        "13": MICHOTTE_OUTCOME.question,
    }
    beyond = int((release.judgments.response > 100).sum())
    assert beyond
    assert release.notes == (f"{OUTCOME}: {beyond} ratings beyond the end of their scale kept as they are",)


def test_michotte_sample(release):
    table = _check_michotte(release).judgments
    assert table.groupby("task").participant.nunique().to_dict() == {
        "michotte_counterfactual": 13,
        "michotte_outcome": 14,
    }
    assert (table.response > 100).sum() == 5


def test_michotte_rows_out_of_order_are_refused(made_up_release):
    path = made_up_release / OUTCOME
    rows = _rows(path)
    rows[1][2], rows[2][2] = rows[2][2], rows[1][2]
    made_up.write_csv(path, rows)
    _refused(lambda: michotte.read(made_up_release), OUTCOME, "row 2", "column Model", "the mean rating of clip 1")


def test_michotte_row_missing_is_refused(made_up_release):
    path = made_up_release / OUTCOME
    rows = _rows(path)
    made_up.write_csv(path, [[cell for cell in row[1:]] for row in (*rows[:3], *rows[4:])])
    _refused(lambda: michotte.read(made_up_release), OUTCOME, "each of the 4 clips")


def _check_agents(root):
    release = agents.read(root)
    workers = set()
    for name, column in (("intention", "int"), ("counterfactual", "cf")):
        given = pd.read_csv(root / f"data/agents_{name}.csv").dropna()
        workers |= set(given.workerid.astype(str))
        ours = release.judgments[release.judgments.task == f"agents_{name}"]
        assert len(ours) == len(given)
        means = given.groupby(given.trial.astype(int).astype(str))[column].mean()
        assert ours.groupby("item").response.mean().to_dict() == pytest.approx(means.to_dict())
        counts = (ours.groupby("participant").size(), given.groupby("workerid").size())
        assert sorted(counts[0]) == sorted(counts[1])
    assert set(release.judgments.participant) == {str(number) for number in range(1, len(workers) + 1)}
    return release


def test_agents(made_up_release):
    release = _check_agents(made_up_release)
    assert f"{INTENTION}: 3 of 12 rows left out, which name no trial" in release.notes
    assert "3 worker ids replaced by numbers" in release.notes
    assert not re.search("|".join(map(str, made_up.AGENT_WORKERS)), release.judgments.to_csv() + str(release.notes))


def test_agents_do_not_depend_on_the_rows_order(made_up_release):
    before = agents.read(made_up_release).judgments
    rows = _rows(made_up_release / INTENTION)
    made_up.write_csv(made_up_release / INTENTION, [rows[0], *reversed(rows[1:])])
    after = agents.read(made_up_release).judgments
    columns = ["task", "participant", "item"]
    one, other = (table.sort_values(columns, ignore_index=True) for table in (before, after))
    assert one.equals(other)


def test_agents_sample(release):
    table = _check_agents(release).judgments
    assert (table.participant.nunique(), table.item.nunique(), len(table)) == (100, 8, 386 + 382)


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (jenga.read, PREDICTION),
        (jenga.read, "data/exp1_responsibility.RData"),
        (jenga.read, "data/JENGA_RESULTS_REV2.csv"),
        (jenga.read, "eval/images/jenga"),
        (michotte.read, OUTCOME),
        (michotte.read, "eval/images/michotte_edit"),
        (agents.read, INTENTION),
        (agents.read, "eval/images/agents"),
    ],
)
def test_missing_file_is_named(made_up_release, read, name):
    (made_up_release / name).rename(made_up_release / "elsewhere")
    _refused(lambda: read(made_up_release), f"no {name}", "a checkout of https://github.com/lsbuschoff/multimodal")


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (jenga.read, "eval/images/jenga/initial_trial_4_diff_1_index_4.png"),
        (agents.read, "eval/images/agents/2.png"),
        (michotte.read, "eval/images/michotte_edit/clip_13.png"),
    ],
)
def test_missing_picture_of_a_judged_item_is_refused(made_up_release, read, name):
    (made_up_release / name).unlink()
    _refused(lambda: read(made_up_release), str(made_up_release), "restore both")


@pytest.mark.parametrize(("column", "row"), [("nfall", 2), ("nbricks", 5)])
def test_jenga_files_that_disagree_are_refused(made_up_release, column, row):
    path = made_up_release / PREDICTION
    table = made_up.jenga_table(np.random.default_rng(0), "prediction", 6)
    table.loc[row - 1, column] += 1
    made_up.write_rdata(path, "df.exp1.prediction", table)
    _refused(lambda: jenga.read(made_up_release), PREDICTION, f"row {row}", column, "JENGA_RESULTS_REV2.csv says")


def test_rdata_cut_anywhere_is_named(made_up_release):
    path = made_up_release / PREDICTION
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 30).astype(int):
        path.write_bytes(whole[:length])
        _refused(lambda: jenga.read(made_up_release), PREDICTION, "not a whole .RData file")


def test_rdata_without_the_table_is_named(made_up_release):
    table = made_up.jenga_table(np.random.default_rng(0), "prediction", 6)
    made_up.write_rdata(made_up_release / PREDICTION, "df.other", table)
    _refused(lambda: jenga.read(made_up_release), PREDICTION, "no data frame 'df.exp1.prediction' among df.other")


def test_physion(made_up_physion):
    release = physion.read(made_up_physion)
    first, second, third = made_up.PHYSION_CLIPS
    assert release.aggregates.set_index("item")["mean"].to_dict() == pytest.approx(
        {first: 0.9, second: 1 - 0.7, third: 0.5}
    )
    assert (release.aggregates.n == made_up.PHYSION_PEOPLE).all()
    assert {one.item: one.answer for one in release.stimuli} == {first: 1, second: 0, third: 1}
    assert {one.item: one.image.shape for one in release.stimuli} == {
        first: (16, 16, 3),
        second: (12, 16, 3),
        third: (16, 12, 3),
    }
    assert any("1 of 2 clips left out, which have no label, such as unlabelled" in note for note in release.notes)
    assert any("1 of 4 clips left out, which nobody judged" in note for note in release.notes)


def test_first_frame_of_a_clip_is_taken(made_up_physion):
    third = made_up.PHYSION_CLIPS[2]
    shown = physion.read(made_up_physion).stimuli[-1]
    assert (shown.item, shown.png) == (third, (made_up_physion / f"frames/{third}/0000.png").read_bytes())


def test_physion_sample(physion_release, tmp_path):
    rng = np.random.default_rng(0)
    labels = pd.read_csv(physion_release / LABELS, index_col=0)["ground truth outcome"]
    files = (physion_release / "results/csv/humans").glob("human_accuracy-*.csv")
    given = pd.concat(map(pd.read_csv, files)).set_index("stim_ID")
    for clip in given.index:
        made_up.write_picture(tmp_path / f"{clip}.png", rng, size=(4, 4))
    release = physion.read(physion_release, tmp_path)
    ours = release.aggregates.set_index("item")
    assert len(ours) == len(given) == 450
    expected = given.correct.where(labels.loc[given.index], 1 - given.correct)
    assert ours["mean"].to_dict() == pytest.approx(expected.to_dict())
    assert (ours.n.sort_index() == given.c.sort_index()).all()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (LABELS, [f"no {LABELS}", "physics-benchmarking-neurips2021"]),
        ("results/csv/humans", ["no results/csv/humans"]),
        ("frames", ["no folder", "frames", "STIM_ID.png"]),
        ("frames/pilot_drop_0001.png", ["neither pilot_drop_0001.png (or .jpg) nor a folder pilot_drop_0001"]),
    ],
)
def test_missing_part_of_physion_is_named(made_up_physion, name, words):
    (made_up_physion / name).rename(made_up_physion / "elsewhere")
    _refused(lambda: physion.read(made_up_physion), *words)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["pilot_drop_0001", "1.2", "20"], ["row 2", "column correct", "'1.2'"]),
        (["pilot_drop_0001", "0.33", "20"], ["row 2", "column correct", "a share of 20 people"]),
        (["pilot_drop_0001", "0.5", "0"], ["row 2", "column c", "'0'"]),
        (["pilot_drop_0002", "0.5", "20"], ["pilot_drop_0002", "a second mean"]),
    ],
)
def test_wrong_share_is_named(made_up_physion, cells, words):
    rows = _rows(made_up_physion / DROP)
    made_up.write_csv(made_up_physion / DROP, [rows[0], cells, *rows[2:]])
    _refused(lambda: physion.read(made_up_physion), DROP, *words)
