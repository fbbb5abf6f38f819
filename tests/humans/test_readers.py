"""Readers of judgments: whatever the file, every row comes back or is accounted for, or the error says what is wrong.

Files are drawn at random with all that real ones suffer from: missing and doubled and reordered rows, people without a
trial, ids beyond ASCII, ratings out of range, byte-order marks, CRLF, semicolons and decimal commas.
"""

import csv
import dataclasses
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from vlmcog.errors import UserError
from vlmcog.humans import jspsych, judgments, privacy, prolific
from vlmcog.humans.__main__ import main
from vlmcog.humans.reading import Reading, read, read_aggregates
from vlmcog.humans.rows import read_rows

TASK = "tower_falls"
IDS = ("p1", "Ünal", "李雷", "a;b", 'say "x"', "NA", "007", "5f3c9d2ab41e7c0011aa22bb", "two\nlines", " ", "")
ANSWERS = ("0", "1", "1.0", "0,0", "yes", "", "NaN", "2", "-1", "101", "1e400", "1,250", "٣")
TIMES = ("", "812", "812.5", "812,5", "1,250", "null", "-3", "fast")


@dataclasses.dataclass(frozen=True)
class Dialect:
    delimiter: str
    line_end: str
    mark: bool


people = st.sampled_from(IDS[:6] * 4 + IDS)
answers = st.sampled_from(("0", "1") * 20 + ANSWERS)
rows = st.lists(
    st.tuples(people, st.integers(0, 30).map(str), answers, st.sampled_from(TIMES[:4] * 6 + TIMES)), max_size=12
)
dialects = st.builds(Dialect, st.sampled_from(",;\t"), st.sampled_from(("\n", "\r\n")), st.booleans())


def written(path, header, lines, dialect):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=dialect.delimiter, lineterminator=dialect.line_end)
    writer.writerows([header, *lines])
    path.write_bytes(("\ufeff" * dialect.mark + buffer.getvalue()).encode())
    return path


def survives(reader, path):
    """What the reader returns, or None after an error that names the file."""
    try:
        return reader(path)
    except UserError as caught:
        message = str(caught)
    assert str(path) in message
    assert "\n" not in message
    return None


def check_native(tmp_path, lines, dialect, as_parquet):
    header = ["participant", "item", "response", "response_time", "task"]
    lines = [(person, item, answer, seconds, TASK) for person, item, answer, seconds in lines]
    given = pd.DataFrame(lines, columns=header, dtype=object)
    if as_parquet:
        path = tmp_path / "people.parquet"
        given.to_parquet(path, index=False)
    else:
        path = written(tmp_path / "people.csv", header, lines, dialect)
    reading = survives(read, path)
    should_fail = (
        (given.participant.str.strip() == "").any()
        or ~given.response.isin(["0", "1", "1.0", "0,0"]).all()
        or given.response_time.isin(["-3", "fast"]).any()
        or given.duplicated(["participant", "item"]).any()
    )
    if reading is None:
        commas = given.response_time.isin(["1,250"]).any() and not given.response_time.isin(["812,5"]).any()
        assert should_fail or commas
        return
    assert not should_fail
    assert reading.rows == len(reading.table) == len(lines)
    assert reading.table.participant.tolist() == given.participant.tolist()
    assert reading.table.response.tolist() == [float(a.replace(",", ".")) for a in given.response]


def check_jspsych(tmp_path, lines, dialect, others, as_json):
    names = ["subject", "stimulus", "response", "rt", "trial_type", "ip", "trial_index"]
    trials = [(person, f"img/{item}.png", answer, ms, "image-button-response") for person, item, answer, ms in lines]
    for position in others:
        trials.insert(position % (len(trials) + 1), ("p1", "", "", "", "fixation"))
    trials = [(*trial, "10.1.2.3", str(k)) for k, trial in enumerate(trials)]
    if as_json:
        path = tmp_path / "export.json"
        records = [dict(zip(names, trial, strict=True)) for trial in trials]
        path.write_bytes(("\ufeff" * dialect.mark + json.dumps(records)).encode())
    else:
        path = written(tmp_path / "export.csv", names, trials, dialect)
    columns = jspsych.Columns(participant="subject", item="stimulus")
    reading = survives(lambda file: jspsych.read(file, columns=columns, task=TASK), path)
    if reading is None:
        return
    assert reading.rows == len(trials)
    assert len(reading.table) == len(lines)
    assert reading.table.item.tolist() == [line[1] for line in lines]
    expected = [1.0 if line[2] == "yes" else float(line[2].replace(",", ".")) for line in lines]
    assert reading.table.response.tolist() == expected
    milliseconds = [float(t.replace(",", ".")) if t not in ("", "null") else np.nan for *_, t in lines]
    np.testing.assert_allclose(reading.table.response_time.to_numpy(), np.array(milliseconds) / 1000)
    if others:
        assert f"{len(others)} rows without an item left out, by trial_type: {len(others)} fixation" in reading.notes
    if lines:
        assert any("ip (personal by its name)" in note for note in reading.notes)


