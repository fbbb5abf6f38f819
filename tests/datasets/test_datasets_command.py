"""`python -m vlmcog.datasets`: teaches, builds, lists, checks; a mistake is one line and a status of 2."""

import subprocess
import sys

import pytest

from vlmcog.datasets.__main__ import main
from vlmcog.datasets.read import load
from vlmcog.datasets.registry import PUBLIC, SYNTHETIC
from vlmcog.errors import UserError
from vlmcog.scenes.looks import LOOKS

OPTIONS = ["--size", "16", "--train", "12", "--validation", "1", "--test", "6", "--seed", "3"]
SPEC = "cubeworld_towers/wooden_small-size16-train12-validation1-test6-seed3"


def test_flags_are_the_suffixes(tmp_path, quick_renderer, capsys):
    main(["build", "cubeworld_towers/wooden_small", "--data_dir", str(tmp_path), *OPTIONS])
    assert len(load(SPEC, "train", tmp_path)) == 12
    main(["build", SPEC, "--data_dir", str(tmp_path)])
    assert "already in" in capsys.readouterr().err


def test_list_shows_what_is_built(tmp_path, quick_renderer, made_up_release, capsys):
    main(["build", SPEC, "--data_dir", str(tmp_path)])
    main(["build", "lerer_towers", "--data_dir", str(tmp_path), "--release", str(made_up_release)])
    (tmp_path / "cubeworld_towers/notes").mkdir()
    main(["list", "--data_dir", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("built")] == ["lerer_towers", SPEC]
    assert sum(line.startswith("-") for line in lines) == len(SYNTHETIC) * len(LOOKS) * 2 + len(PUBLIC) - 1


def test_shortcuts_are_printed_with_intervals(tmp_path, quick_renderer, capsys):
    main(["build", SPEC, "--data_dir", str(tmp_path)])
    main(["shortcuts", SPEC, "--data_dir", str(tmp_path)])
    out = capsys.readouterr().out
    assert "12 training trials, 6 test trials" in out
    for name in ("height", "offset", "pixels"):
        (line,) = [line for line in out.splitlines() if name in line]
        low, high = (float(number.strip("[],")) for number in line.split()[-2:])
        assert 0 <= low < float(line.split()[-3]) < high <= 1


def test_shortcuts_over_the_limit_are_an_error(tmp_path, quick_renderer):
    main(["build", SPEC, "--data_dir", str(tmp_path)])
    with pytest.raises(UserError, match="over the limit of 50 %"):
        main(["shortcuts", SPEC, "--data_dir", str(tmp_path), "--limit", "50"])
    main(["shortcuts", SPEC, "--data_dir", str(tmp_path), "--limit", "100"])


def test_shortcuts_need_a_synthetic_set(tmp_path):
    with pytest.raises(UserError, match="no train split"):
        main(["shortcuts", "lerer_towers", "--data_dir", str(tmp_path)])


@pytest.mark.parametrize("command", [[], ["build"], ["list"], ["shortcuts"], ["publish"], ["bank"]])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as exited:
        main([*command, "--help"])
    assert exited.value.code == 0
    assert "python -m vlmcog.datasets" in capsys.readouterr().out


def test_mistake_is_one_line_and_a_status(tmp_path):
    command = [sys.executable, "-m", "vlmcog.datasets", "build", "cubeworld_tower", "--data_dir", str(tmp_path / "d")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no dataset 'cubeworld_tower' (did you mean 'cubeworld_towers'?)")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "d").exists()
