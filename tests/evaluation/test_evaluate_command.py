"""The command, from a checkpoint and a built dataset to metrics."""

import json

import jax
import numpy as np
import pandas as pd
import pytest

from vlmcog import evaluate as evaluate_lib
from vlmcog.checkpoints.manager import Checkpoints
from vlmcog.datasets.build import build
from vlmcog.errors import UserError
from vlmcog.evaluate import evaluate, main
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.statistics import mixed
from vlmcog.statistics.intervals import Interval
from vlmcog.training import config as config_lib

TUNED_ON = "cubeworld_towers/cubeworld_small-size64"


@pytest.fixture
def workdir(tmp_path):
    """A run that has a config and no checkpoint."""
    path = tmp_path / "towers"
    path.mkdir()
    config = config_lib.TrainConfig(
        seed=7,
        model=ModelConfig(size="nano", image_size=16),
        data=config_lib.DataConfig(dataset=TUNED_ON, data_dir=str(tmp_path / "data")),
    )
    (path / "config.json").write_text(config_lib.to_json(config))
    return path


@pytest.fixture
def trained(workdir):
    model = registry.build(ModelConfig(size="nano", image_size=16))
    with Checkpoints(workdir / "checkpoints", keep=1) as checkpoints:
        checkpoints.save(3, {"params": jax.jit(model.init)(jax.random.key(0))}, {})
    return workdir


@pytest.fixture
def in_memory(monkeypatch):
    """Puts trials in the place of every dataset's."""
    return lambda source: monkeypatch.setattr(evaluate_lib.read, "load", lambda *_, **__: source)


def files_of(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_real_photographs_and_people_end_to_end(trained, tmp_path, release, capsys, monkeypatch):
    slope = mixed.Fit(value=0.3, interval=Interval(-0.4, 1.0))  # half a minute's work, which has its own tests
    monkeypatch.setattr(mixed, "crossed", lambda *_, **__: slope)
    build("lerer_towers", tmp_path / "data", release=release)
    main(["--workdir", str(trained), "--datasets", "lerer_towers"])
    printed = capsys.readouterr().out
    assert "real photos" in printed
    assert "65.2 %" in printed  # the average of 107 people on these 40 photographs

    answers = pd.read_csv(trained / "answers/lerer_towers.csv", dtype={"item": str})
    assert len(answers) == 40
    assert set(answers.model) == {"paligemma-nano"}
    np.testing.assert_allclose([sum(json.loads(p)) for p in answers.probabilities], 1)

    metrics = pd.read_csv(trained / "metrics.csv")
    assert set(metrics.seed) == {7}
    assert set(metrics.tuned_on) == {TUNED_ON}
    people = metrics[metrics.model == "people"].set_index("metric")
    assert people.value["accuracy"] == pytest.approx(0.6521, abs=1e-4)
    assert people.value["majority_accuracy"] == pytest.approx(0.7)
    assert people.ci_low["accuracy"] < 0.6 < 0.7 < people.ci_high["accuracy"]
    mine = metrics[metrics.model == "paligemma-nano"].set_index("metric")
    calibration = {f"calibration_error{of}{null}" for of in ("", "_people") for null in ("", "_if_calibrated")}
    distances = {"rmse_people", "kl_people"}
    alike = {"pearson", "spearman", "kappa", "error_consistency", "signed_root_r2"}
    assert set(mine.index) == {"accuracy", "brier", "mixed_slope"} | calibration | distances | alike
    assert tuple(mine.loc["mixed_slope", ["value", "ci_low", "ci_high"]]) == (0.3, -0.4, 1.0)
    observers = metrics[metrics.model.str.startswith("observer: ")]
    simulator = "observer: noisy simulator (0.1 sides)"
    assert set(observers.model) == {"observer: chance", "observer: majority", "observer: height", simulator}
    assert observers.value[observers.model == simulator].isna().all()  # a photograph holds no scene to simulate
    for name in ("observer: majority", "observer: height"):
        assert set(observers.metric[observers.model == name]) == set(mine.index) - {
            "mixed_slope"
        }  # scored as the model is, but for what takes long
    compared = pd.read_csv(trained / "consistency/lerer_towers.csv")
    with_people = compared[compared["first"] == "people"].set_index("second").error_consistency
    assert with_people["people"] == people.value["error_consistency"]
    assert with_people["observer: height"] == pytest.approx(
        observers.set_index(["model", "metric"]).value["observer: height", "error_consistency"]
    )
    pd.testing.assert_frame_equal(pd.read_parquet(trained / "metrics.parquet"), metrics, check_dtype=False)

    facts = json.loads((trained / "manifest.json").read_text())["evaluations"]["lerer_towers"]
    assert (facts["items"], facts["people"], facts["checkpoint_step"]) == (40, 107, 3)

    before = files_of(trained)
    evaluate(trained, ["lerer_towers"], rescore=True)
    assert files_of(trained) == before


def test_without_a_checkpoint_nothing_is_written(workdir, in_memory, trials):
    in_memory(trials(4))
    before = files_of(workdir)
    with pytest.raises(UserError, match="no checkpoint in"):
        evaluate(workdir, ["lerer_towers"])
    assert files_of(workdir) == before


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match=r"config.json"):
        evaluate(tmp_path, ["lerer_towers"])


