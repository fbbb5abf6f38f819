"""Files of releases as they are after people's software had them: all is read, or a message says what is wrong."""

import contextlib
import csv
import gzip
import io
import pathlib
import tempfile

import made_up_releases as made_up
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmcog.errors import UserError
from vlmcog.humans import agents, jenga, lerer, michotte, physion

EXAMPLES = pytest.mark.parametrize("examples", [15, pytest.param(150, marks=pytest.mark.slow)])
Rows = list[list[str]]


@pytest.fixture(scope="module")
def multimodal():
    with tempfile.TemporaryDirectory() as folder:
        made_up.write_multimodal(pathlib.Path(folder) / "release")
        yield pathlib.Path(folder) / "release"


@pytest.fixture(scope="module")
def of_physion():
    with tempfile.TemporaryDirectory() as folder:
        made_up.write_physion(pathlib.Path(folder) / "release")
        yield pathlib.Path(folder) / "release"


def _for_all(holds, examples: int, **strategies) -> None:
    settings(max_examples=examples)(given(**strategies)(holds))()


@contextlib.contextmanager
def _replaced(path: pathlib.Path, content: bytes):
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)


KINDS = (
    "drop",
    "duplicate",
    "swap",
    "shuffle",
    "blank",
    "cell",
    "comma",
    "name",
    "extra_cell",
    "extra_column",
    "person",
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 10**6),
        st.sampled_from(["101", "126", "-1", "1e9", "nan", "inf", "0,5", "12,25", "Ä 'x'", "", " ", "1.5", "0", "1"]),
    ),
    max_size=3,
)
WRITING = st.tuples(st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans())


def _edited(rows: Rows, edits) -> Rows:
    rows = [list(row) for row in rows]
    for kind, number, text in edits:
        rng = np.random.default_rng(number)
        if len(rows) < 2 or not rows[0]:
            return rows
        at, other = (int(k) for k in rng.integers(1, len(rows), 2))
        column = int(rng.integers(len(rows[at]))) if rows[at] else 0
        if kind == "drop":
            del rows[at]
        elif kind == "duplicate":
            rows.insert(other, list(rows[at]))
        elif kind == "swap":
            rows[at], rows[other] = rows[other], rows[at]
        elif kind == "shuffle":
            rows = [rows[0], *(rows[k + 1] for k in rng.permutation(len(rows) - 1))]
        elif kind == "blank":
            rows.insert(at, [])
        elif kind == "extra_cell":
            rows[at] = [*rows[at], text]
        elif kind == "extra_column":
            rows = [[*row, "ip_address" if k == 0 else text] for k, row in enumerate(rows)]
        elif kind == "comma":
            rows = [rows[0], *([cell.replace(".", ",") for cell in row] for row in rows[1:])]
        elif kind == "person":
            rows = [row for row in rows if not row or row[0] != (rows[at] or [""])[0]]
        elif rows[at]:
            rows[at][column] = f"Zoë {text}" if kind == "name" else text
    return rows


def _bytes(rows: Rows, writing, delimiter: str = ",") -> bytes:
    mark, line_end, semicolons = writing
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";" if semicolons else delimiter, lineterminator=line_end).writerows(rows)
    return (b"\xef\xbb\xbf" if mark else b"") + text.getvalue().encode()


def _rows(path: pathlib.Path, delimiter: str = ",") -> Rows:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter))


def _read_or_message(read, path: pathlib.Path, content: bytes):
    """What is read of an edited file; None where a one-line message names it, its fellow files or its folder."""
    with _replaced(path, content):
        try:
            return read()
        except UserError as error:
            message = str(error)
    assert "\n" not in message
    assert any(part.name in message for part in (path, path.parent, path.parents[2]))
    return None


def _filled(rows: Rows) -> Rows:
    return [row for row in rows[1:] if row]


def _answer(text: str) -> float:
    return float(text.replace(",", "."))


@EXAMPLES
def test_towers(multimodal, examples):
    def holds(edits, writing):
        path = multimodal / lerer.HUMANS
        rows = _edited(_rows(path), edits)
        release = _read_or_message(lambda: lerer.read(multimodal), path, _bytes(rows, writing))
        if release is not None:
            cells = [float(cell) for row in _filled(rows) for cell in row[1:]]
            assert release.judgments.response.tolist() == cells

    _for_all(holds, examples, edits=EDITS, writing=WRITING)


@EXAMPLES
def test_towers_results(multimodal, examples):
    def holds(edits, writing):
        path = multimodal / lerer.RESULTS
        rows = _edited(_rows(path), edits)
        release = _read_or_message(lambda: lerer.read(multimodal), path, _bytes(rows, writing))
        if release is not None:
            asked = [row[0] for row in _filled(rows) if row[1] == "3"]
            assert [one.item for one in release.stimuli] == asked

    _for_all(holds, examples, edits=EDITS, writing=WRITING)


