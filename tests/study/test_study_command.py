"""The whole study at the size of a test: every model, every set, every table; a second run does nothing."""

import pathlib

import pandas as pd
import pytest

from vlmcog.errors import UserError
from vlmcog.study import plan
from vlmcog.study.__main__ import main
from vlmcog.study.config import StudyConfig
from vlmcog.training import config_file

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = f"{ROOT}/configs/study.py:smoke"


def test_the_smallest_study_from_nothing_to_its_tables(tmp_path, capsys):
    command = ["--config", CONFIG, "--workdir", str(tmp_path)]
    main(command)
    printed = capsys.readouterr().out
    assert printed.count("decided") + printed.count("supported") == 4
    matrix, curves = (pd.read_csv(tmp_path / "tables" / f"{name}.csv") for name in ("matrix", "curves"))
    assert len(matrix) == 7 * 6
    assert matrix.accuracy.between(0, 1).all()
    assert (matrix.gain.isna() == (matrix.model == "base")).all()
    assert set(curves.curve) == {"items", "looks"}
    probes = pd.read_csv(tmp_path / "tables" / "probes.csv")
    assert set(probes.model) == {"base", "IP small", "CR small"}
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("<h2") == 8  # too few scenes to probe, and no people
    assert page.count('class="step"') == 6 * (6 + 1)  # six tuned models on six sets, and an axis each
    assert page.count("<img") > 6 * 2
    assert page.count('class="contrast"') == 10 + 3  # and an axis for each hypothesis that this study can tell
    assert "http" not in page.replace("http-equiv", "")
    figures = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    drawn = ("matrix", "gains", "ladders", "curves", "learning")
    assert set(figures) == {f"{name}.{kind}" for name in drawn for kind in ("pdf", "svg")}
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.csv")}
    main(command)
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.csv")} == made
    assert {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == figures
    main([*command, "--status"])
    config = config_file.load(CONFIG, (), StudyConfig)
    n = len(plan.make(config, plan.Folders(tmp_path)))
    assert f"{n} of {n} cells done" in capsys.readouterr().out


def test_a_missing_base_is_named_before_anything_is_made(tmp_path):
    arguments = [
        "--config",
        CONFIG,
        "--workdir",
        str(tmp_path / "study"),
        f"--config.base_from={tmp_path / 'none.npz'}",
    ]
    with pytest.raises(UserError, match=r"base_from='.*none\.npz': nothing is there"):
        main(arguments)
    assert not (tmp_path / "study" / "data").exists()
