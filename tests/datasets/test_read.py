"""Reading: random access, a fixed order, a cache that changes nothing, and errors that name the way out."""

import concurrent.futures

import numpy as np
import pandas as pd
import pytest

from vlmcog.datasets import read
from vlmcog.datasets.build import build
from vlmcog.datasets.read import fingerprint, load
from vlmcog.errors import UserError
from vlmcog.humans import judgments
from vlmcog.scenes.scene import Scene
from vlmcog.tasks.perception import PERCEPTION

TOWERS = "cubeworld_towers/cubeworld_small-size16-train12-validation1-test1"
PYRAMIDS = "cubeworld_pyramids/cubeworld_small-size16-train4-validation1-test1"


@pytest.fixture
def towers(tmp_path, quick_renderer):
    build(TOWERS, tmp_path)
    return lambda split="train", **kwargs: load(TOWERS, split, tmp_path, **kwargs)


def test_random_access(towers):
    source = towers()
    items = [trial.item for trial in source]
    assert len(source) == len(items) == len(set(items)) == 12
    assert [source[np.int64(index)].item for index in reversed(range(12))] == items[::-1]
    assert source[-1].item == items[-1]
    with pytest.raises(IndexError):
        source[12]


def test_order_is_that_of_another_opening(towers):
    assert [trial.item for trial in towers()] == [trial.item for trial in towers()]


def test_cached_trial_cannot_be_changed_by_its_readers(towers):
    source = towers()
    before = fingerprint(source)
    with pytest.raises(ValueError, match="read-only"):
        source[0].image[0, 0, 0] = 1
    assert fingerprint(source) == before


def test_small_cache_gives_the_same_trials(towers, monkeypatch):
    expected = fingerprint(towers())
    monkeypatch.setattr(read, "CACHE_BYTES", 2 * 16 * 16 * 3)
    source = towers()
    assert [fingerprint(source), fingerprint(source)] == [expected, expected]
    assert source[0] is source[0]
    assert source[11] is not source[11]


def test_threads_may_share_a_source(towers):
    expected = [trial.item for trial in towers()]
    source = towers()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert [trial.item for trial in pool.map(source.__getitem__, [*range(12)] * 20)] == expected * 20


def test_tasks_divide_a_split(tmp_path, quick_renderer):
    build(PYRAMIDS, tmp_path)
    everything = load(PYRAMIDS, "train", tmp_path)
    some = {task: load(PYRAMIDS, "train", tmp_path, tasks=(task,)) for task in ("red_block_any", "red_block_count")}
    assert len(everything) == 8
    for task, source in some.items():
        assert [trial.task for trial in source] == [task] * 4
        assert [t.item for t in source] == [trial.item for trial in everything if trial.task == task]
        assert source.asked() == {(trial.question, trial.options) for trial in source}
    both = load(PYRAMIDS, "train", tmp_path, tasks=tuple(some))
    assert fingerprint(both) == fingerprint(everything)


def test_set_without_people_has_an_empty_judgment_table(towers):
    table = towers().judgments()
    assert tuple(table.columns) == judgments.COLUMNS
    assert len(table) == 0


def test_missing_set_names_the_command(tmp_path):
    with pytest.raises(
        UserError, match=f"make it with: python -m vlmcog.datasets build {TOWERS} --data_dir {tmp_path}"
    ):
        load(TOWERS, "train", tmp_path)
    with pytest.raises(UserError, match="--release CHECKOUT"):
        load("lerer_towers", "test", tmp_path)


def test_wrong_split_and_task_are_named(towers):
    with pytest.raises(UserError, match=r"no split 'tests' \(did you mean 'test'"):
        towers("tests")
    with pytest.raises(UserError, match="did you mean 'tower_falls'"):
        towers(tasks=("tower_fall",))
    with pytest.raises(UserError, match="no trial of task 'red_block_any'; it has tower_falls"):
        towers(tasks=("red_block_any",))


def test_damaged_set_is_named(towers, tmp_path):
    towers()
    (shard,) = tmp_path.glob("*/*/*/*train*")
    content = shard.read_bytes()
    shard.write_bytes(content[:1000] + bytes([content[1000] ^ 0xFF]) + content[1001:])
    with pytest.raises(UserError, match=r"12 trials of .* are damaged .*build it again"):
        fingerprint(towers())
    shard.unlink()
    with pytest.raises(UserError, match=f"{shard.name} is missing; remove"):
        towers()


@pytest.fixture
def both(tmp_path, quick_renderer):
    for dataset in (TOWERS, PYRAMIDS):
        build(dataset, tmp_path)
    return lambda **kwargs: load(f"{TOWERS}+{PYRAMIDS}", "train", tmp_path, **kwargs)


def test_joined_sets_are_read_one_after_the_other(both, tmp_path):
    parts = [list(load(dataset, "train", tmp_path)) for dataset in (TOWERS, PYRAMIDS)]
    assert fingerprint(both()) == fingerprint([*parts[0], *parts[1]])
    falls = both(tasks=("tower_falls", "red_block_any"))
    assert [trial.task for trial in falls] == ["tower_falls"] * 12 + ["red_block_any"] * 4
    with pytest.raises(
        UserError, match=r"cubeworld_pyramids/\S+ has no trial of task 'tower_falls'; it has red_block_any"
    ):
        both(tasks=("tower_falls",))
    with pytest.raises(UserError, match="comes twice"):
        load(f"{TOWERS}+{TOWERS}", "train", tmp_path)


def test_the_first_items_are_those_of_a_smaller_set(both, tmp_path):
    smaller = TOWERS.replace("train12", "train5")
    build(smaller, tmp_path)
    first = both(items=5)
    assert len(first) == 5 + 2 * 4  # of four pyramids, all, with two questions each
    assert {trial.item for trial in load(smaller, "train", tmp_path)} == {
        trial.item for trial in first if trial.n_blocks and trial.task == "tower_falls"
    }


def test_neutral_questions_are_put_to_any_scene(both):
    source = both(tasks=tuple(task.name for task in PERCEPTION))
    assert {trial.task for trial in source} <= {task.name for task in PERCEPTION}
    counts = [trial for trial in source if trial.task == "block_count"]
    assert len(counts) == 12 + 4
    for trial in counts:
        assert trial.options[trial.answer] == str(len(Scene.from_json(trial.scene).blocks))
    assert {question for question, _ in source.asked()} == {trial.question for trial in source}


def test_neutral_questions_are_not_asked_of_photographs(tmp_path, release):
    build("lerer_towers", tmp_path, release=release)
    with pytest.raises(UserError, match="shows photographs, and 'has_blue' is asked of synthetic scenes alone"):
        load("lerer_towers", "test", tmp_path, tasks=("has_blue",))


def test_judgments_of_a_table_stand_in_for_the_set_s_own(towers):
    source = towers()
    first, second = source[0].item, source[1].item
    rows = [("a", first, 1.0), ("b", first, 0.0), ("a", second, 1.0)]
    table = pd.DataFrame(rows, columns=["participant", "item", "response"]).assign(task="tower_falls")
    judged = source.judged_by(judgments.check(table, source="a table"))
    said = {trial.item: [judgment.response for judgment in trial.judgments] for trial in judged}
    assert (said[first], said[second]) == ([1.0, 0.0], [1.0])
    assert sum(map(len, said.values())) == 3
    assert not any(trial.judgments for trial in source)
    with pytest.raises(UserError, match="the judgments are of none of <12 trials of cubeworld_towers"):
        source.judged_by(judgments.check(table.assign(item=["x", "y", "z"]), source="a table"))
