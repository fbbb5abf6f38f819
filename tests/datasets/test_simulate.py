import numpy as np
import pytest

from vlmcog.datasets import simulate as simulate_lib
from vlmcog.datasets.__main__ import main
from vlmcog.datasets.features import Trial
from vlmcog.errors import UserError
from vlmcog.humans.reading import read
from vlmcog.scenes.looks import LOOKS, dress
from vlmcog.scenes.towers import sample_tower

SET = "cubeworld_towers/cubeworld_small"


def tower(index):
    rng = np.random.default_rng(index)
    scene = dress("tower", sample_tower(rng, n_blocks=2, falls=bool(index % 2)), LOOKS["cubeworld"], rng)
    image = np.zeros((4, 4, 3), np.uint8)
    return Trial(image, f"test-{index}", "tower_falls", "?", ("no", "yes"), index % 2, scene=scene.to_json())


@pytest.fixture
def built(monkeypatch):
    monkeypatch.setattr(simulate_lib, "load", lambda *_, **__: [tower(index) for index in range(6)])


@pytest.mark.usefixtures("built")
def test_simulated_participants_judge_a_set(tmp_path, capsys):
    for name in ("a.csv", "b.csv"):
        main(["simulate", SET, "--participants", "9", "--noise", "0.02", "--out", str(tmp_path / name)])
    assert "9 simulated participants" in capsys.readouterr().out
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    table = read(tmp_path / "a.csv").table
    assert len(table) == 54
    assert table.participant.str.startswith("simulated-").all()
    truth = table.item.str.removeprefix("test-").astype(int) % 2
    assert (table.response == truth).mean() > 0.8


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("setting", [["--participants", "0"], ["--noise", "-1"]])
def test_impossible_settings(tmp_path, setting):
    with pytest.raises(UserError, match="give 1 or more, and a noise of 0 or more"):
        main(["simulate", SET, *setting, "--out", str(tmp_path / "a.csv")])
    assert not (tmp_path / "a.csv").exists()
