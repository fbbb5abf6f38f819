"""The design: every model has its place on the ladder, on every set; what a cell depends on is in its name."""

import dataclasses
import pathlib

import pytest

from vlmcog.errors import UserError
from vlmcog.evaluation.ladder import ELSEWHERE, OPPOSITE_SPLIT, OTHER_DOMAIN, OTHER_LOOK, REAL_PHOTOS, SAME_SPLIT
from vlmcog.study import design, plan
from vlmcog.study.config import StudyConfig
from vlmcog.training import config_file

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = StudyConfig(other_looks=("wooden",), curve_items=(64, 9000), curve_looks=("cubeworld", "toy", "night"))
ROWS = {row.name: row for row in design.rows(CONFIG)}
COLUMNS = {column.name: column for column in design.columns(dataclasses.replace(CONFIG, release="somewhere"))}
_FROM_FOURTH = [ELSEWHERE, OTHER_LOOK, ELSEWHERE, REAL_PHOTOS, ELSEWHERE]
FOLDERS = plan.Folders(pathlib.Path("study"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("IP small", [SAME_SPLIT, OPPOSITE_SPLIT, OTHER_DOMAIN, *_FROM_FOURTH]),
        ("CR large", [ELSEWHERE, OTHER_DOMAIN, OPPOSITE_SPLIT, SAME_SPLIT, *[ELSEWHERE] * 3, REAL_PHOTOS]),
        ("IP+CR", [*[SAME_SPLIT, OPPOSITE_SPLIT] * 2, *[OTHER_LOOK] * 2, *[REAL_PHOTOS] * 2]),
        ("base", [ELSEWHERE] * 8),
    ],
)
def test_where_every_set_stands_from_a_model(row, expected):
    names = ["IP small", "IP large", "CR small", "CR large", "IP wooden", "CR wooden", "photographs", "jenga"]
    assert list(COLUMNS) == names
    assert [design.relation(ROWS[row], COLUMNS[name]) for name in names] == expected


def test_rows_are_those_of_the_study():
    assert list(ROWS) == ["base", "IP small", "IP large", "CR small", "CR large", "IP+CR", "IP simulated people"]
    assert ROWS["IP+CR"].items * 2 == CONFIG.train
    people = design.rows(dataclasses.replace(CONFIG, judgments="people.csv"))
    assert people[-1].name == "IP people"
    assert len(design.rows(dataclasses.replace(CONFIG, participants=0))) == len(ROWS) - 1


def test_curves_learn_from_as_many_scenes_as_they_say():
    points = design.curves(CONFIG)
    assert [row.items for row in points if row.curve == "items"] == [64, 9000]
    looks = [row for row in points if row.curve == "looks"]
    assert [len(row.specs) for row in looks] == [1, 2, 3]
    for row in looks:
        assert row.items * len(row.specs) in range(CONFIG.train - len(row.specs), CONFIG.train + 1)
        assert all(spec.train >= row.items for spec in row.specs)


def test_a_point_that_is_a_model_of_the_matrix_is_trained_once():
    config = dataclasses.replace(CONFIG, curve_items=(64, CONFIG.train))
    names = [row.name for row in design.curves(config)]
    assert names == ["IP small, 64 items", "IP small", "IP small", "IP small, 2 looks", "IP small, 3 looks"]
    assert sum(name.startswith("tune IP small") for name in plan.make(config, FOLDERS)) == 3 * len(config.seeds) - 3


@pytest.mark.parametrize("size", ["tiny", "smoke", "full"])
def test_every_size_is_a_plan_whose_cells_come_after_what_they_need(size):
    config = config_file.load(f"{ROOT}/configs/study.py:{size}", (), StudyConfig)
    cells = plan.make(config, FOLDERS)
    done = set()
    for cell in cells.values():
        assert set(cell.needs) <= done
        done.add(cell.name)
    assert len({cell.stem for cell in cells.values()}) == len(cells)


def _fingerprints(config):
    return {name: cell.fingerprint for name, cell in plan.make(config, FOLDERS).items()}


def test_a_change_makes_new_cells_of_what_depends_on_it_alone():
    before = _fingerprints(CONFIG)
    slower = dataclasses.replace(CONFIG, tune=dataclasses.replace(CONFIG.tune, total_steps=2000))
    changed = {name for name, fingerprint in _fingerprints(slower).items() if before[name] != fingerprint}
    tuned = {name for name in before if name.startswith(("tune", "test", "probe")) and "base" not in name}
    assert changed == tuned
    elsewhere = plan.make(CONFIG, plan.Folders(pathlib.Path("elsewhere")))
    assert {name: cell.fingerprint for name, cell in elsewhere.items()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ()}, "trains nothing"),
        ({"seeds": (1, 1)}, "names one twice"),
        ({"curve_seeds": (9,)}, "must be among seeds"),
        ({"other_looks": ("cubeworld",)}, "which models are tuned on"),
        ({"other_looks": ("woden",)}, "did you mean 'wooden'"),
        ({"curve_looks": ("toy", "cubeworld")}, "must begin with look='cubeworld'"),
        ({"equivalence": 0.0}, "no bound of a gain"),
        ({"test": 0}, "too small"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        StudyConfig(**changes)


def test_judgments_that_are_not_there_are_named():
    with pytest.raises(UserError, match=r"judgments='nobody.csv' can't be read"):
        plan.make(dataclasses.replace(CONFIG, judgments="nobody.csv"), FOLDERS)


def test_a_release_that_is_another_one_makes_new_cells(made_up_release, tmp_path):
    config = dataclasses.replace(CONFIG, release=str(made_up_release))
    before = _fingerprints(config)
    assert {"make lerer_towers", "make jenga"} <= set(before)
    answers = made_up_release / "data/LERER_RESULTS_NEW.csv"
    first, *rest = answers.read_text().splitlines()
    answers.write_text("\n".join([first, *rest[::-1]]) + "\n")
    after = _fingerprints(config)
    changed = {name for name in before if after[name] != before[name]}
    assert "make lerer_towers" in changed
    assert "test IP small, seed 0" in changed
    assert not any(name.startswith("tune") for name in changed)
    with pytest.raises(UserError, match=r"no data/.*; a release is a checkout of"):
        _fingerprints(dataclasses.replace(CONFIG, release=str(tmp_path / "nowhere")))