def check_prolific(tmp_path, lines, dialect, exported, statuses):
    table = judgments.check(
        pd.DataFrame([(p, i, TASK, 1) for p, i, *_ in lines if p.strip()], columns=list(judgments.REQUIRED))
        .drop_duplicates(["participant", "item"]), source="made",
    )  # fmt: skip
    people = [(name, status, "203.0.113.9", "33") for name, status in zip(exported, statuses, strict=False)]
    path = written(tmp_path / "prolific.csv", ["Participant id", "Status", "IP", "Age"], people, dialect)
    both = survives(lambda file: prolific.join(Reading(table, len(table), ()), file, keep=("Age",)), path)
    names = [name.strip() for name, *_ in people]
    if both is None:
        assert len(set(names)) < len(names) or "" in names
        return
    joined, who = both
    assert len(joined.table) == len(table)
    assert len(who.table) == len(people)
    assert joined.table.participant.str.fullmatch("p-[0-9a-f]{12}").all()
    assert "IP" not in who.table
    approved = {name for name, status, *_ in people if status == "APPROVED"} | (set(table.participant) - set(names))
    assert ((joined.table.excluded == "").to_numpy() == table.participant.isin(approved).to_numpy()).all()


def check_anything(tmp_path, content, suffix):
    path = tmp_path / f"file.{suffix}"
    path.write_bytes(content)
    survives(read, path)
    survives(read_aggregates, path)
    survives(lambda file: jspsych.read(file, task=TASK), path)


FAST, SLOW = 25, 250


STATUSES = st.lists(st.sampled_from(("APPROVED", "RETURNED", "TIMED-OUT")), min_size=6, max_size=6)
CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode(errors="replace")),
    st.text('participant,item,task,response\n"01;[]{}:', max_size=120).map(str.encode),
)


def fuzz(n, folder):
    """Four kinds of files, n of each."""
    kinds = {
        check_native: (rows, dialects, st.booleans()),
        check_jspsych: (rows, dialects, st.lists(st.integers(0, 12), max_size=3), st.booleans()),
        check_prolific: (rows, dialects, st.lists(st.sampled_from(IDS), max_size=6), STATUSES),
        check_anything: (CONTENTS, st.sampled_from(("csv", "json", "parquet"))),
    }
    for check, drawn in kinds.items():
        fuzz_one(check, st.tuples(*drawn), n, folder)


def fuzz_one(check, files, n, folder):
    @settings(max_examples=n, database=None)
    @seed(n)
    @given(files)
    def test(parts):
        check(folder, *parts)

    test()


def test_a_hundred_generated_files(tmp_path):
    fuzz(FAST, tmp_path)


@pytest.mark.slow
def test_a_thousand_generated_files(tmp_path):
    fuzz(SLOW, tmp_path)


def test_csv_round_trip(tmp_path):
    table = pd.DataFrame(
        [("0", "007", TASK, 1.0), ("NA", "007", "red_block_count", 3.0)], columns=[*judgments.REQUIRED]
    )
    table.assign(worker_ip="1.2.3.4").to_csv(tmp_path / "judgments.csv", index=False)
    reading = read(tmp_path / "judgments.csv")
    assert reading.table.participant.tolist() == ["0", "NA"]
    assert reading.table.item.tolist() == ["007", "007"]
    assert reading.notes == ("columns left out: worker_ip",)


def test_parquet_and_csv_hold_the_same(tmp_path):
    table = judgments.check(
        pd.DataFrame([("é", 7, TASK, 1, 0, 1.5), ("b", 7, TASK, 0, None, None)],
                     columns=[*judgments.REQUIRED, "order", "response_time"]), source="made",
    )  # fmt: skip
    table.to_parquet(tmp_path / "t.parquet")
    table.to_csv(tmp_path / "t.csv", index=False)
    for name in ("t.parquet", "t.csv"):
        pd.testing.assert_frame_equal(read(tmp_path / name).table, table)


def test_rows_are_numbered_as_in_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('participant,item,task,response\n"two\nlines",1,tower_falls,1\n\nb,1,tower_falls,7\n')
    with pytest.raises(UserError, match=r"t\.csv, row 5, column response: '7'"):
        read(path)


def test_an_open_quote_does_not_swallow_rows(tmp_path):
    (tmp_path / "t.csv").write_text('participant,item,task,response\n"a,1,tower_falls,1\nb,1,tower_falls,1\n')
    with pytest.raises(UserError, match="not CSV"):
        read(tmp_path / "t.csv")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"participant,item\na\n", b"a,a\n1,2\n"])
def test_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "people.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"people\.csv"):
        read_rows(path)


