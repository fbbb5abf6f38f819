import dataclasses
import html.parser
import json
import math
import re

import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.evaluation import ladder
from vlmcog.report import page
from vlmcog.report.__main__ import main
from vlmcog.report.content import Sampling
from vlmcog.report.page import write_report

VOID = {"meta", "img", "br", "hr", "link", "input"}


@dataclasses.dataclass
class Element:
    tag: str
    attributes: dict
    text: str = ""


class Page(html.parser.HTMLParser):
    """Parses a page strictly: every element is closed where it belongs."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag, attrs):
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        for element in self._open:
            element.text += data

    def all(self, tag):
        return [element for element in self.elements if element.tag == tag]


def page_of(workdir):
    return Page(write_report(workdir).read_text(encoding="utf-8"))


def test_the_first_screen_says_what_was_found(make_run):
    page = page_of(make_run())
    headline = page.all("h1")[0].text
    assert re.match(r"Right on \d\d\u202f% of new small towers; ", headline)
    assert "small pyramids" in headline
    assert "tuned on small towers" in page.all("p")[0].text
    assert page.all("title")[0].text == headline


def test_it_loads_nothing(make_run):
    """Opened from disk, without a network, it is whole: pictures are inline, and there is no script."""
    page = page_of(make_run())
    for element in page.elements:
        assert element.tag not in ("script", "link", "iframe", "object", "base")
        for name in ("src", "href", "srcset", "action", "data", "xlink:href"):
            assert element.attributes.get(name, "data:").startswith("data:")
        assert not [name for name in element.attributes if name.startswith("on")]
    style = page.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>{}", '"><img src=x onerror=alert(1)>{}', "{{{{ 7 * 7 }}}}{}"]
)
def test_a_hostile_item_stays_text(make_run, evil):
    page = page_of(make_run(names=evil))
    assert not page.all("script")
    assert all("onerror" not in element.attributes for element in page.elements)
    shown = [image.attributes["alt"] for image in page.all("img")]
    assert shown
    assert all(evil.format("")[:-1] in alt for alt in shown)


def test_a_hostile_run_name_stays_text(make_run):
    page = page_of(make_run("<b>bold<b>"))
    assert not page.all("b")
    assert "run <b>bold<b>" in page.all("header")[0].text


def test_everything_has_a_name_to_read_aloud(make_run):
    page = page_of(make_run())
    for element in page.elements:
        if element.tag == "img":
            assert element.attributes["alt"]
        if element.tag == "svg" and element.attributes.get("role") == "img":
            assert element.attributes["aria-label"]
        if element.tag == "th":
            assert element.attributes["scope"] in ("row", "col", "rowgroup")
        if element.attributes.get("role") == "region":
            assert element.attributes["aria-label"]
            assert element.attributes["tabindex"] == "0"
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    labelled = [e.attributes["aria-labelledby"] for e in page.all("section")]
    assert set(labelled) == set(ids)
    assert page.all("html")[0].attributes["lang"] == "en"


def test_drawings_are_named_or_hidden(make_run):
    """An SVG without a name must not be announced, unless it lies in one that has a name."""
    for svg in page_of(make_run()).all("svg"):
        named = svg.attributes.get("role") == "img" or svg.attributes.get("aria-hidden") == "true"
        assert named or svg.attributes.get("viewbox")


def test_a_rung_that_was_not_evaluated_is_shown_with_the_commands_that_add_it(make_run):
    workdir = make_run()
    rungs = [e for e in page_of(workdir).all("div") if "missing" in e.attributes.get("class", "")]
    assert [rung.text.split("\n")[1].strip().startswith(("Opposite", "Other look")) for rung in rungs] == [True, True]
    large = "cubeworld_towers/cubeworld_large-size64-train1-validation1"
    assert f"python -m vlmcog.datasets build {large}\n" in rungs[0].text
    assert f"python -m vlmcog.evaluate --workdir {workdir} --datasets {large}" in rungs[0].text


def test_people_are_shown_only_where_there_are_people(make_run):
    with_people, without = make_run("with"), make_run("without", rungs=(ladder.SAME_SPLIT,))
    for workdir, shown in ((with_people, True), (without, False)):
        page = page_of(workdir)
        classes = {element.attributes.get("class") for element in page.elements}
        assert ("people-band" in classes) is shown
        assert any("what people see" in heading.text for heading in page.all("h2")) is shown


def standing_of(points, sampling, task):
    rung = dataclasses.make_dataclass("Rung", ["is_binary"])(task == "binary")
    return dataclasses.make_dataclass("Standing", ["rung", "points", "sampling"])(rung, points, sampling)


def in_polygon(corners, x, y):
    """Whether points of percentages lie between the left and the right edge of a band."""
    left, right = corners[: len(corners) // 2], corners[len(corners) // 2 :][::-1]
    low, high = (np.interp(y, edge[::-1, 1], edge[::-1, 0]) for edge in (left, right))
    return (low <= x) & (x <= high)


@pytest.mark.parametrize("kind", ["binary", "rating"])
def test_the_band_holds_95_percent_of_a_perfect_models_points(kind):
    rng = np.random.default_rng(0)
    n, items = 40, 20_000
    if kind == "binary":
        perfect = rng.random(items)
        people, sampling, high = rng.binomial(n, perfect) / n, Sampling(math.nan, n), 1.0
    else:
        perfect = rng.uniform(5, 95, items)
        people, sampling, high = perfect + rng.normal(0, 20 / math.sqrt(n), items), Sampling(20.0, n), 100.0
    band = page.perfect_band(standing_of(((0.0, high, -1),), sampling, kind))
    corners = np.array([corner.split(",") for corner in band.split()], float)
    inside = in_polygon(corners, 100 * people / high, 100 - 100 * perfect / high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)
    half_as_many = page.perfect_band(
        standing_of(((0.0, high, -1),), dataclasses.replace(sampling, answers=n / 2), kind)
    )
    assert half_as_many != band


def test_without_single_answers_ratings_have_no_band():
    assert page.perfect_band(standing_of(((0.0, 100.0, -1),), Sampling(math.nan, 20.0), "rating")) == ""
    assert page.perfect_band(standing_of(((0.0, 100.0, -1),), None, "rating")) == ""


def test_the_scatter_shows_where_a_perfect_model_would_be(make_run):
    found = page_of(make_run())
    (band,) = found.all("polygon")
    assert len(band.attributes["points"].split()) > 50
    (figure,) = [e for e in found.all("svg") if "Each of 40 items" in e.attributes.get("aria-label", "")]
    assert "its ceiling" in figure.attributes["aria-label"]
    assert any("of a perfect model\u2019s points" in e.text for e in found.all("li"))


def test_simulated_participants_are_never_called_people(make_run):
    page = page_of(make_run(person="simulated-{}"))
    shown = " ".join(
        " ".join(e.text for e in page.all(tag)) for tag in ("h1", "h2", "h3", "td", "th", "caption", "svg")
    )
    labels = " ".join(filter(None, (e.attributes.get("aria-label") for e in page.elements)))
    legends = " ".join(e.text for e in page.all("li")[:5])
    assert not re.search("people|person", (shown + labels + legends).lower())
    assert "simulated participants" in shown
    assert "the average simulated participant" in legends
    assert "These are no people" in " ".join(e.text for e in page.all("p"))
    assert any(e.attributes.get("class") == "people simulated" for e in page.elements)


def test_the_matrix_compares_everybody_who_errs(make_run):
    page = page_of(make_run())
    (matrix,) = [e for e in page.all("table") if e.attributes.get("class") == "matrix" and "people" in e.text]
    for name in ("tiny", "people", "height"):
        assert name in matrix.text
    assert "observer: majority" in matrix.text  # marked as what it is


def test_where_model_and_people_differ_most_is_shown_with_pictures(make_run):
    page = page_of(make_run())
    assert any(h.text == "Where model and people differ most" for h in page.all("h3"))
    with_people = len(page.all("img"))
    assert with_people - len(page_of(make_run("none", rungs=(ladder.SAME_SPLIT,))).all("img")) >= 6


def test_an_undefined_number_says_why(make_run):
    page = page_of(make_run(constant=True))
    cells = [cell.text for cell in page.all("td")]
    assert cells.count("\u2013 no variance") >= 3
    assert "nan" not in " ".join(cells).lower()


def test_every_number_of_the_metrics_is_in_the_table(make_run):
    workdir = make_run()
    rows = (workdir / "metrics.csv").read_text().splitlines()[1:]
    table = page_of(workdir).all("table")[-2]
    page_rows = [e for e in page_of(workdir).all("th") if e.attributes["scope"] == "row"]
    assert table
    assert len(page_rows) >= len(rows)


def test_steps_that_differ_are_warned_of(make_run):
    workdir = make_run()
    assert "different training steps" not in page_of(workdir).all("header")[0].text
    record = json.loads((workdir / "manifest.json").read_text())
    record["evaluations"]["lerer_towers"]["checkpoint_step"] = 100
    (workdir / "manifest.json").write_text(json.dumps(record))
    assert "different training steps (100, 1500)" in page_of(workdir).all("header")[0].text


def test_the_learning_curve_is_drawn_from_the_log(make_run):
    workdir = make_run()
    assert not page_of(workdir).all("polyline")
    rows = [{"step": step, "loss": 1 / step} for step in (1, 2, 4)] + [{"step": 4, "validation_accuracy": 0.9}]
    (workdir / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (line,) = page_of(workdir).all("polyline")  # a single validation is no curve
    assert line.attributes["points"] == "25.00,0.00 50.00,50.00 100.00,75.00"


def test_same_input_same_bytes(make_run):
    workdir = make_run()
    assert write_report(workdir).read_bytes() == write_report(workdir).read_bytes()


def test_without_metrics_it_says_what_to_run(make_run, tmp_path):
    workdir = make_run()
    (workdir / "metrics.csv").unlink()
    with pytest.raises(UserError, match=r"metrics.csv is missing.*python -m vlmcog.evaluate --workdir .*towers"):
        write_report(workdir)
    with pytest.raises(UserError, match=r"config.json"):
        write_report(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("metrics.csv", "a,b\n1,2\n", "no column 'run'"),
        ("manifest.json", "{", "is no manifest"),
        ("train.jsonl", "{\n", "is damaged"),
        ("examples/lerer_towers.json", "[{}]", "make it anew with: python -m vlmcog.evaluate"),
        ("examples/lerer_towers.differing.json", "[", "make it anew with: python -m vlmcog.evaluate"),
        ("people/lerer_towers.csv", "item\nx\n", "no column 'evaluated_on'"),
        ("consistency/lerer_towers.csv", "first\nx\n", "no column 'evaluated_on'"),
    ],
)
def test_a_damaged_file_is_named(make_run, file, text, message):
    workdir = make_run()
    (workdir / file).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        write_report(workdir)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_run_s_answers_are_refused(make_run):
    mine, other = make_run("mine"), make_run("other")
    (mine / "answers/lerer_towers.csv").write_bytes((other / "answers/lerer_towers.csv").read_bytes())
    with pytest.raises(UserError, match="is of run 'other', not 'mine'"):
        write_report(mine)


def test_the_command_says_where_the_page_is(make_run, capsys):
    workdir = make_run()
    main(["--workdir", str(workdir)])
    assert capsys.readouterr().out.strip() == f"report: {workdir / 'report' / 'index.html'}"