def test_a_batch_of_nothing(workdir):
    with pytest.raises(UserError, match="--batch_size 0 is too small"):
        evaluate(workdir, ["lerer_towers"], batch_size=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lerer_tower", "did you mean 'lerer_towers'"),
        ("cubeworld_towers/woden_small", "did you mean 'wooden'"),
        ("lerer_towers:tower_fals", "did you mean 'tower_falls'"),
        (
            "cubeworld_towers/wooden_small",
            "make it with: python -m vlmcog.datasets build cubeworld_towers/wooden_small",
        ),
    ],
)
def test_an_unknown_or_unbuilt_dataset(workdir, name, message):
    with pytest.raises(UserError, match=message):
        evaluate(workdir, [name])


def test_a_set_without_truth_and_without_people(workdir, in_memory, trials):
    in_memory(trials(4, truths=[-1] * 4))
    with pytest.raises(UserError, match="lerer_towers has neither truths nor people"):
        evaluate(workdir, ["lerer_towers"])


@pytest.fixture
def answered(workdir, in_memory, trials, answers_table):
    """A run with answers to 30 trials and no model."""
    source = trials(30)
    in_memory(source)
    table = answers_table(
        np.random.default_rng(0).dirichlet([1, 1], 30), [trial.answer for trial in source], on="lerer_towers"
    )
    (workdir / "answers").mkdir()
    table.to_csv(workdir / "answers/lerer_towers.csv", index=False)
    return workdir


def test_answers_are_rescored_without_the_model(answered):
    metrics = evaluate(answered, ["lerer_towers"], rescore=True).set_index(["model", "metric"])
    answers = pd.read_csv(answered / "answers/lerer_towers.csv")
    assert metrics.value["tiny", "accuracy"] == (answers.response == answers.answer).mean()
    assert not (answered / "checkpoints").exists()


@pytest.fixture
def simulated(tmp_path, answered):
    """A table of simulated participants' answers to some of the 30 trials, and to something else."""
    rng = np.random.default_rng(0)
    rows = [(f"simulated-{p}", f"item-{k}", "tower_falls", rng.integers(2)) for p in range(8) for k in range(25)]
    rows += [("simulated-0", "item-0", "red_block_any", 1), ("simulated-0", "elsewhere", "tower_falls", 1)]
    path = tmp_path / "simulated.csv"
    pd.DataFrame(rows, columns=["participant", "item", "task", "response"]).to_csv(path, index=False)
    return path


@pytest.fixture
def no_fit(monkeypatch):
    for fit in ("signed_root_r2", "slope"):
        monkeypatch.setattr(evaluate_lib.mixed_fits, fit, lambda *_: [])