def test_a_comma_that_may_mean_thousands_is_asked_about(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("participant;item;task;response;response_time\na;1;tower_falls;1;1,250\n")
    with pytest.raises(UserError, match=re.escape("row 2, column response_time: '1,250' may be 1.250 or 1250")):
        read(path)
    path.write_text(path.read_text() + "a;2;tower_falls;1;1,2\n")
    reading = read(path)
    assert reading.table.response_time.tolist() == [1.25, 1.2]
    assert reading.notes == ("column response_time: 2 decimal commas read as points",)


def test_aggregates_from_a_file(tmp_path):
    (tmp_path / "t.csv").write_text("item;task;mean;n\n1;tower_falls;0,25;40\n")
    assert read_aggregates(tmp_path / "t.csv").to_dict("list")["mean"] == [0.25]


def test_keys_pressed_are_explained_by_codes(tmp_path):
    trials = [{"participant": "a", "item": "1", "response": "f", "rt": 500, "trial_index": 3},
              {"participant": "a", "item": "2", "response": "J", "rt": None, "trial_index": 4}]  # fmt: skip
    (tmp_path / "e.json").write_text("\n".join(json.dumps([trial]) for trial in trials))
    reading = jspsych.read(tmp_path / "e.json", task=TASK, codes={"f": 0, "j": 1})
    assert reading.table.response.tolist() == [0, 1]
    assert reading.table.order.tolist() == [3, 4]
    assert reading.table.response_time.tolist() == [0.5, pytest.approx(float("nan"), nan_ok=True)]
    with pytest.raises(UserError, match="row 1, column response: 'f'"):
        jspsych.read(tmp_path / "e.json", task=TASK)


def test_survey_answers_are_no_judgments(tmp_path):
    (tmp_path / "e.json").write_text(json.dumps([{"participant": "a", "item": "1", "response": {"Q0": "yes"}}]))
    with pytest.raises(UserError, match=r"row 1, column response: .* a judgment has one answer"):
        jspsych.read(tmp_path / "e.json", task=TASK)


def test_pseudonyms_repeat_and_depend_on_the_key():
    ids = [f"{k:024x}" for k in range(1000)]
    once = [privacy.pseudonym(name) for name in ids]
    assert len(set(once)) == 1000
    assert once == [privacy.pseudonym(name) for name in ids]
    assert not set(once) & {privacy.pseudonym(name, key="k") for name in ids}


def test_personal_columns_are_known_by_name_and_by_content():
    table = pd.DataFrame(
        {"rt": ["5"], "Worker.ID": ["x"], "note": ["me@example.org"], "host": ["10.0.0.1"], "age": ["33"]}
    )
    kept, dropped = privacy.without_personal(table)
    assert list(kept) == ["rt", "age"]
    assert dropped == ["Worker.ID (personal by its name)", "note (an e-mail address)", "host (an IP address)"]


def test_command_converts_and_says_what_it_did(tmp_path, capsys):
    ids = [f"{k:024x}" for k in (1, 2)]
    trials = [{"subject": person, "stimulus": f"img/{k}.png", "response": k % 2, "rt": 900, "trial_index": k,
               "trial_type": "image-button-response"} for person in ids for k in range(3)]  # fmt: skip
    (tmp_path / "e.json").write_text(json.dumps(trials))
    (tmp_path / "p.csv").write_text(
        f"Participant id,Status,Age,Country\n{ids[0]},APPROVED,30,X\n{ids[1]},RETURNED,40,Y\n"
    )
    options = [
        "--task",
        TASK,
        "--column",
        "participant=subject",
        "--column",
        "item=stimulus",
        "--keep",
        "Age",
        "--key",
        "k",
    ]
    files = {"--prolific": "p.csv", "--people_out": "who.csv", "--out": "people.csv"}
    paths = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
    main(["convert", str(tmp_path / "e.json"), "--jspsych", *options, *paths])
    said = capsys.readouterr().out
    assert "dropped: Participant id, Country" in said
    assert "3 judgments of submissions that were not approved are excluded" in said
    for name in ("people.csv", "who.csv"):
        assert not any(person in (tmp_path / name).read_text() for person in ids)
    main(["check", str(tmp_path / "people.csv")])
    assert "tower_falls: 3 answers of 1 people: submission returned" in capsys.readouterr().out


def test_nobody_can_be_kept_by_name(tmp_path):
    (tmp_path / "p.csv").write_text("Participant id,IP\na,1.2.3.4\n")
    (tmp_path / "t.csv").write_text("participant,item,task,response\na,1,tower_falls,1\n")
    with pytest.raises(UserError, match="column 'IP' identifies people"):
        prolific.join(read(tmp_path / "t.csv"), tmp_path / "p.csv", keep=("IP",))


def test_json_asks_for_jspsych(tmp_path):
    (tmp_path / "export.json").write_text("[]")
    with pytest.raises(UserError, match=r"export\.json: .* add --jspsych"):
        main(["check", str(tmp_path / "export.json")])
