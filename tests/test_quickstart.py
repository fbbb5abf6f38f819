import csv
import json

import pytest

from vlmcog import quickstart
from vlmcog.errors import UserError
from vlmcog.training.config import from_config_dict

COLUMNS = ["run", "model", "tuned_on", "evaluated_on", "metric", "value", "ci_low", "ci_high", "n", "seed"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return from_config_dict(
        {
            "data": {
                "dataset": "cubeworld_towers/cubeworld_small-size32-train16-validation8-test12",
                "data_dir": str(tmp_path_factory.mktemp("data")),
                "batch_size": 8,
            },
            "model": {"size": "nano", "image_size": 32},
            "schedule": {"warmup_steps": 1},
            "total_steps": 4,
            "log_every": 2,
            "eval_every": 2,
            "save_every": 2,
        }
    )


def test_the_journey_from_nothing_to_the_page(config, made_up_release, tmp_path, capsys):
    quickstart.quickstart(config, tmp_path / "run", release=made_up_release)
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == COLUMNS
    model_rungs = {
        row["evaluated_on"] for row in rows if row["model"] == "paligemma-nano" and row["metric"] == "accuracy"
    }
    assert len(model_rungs) == 5
    assert len(list((tmp_path / "run" / "answers").glob("*.csv"))) == 5
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "lerer_towers" in page
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert "index.html" in capsys.readouterr().out


def test_the_same_command_again_changes_no_number(config, tmp_path):
    quickstart.quickstart(config, tmp_path / "run")
    before = (tmp_path / "run" / "metrics.csv").read_bytes()
    quickstart.quickstart(config, tmp_path / "run")
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == before


def test_a_missing_release_is_named_before_any_training(config, tmp_path):
    with pytest.raises(UserError, match="no_such_folder"):
        quickstart.quickstart(config, tmp_path / "run", release=tmp_path / "no_such_folder")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_recipe_is_a_valid_config(tmp_path):
    assert quickstart.recipe(3, tmp_path).seed == 3