@pytest.mark.usefixtures("no_fit")
def test_judgments_from_a_file_and_simulated_ones_called_so(answered, simulated, capsys):
    main(["--workdir", str(answered), "--datasets", "lerer_towers", "--rescore", "--judgments", str(simulated)])
    assert "(simulated)" in capsys.readouterr().out
    metrics = pd.read_csv(answered / "metrics.csv")
    assert "people" not in set(metrics.model)
    theirs = metrics[metrics.model == "simulated participants"].set_index("metric")
    table = pd.read_csv(simulated).query("task == 'tower_falls' and item != 'elsewhere'")
    truth = pd.read_csv(answered / "answers/lerer_towers.csv").set_index("item").answer
    assert theirs.value["accuracy"] == pytest.approx((table.response == table.item.map(truth)).mean())
    assert set(pd.read_csv(answered / "people/lerer_towers.csv").who) == {"simulated participants"}
    assert "simulated participants" in set(pd.read_csv(answered / "consistency/lerer_towers.csv")["first"])
    facts = json.loads((answered / "manifest.json").read_text())["evaluations"]["lerer_towers"]
    assert (facts["judges"], facts["people"]) == ("simulated participants", 8)
    assert facts["judgments_file"] == "simulated.csv"


@pytest.mark.usefixtures("no_fit")
def test_changed_judgments_are_noticed(answered, simulated, capsys):
    pd.read_csv(simulated).query("participant < 'simulated-3'").to_csv(simulated, index=False)
    for _ in range(2):
        evaluate(answered, ["lerer_towers"], rescore=True, judgments=simulated)
        assert "note" not in capsys.readouterr().out
    table = pd.read_csv(simulated)
    table.loc[3, "response"] = 1 - table.response[3]
    table.to_csv(simulated, index=False)
    evaluate(answered, ["lerer_towers"], rescore=True, judgments=simulated)
    said = "the judgments of lerer_towers, from simulated.csv, are not those of the last evaluation, from simulated.csv"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("names", [["ladder"], ["lerer_towers", "cubeworld_towers/wooden_small"]])
def test_judgments_are_of_one_set(answered, simulated, names):
    with pytest.raises(UserError, match=r"simulated.csv holds judgments of one set"):
        evaluate(answered, names, rescore=True, judgments=simulated)


def test_judgments_of_other_items(answered, simulated):
    pd.read_csv(simulated).assign(item="elsewhere").drop_duplicates(["participant", "task"]).to_csv(
        simulated, index=False
    )
    with pytest.raises(UserError, match=r"no answer to 'tower_falls' about an item of lerer_towers"):
        evaluate(answered, ["lerer_towers"], rescore=True, judgments=simulated)


def test_answers_of_another_run(answered):
    path = answered / "answers/lerer_towers.csv"
    pd.read_csv(path).assign(run="other").to_csv(path, index=False)
    with pytest.raises(UserError, match=r"lerer_towers.csv is of run 'other', not 'towers'"):
        evaluate(answered, ["lerer_towers"], rescore=True)
    assert not (answered / "metrics.csv").exists()


def test_answers_to_other_items(answered, in_memory, trials):
    in_memory(trials(29))
    with pytest.raises(UserError, match=r"answers other items than lerer_towers has now; .* without --rescore"):
        evaluate(answered, ["lerer_towers"], rescore=True)


def test_missing_answers_name_the_command(answered):
    (answered / "answers/lerer_towers.csv").unlink()
    with pytest.raises(UserError, match=r"python -m vlmcog.evaluate --workdir .*towers --datasets lerer_towers"):
        evaluate(answered, ["lerer_towers"], rescore=True)


def test_the_ladder_skips_what_is_not_built_and_says_so(workdir, in_memory, trials, monkeypatch, capsys):
    in_memory(trials(8))
    monkeypatch.setattr(evaluate_lib, "is_built", lambda _: False)
    with pytest.raises(UserError, match="no checkpoint"):
        evaluate(workdir)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1].split(";")[0].strip() for line in lines] == [
        "opposite split", "other look", "real photos", "other domain",
    ]  # fmt: skip
    assert all("python -m vlmcog.datasets build" in line for line in lines)
