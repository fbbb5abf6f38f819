import math
from types import SimpleNamespace

import pytest

from vlmcog.datasets.specs import parse
from vlmcog.evaluation import ladder
from vlmcog.report import wording
from vlmcog.report.content import Content, Estimate, Standing

TUNED_ON = (parse("cubeworld_towers/cubeworld_small"),)


def content(**accuracies):
    """A content whose rungs, named by their first word, have (value, low, high) as accuracy; chance is 0.5."""
    standings = []
    for rung in ladder.rungs(TUNED_ON):
        if key := next((k for k in accuracies if rung.name.startswith(k)), None):
            model = Estimate("tiny", "accuracy", *accuracies[key], n=100)
            chance = Estimate("observer: chance", "accuracy", 0.5, math.nan, math.nan, n=100)
            standings.append(Standing(rung, {"n_blocks": [2, 4]}, (model, chance), ()))
    return Content("r", "tiny", SimpleNamespace(), TUNED_ON, tuple(standings), (), (), {})


ABOVE, LEVEL, BELOW = (0.91, 0.88, 0.93), (0.52, 0.47, 0.57), (0.3, 0.2, 0.4)


@pytest.mark.parametrize(
    ("accuracies", "sentence"),
    [
        ({"same": ABOVE}, "Right on 91 % of new small towers."),
        ({"same": LEVEL}, "Right on 52 % of new small towers, no better than guessing."),
        (
            {"same": ABOVE, "opposite": ABOVE, "real": LEVEL, "other domain": BELOW},
            "Right on 91 % of new small towers; better than guessing on large towers, not on photographs of real "
            "towers or small pyramids.",
        ),
        (
            {"same": ABOVE, "opposite": LEVEL, "other look": LEVEL, "real": LEVEL},
            "Right on 91 % of new small towers; no better than guessing on large towers, small towers in the wooden "
            "look or photographs of real towers.",
        ),
        (
            {"same": ABOVE, "opposite": ABOVE, "real": ABOVE},
            "Right on 91 % of new small towers; better than guessing on large towers and photographs of real towers.",
        ),
        (
            {"same": LEVEL, "real": BELOW},
            "Right on 52 % of new small towers, no better than guessing there or on any other rung.",
        ),
        (
            {"same": LEVEL, "real": ABOVE},
            "Right on 52 % of new small towers, no better than guessing; better than guessing on photographs of real "
            "towers.",
        ),
        ({"real": ABOVE}, "Better than guessing on photographs of real towers."),
        ({}, "Nothing has a ground truth to be right about."),
    ],
)
def test_the_headline_follows_the_intervals(accuracies, sentence):
    assert wording.headline(content(**accuracies)).replace(wording.NARROW_SPACE, " ") == sentence


def test_the_details_name_every_interval_and_what_cannot_be_told_from_guessing():
    text = wording.details(content(same=ABOVE, opposite=LEVEL, real=BELOW))
    plain = text.replace(wording.NARROW_SPACE, " ").replace(wording.NO_BREAK_SPACE, " ")
    assert plain == (
        "The model is right on 91 % [88, 93] of new small towers; 52 % [47, 57] of large towers, not distinguishable "
        "from guessing; 30 % [20, 40] of photographs of real towers, worse than guessing."
    )


def test_numbers():
    assert wording.decimal(-0.156) == "\u22120.16"
    assert wording.decimal(-0.001) == "0.00"
    assert (
        wording.value(Estimate("m", "pearson", math.nan, math.nan, math.nan, 9, "no variance")) == "\u2013 no variance"
    )
    assert wording.interval(Estimate("m", "pearson", 0.5, math.nan, math.nan, 9)) == ""
    assert wording.interval(Estimate("m", "pearson", 0.5, -0.25, 0.75, 9)) == "[\u22120.25,\u00a00.75]"
    assert wording.interval(Estimate("m", "accuracy", 0.5, 0.25, 0.75, 9), 1) == "[25.0,\u00a075.0]"


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("cubeworld_towers/cubeworld_small-seed2", "new small towers"),
        ("cubeworld_towers/wooden_large", "large towers in the wooden look"),
        ("cubeworld_pyramids/cubeworld_small:red_block_count", "small pyramids (red block count)"),
    ],
)
def test_places(name, phrase):
    assert wording.place(ladder.rung(name, TUNED_ON), TUNED_ON) == phrase


def test_simulated_participants_are_named_in_the_place_of_people():
    simulated = SimpleNamespace(is_simulated=True)
    text = "slope of people\N{RIGHT SINGLE QUOTATION MARK}s answers"
    instead = "slope of simulated participants\N{RIGHT SINGLE QUOTATION MARK} answers"
    assert wording.judged(text, simulated) == instead
