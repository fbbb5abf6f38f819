import pathlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vlmcog.errors import UserError
from vlmcog.scenes import __main__ as command
from vlmcog.scenes import look_file, path_tracer
from vlmcog.scenes.contact_sheet import caption, fitting_font, sheet
from vlmcog.scenes.labelled import LabelledScene, Outcome


def test_the_command_writes_one_picture(tmp_path, capsys):
    out = tmp_path / "sheet.png"
    command.main(["sheet", "--count", "5", "--columns", "3", "--pixels", "32", "--sizes", "2,3", "--out", str(out)])
    with Image.open(out) as picture:
        assert picture.size == (96, 2 * (32 + 5))
    assert "5 scenes" in capsys.readouterr().out


def test_a_look_of_ones_own_is_drawn(tmp_path):
    toy = pathlib.Path(look_file.__file__).parent / "appearances/toy.toml"
    mine = tmp_path / "mine.toml"
    mine.write_text(toy.read_text().replace('"checker"', '"brick"'))
    out = tmp_path / "sheet.png"
    command.main(["sheet", "--look", str(mine), "--count", "1", "--pixels", "32", "--sizes", "2", "--out", str(out)])
    assert out.exists()


def test_the_gallery_has_every_look_asked_for(tmp_path):
    out = tmp_path / "looks.png"
    command.main(["gallery", "--looks", "toy,night", "--kinds", "towers", "--pixels", "32", "--out", str(out)])
    with Image.open(out) as picture:
        assert picture.size == (64, 37)


def test_the_sweep_has_a_column_for_each_level(tmp_path):
    out = tmp_path / "sweep.png"
    arguments = ["--factor", "ambient", "--levels", "0.1,0.5,0.9", "--count", "1", "--pixels", "32", "--out", str(out)]
    command.main(["sweep", *arguments])
    with Image.open(out) as picture:
        assert picture.size == (96, 37)
        first, _, last = np.split(np.asarray(picture.convert("L"))[:32], 3, axis=1)
    assert last.mean() > first.mean() + 5


@pytest.mark.parametrize(
    "wrong",
    [
        ["sheet", "--count", "0"],
        ["sheet", "--sizes", "1"],
        ["sheet", "--look", "wood"],
        ["sheet", "--kind", "castles"],
        ["gallery", "--looks", "toy,toi"],
        ["gallery", "--kinds", "castles"],
        ["sweep", "--factor", "noise", "--levels", "9"],
        ["sweep", "--factor", "noise", "--look", "none.toml"],
    ],
)
def test_a_wrong_argument_is_refused_and_leaves_nothing(tmp_path, wrong):
    with pytest.raises((SystemExit, UserError)):
        command.main([*wrong, "--out", str(tmp_path / "sheet.png")])
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder_is_refused_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr(command.pictures, "truths", lambda *_, **__: pytest.fail("work was begun"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        command.main(["sheet", "--out", str(tmp_path / "file/sheet.png")])


def test_a_renderer_that_is_not_installed_is_refused_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr(path_tracer.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install .*mitsuba"):
        command.main(["sheet", "--renderer", "mitsuba", "--out", str(tmp_path / "sheet.png")])


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome(fell=(False, True), margin=-0.1), "falls, margin -0.10"),
        (Outcome(fell=(False, False), margin=0.2), "stands, margin +0.20"),
        (Outcome(fell=(False, True, False), removed=0), "red away: 1 of 2 falls"),
        (Outcome(fell=(False, False, False), removed=2), "red away: 0 of 2 fall"),
    ],
)
def test_captions(outcome, words):
    no_scene: Any = None
    assert caption(LabelledScene(no_scene, outcome)) == words


@pytest.mark.parametrize("size", [64, 224])
@pytest.mark.parametrize("words", ["falls", "red away: 11 of 14 others fall, and much more to say"])
def test_no_caption_is_wider_than_its_picture(size, words):
    assert fitting_font(words, size).getlength(words) <= size
    black = np.zeros((2, size, size, 3), np.uint8)
    picture = np.asarray(sheet(black, [words, ""], columns=2))
    assert (picture[size:, :size] < 128).any()
    assert (picture[size:, size:] == 255).all()