@EXAMPLES
def test_michotte(multimodal, examples):
    def holds(edits, writing):
        path = multimodal / "dataframes/03_michotte/HUMAN_outcome.csv"
        rows = _edited(_rows(path), edits)
        release = _read_or_message(lambda: michotte.read(multimodal), path, _bytes(rows, writing))
        if release is not None:
            table = release.judgments[release.judgments.task == "michotte_outcome"]
            assert table.response.tolist() == [_answer(row[2]) for row in _filled(rows)]
            beyond = sum(_answer(row[2]) > 100 for row in _filled(rows))
            assert any(f"{beyond} ratings beyond" in note for note in release.notes) or not beyond

    _for_all(holds, examples, edits=EDITS, writing=WRITING)


@EXAMPLES
def test_agents(multimodal, examples):
    def holds(edits, writing):
        path = multimodal / "data/agents_intention.csv"
        rows = _edited(_rows(path), edits)
        release = _read_or_message(lambda: agents.read(multimodal), path, _bytes(rows, writing))
        if release is not None:
            kept = [row for row in _filled(rows) if row[2].strip().lower() not in ("", "nan")]
            table = release.judgments[release.judgments.task == "agents_intention"]
            assert table.response.tolist() == [_answer(row[1]) for row in kept]
            assert table.groupby("participant").ngroups == len({row[0] for row in kept})
            dropped = len(_filled(rows)) - len(kept)
            assert (
                any(f"{dropped} of {len(_filled(rows))} rows left out" in note for note in release.notes) or not dropped
            )
            assert ("ip_address" in str(release.notes)) == ("ip_address" in rows[0])
            assert not {row[0] for row in kept} & set(table.participant)

    _for_all(holds, examples, edits=EDITS, writing=WRITING)


@EXAMPLES
def test_jenga_truths(multimodal, examples):
    def holds(edits, writing):
        path = multimodal / jenga.RESULTS
        rows = _edited(_rows(path, ";"), edits)
        release = _read_or_message(lambda: jenga.read(multimodal), path, _bytes(rows, (*writing[:2], True)))
        if release is not None:
            falling = {row[0]: row[3] for row in _filled(rows) if row[1] == "2"}
            truths = {one.item: one.answer for one in release.stimuli if one.task.name == "jenga_count"}
            assert truths.keys() == falling.keys()
            for item, text in falling.items():
                assert truths[item] == (None if text.strip().lower() in ("", "nan") else int(_answer(text)))

    _for_all(holds, examples, edits=EDITS, writing=WRITING)


@EXAMPLES
def test_jenga_judgments(multimodal, examples):
    def holds(edits):
        path, name = multimodal / "data/exp1_prediction.RData", "df.exp1.prediction"
        given_table = made_up.jenga_table(np.random.default_rng(0), "prediction", 6)
        table = given_table
        for kind, number, text in edits:
            rng = np.random.default_rng(number)
            at, column = int(rng.integers(len(table))), str(rng.choice(["trial", "response", "nfall", "pfall"]))
            if kind in ("drop", "person"):
                table = table.drop(index=table.index[at])
            elif kind == "duplicate":
                table = pd.concat([table, table.iloc[[at]]])
            elif kind in ("swap", "shuffle"):
                table = table.iloc[rng.permutation(len(table))]
            elif kind == "cell":
                with contextlib.suppress(ValueError):
                    table = table.reset_index(drop=True)
                    table.loc[at, column] = float(text)
        table = table.reset_index(drop=True)
        with tempfile.TemporaryDirectory() as folder:
            made_up.write_rdata(pathlib.Path(folder) / "x.RData", name, table)
            content = (pathlib.Path(folder) / "x.RData").read_bytes()
        release = _read_or_message(lambda: jenga.read(multimodal), path, content)
        if release is not None:
            ours = release.judgments[release.judgments.task == "jenga_count"]
            assert ours.response.tolist() == table.response.tolist()
            assert ours.item.tolist() == [f"{trial:.0f}" for trial in table.trial]

    _for_all(holds, examples, edits=EDITS)


@EXAMPLES
def test_rdata_with_flipped_bytes(multimodal, examples):
    def holds(data):
        path = multimodal / "data/exp1_responsibility.RData"
        content = bytearray(gzip.decompress(path.read_bytes()))  # else the checksum tells
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        _read_or_message(lambda: jenga.read(multimodal), path, gzip.compress(bytes(content)))

    _for_all(holds, examples, data=st.data())


@EXAMPLES
def test_physion(of_physion, examples):
    def holds(edits, writing):
        path = of_physion / "results/csv/humans/human_accuracy-towers_pilot.csv"
        rows = _edited(_rows(path), edits)
        release = _read_or_message(lambda: physion.read(of_physion), path, _bytes(rows, writing))
        if release is not None:
            clips = [row[0] for row in _filled(rows)]
            kept = [clip for clip in clips if clip in made_up.PHYSION_CLIPS]
            assert release.aggregates["item"].tolist()[2:] == kept
            without = len(clips) - len(kept)
            assert any(f"{without} of {len(clips)} clips left out" in note for note in release.notes) or not without

    _for_all(holds, examples, edits=EDITS, writing=WRITING)
