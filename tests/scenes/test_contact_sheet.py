import pytest
from PIL import Image

from vlmcog.scenes import __main__ as command
from vlmcog.scenes.contact_sheet import caption
from vlmcog.scenes.labelled import LabelledScene, Outcome


def test_the_command_writes_one_picture(tmp_path, capsys):
    out = tmp_path / "sheet.png"
    command.main(["sheet", "--count", "5", "--columns", "3", "--pixels", "32", "--sizes", "2,3", "--out", str(out)])
    with Image.open(out) as sheet:
        assert sheet.size == (96, 2 * (32 + 5))
    assert "5 scenes" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--count", "0"], ["--sizes", "1"], ["--look", "wood"]])
def test_a_wrong_argument_is_refused_before_work(tmp_path, wrong):
    with pytest.raises(SystemExit):
        command.main(["sheet", "--out", str(tmp_path / "sheet.png"), *wrong])
    assert not list(tmp_path.iterdir())


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
    assert caption(LabelledScene(None, outcome)) == words
