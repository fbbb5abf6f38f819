"""The reader of the public release: everything is read, matched to the right photograph, and nothing wrong passes."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vlmcog.errors import UserError
from vlmcog.humans import lerer

RESULTS, HUMANS, BLOCKS = "data/LERER_RESULTS_NEW.csv", "data/tower_human_data.csv", "eval/blocks_metadata.txt"
PHOTO = "eval/images/lerer100/7.png"


def _edit(path: pathlib.Path, old: str, new: str, *, at: int = 0) -> None:
    """Replaces `old` in line `at` (from 0) of a file."""
    lines = path.read_text().splitlines()
    assert old in lines[at]
    lines[at] = lines[at].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n")


def _independent(release: pathlib.Path) -> pd.DataFrame:
    """The judgments as one reads them with pandas alone: rows matched by position."""
    results = pd.read_csv(release / RESULTS)
    items = results.loc[results.Experiment == 3, ["Image", "GT"]].astype(int).reset_index(drop=True)
    humans = pd.read_csv(release / HUMANS, index_col=0)
    wide = humans.set_index(items.Image.astype(str))
    table = wide.stack().rename_axis(["item", "participant"]).rename("response").reset_index()
    return table.merge(items.assign(item=items.Image.astype(str)), on="item")


def _check_against_independent(release: pathlib.Path) -> pd.DataFrame:
    ours = lerer.read(release).judgments.merge(
        _independent(release),
        on=["participant", "item"],
        how="outer",
        validate="one_to_one",
        suffixes=("", "_expected"),
    )
    assert ours.drop(columns=["order", "response_time"]).notna().all(axis=None)  # the release has neither
    assert (ours.response == ours.response_expected).all()
    return ours


def test_made_up_release_is_read_as_written(made_up_release):
    ours = _check_against_independent(made_up_release)
    assert len(ours) == 4 * 5
    photos = lerer.read(made_up_release).stimuli
    assert [photo.item for photo in photos] == ["3", "7", "20", "111"]
    assert [photo.answer for photo in photos] == [0, 1, 0, 1]
    assert [photo.n_blocks for photo in photos] == [2, 3, 4, 4]
    for photo in photos:
        expected = Image.open(made_up_release / f"eval/images/lerer100/{photo.item}.png")
        np.testing.assert_array_equal(photo.image, np.asarray(expected))


def test_sample_holds_every_judgment_of_the_right_photograph(release):
    ours = _check_against_independent(release)
    assert ours.item.nunique() == 40
    assert ours.participant.nunique() == 107
    assert len(ours) == 4280
    truths = {photo.item: photo.answer for photo in lerer.read(release).stimuli}
    assert (ours.item.map(truths) == ours.GT).all()
    right = ours.response == ours.GT
    print(f"mean human accuracy on {ours.item.nunique()} photographs: {right.mean():.4f}")
    assert right.sum() == 2791


def test_digest_tells_releases_apart(made_up_release):
    before = lerer.read(made_up_release).digest()
    assert lerer.read(made_up_release).digest() == before
    cell = (made_up_release / HUMANS).read_text().splitlines()[1].split(",")[1]
    _edit(made_up_release / HUMANS, f"0,{cell}", f"0,{1 - float(cell)}", at=1)
    assert lerer.read(made_up_release).digest() != before


@pytest.mark.parametrize("name", [RESULTS, HUMANS, BLOCKS, "eval/images/lerer100", PHOTO])
def test_missing_file_is_named(made_up_release, name):
    path = made_up_release / name
    path.rename(made_up_release / "elsewhere")
    _assert_refused(made_up_release, name)


def test_missing_release_says_what_was_expected(tmp_path):
    _assert_refused(tmp_path / "nowhere", "nowhere", RESULTS, "github.com/lsbuschoff/multimodal")


@pytest.mark.parametrize("value", ["2", "0.5", "-1", "", "NaN", "yes", " 1", "1e0"])
def test_judgment_outside_0_1_is_named(made_up_release, value):
    lines = list(csv.reader((made_up_release / HUMANS).read_text().splitlines()))
    lines[2][3] = value
    with (made_up_release / HUMANS).open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    _assert_refused(made_up_release, HUMANS, "row 3", "column 2", repr(value))


@pytest.mark.parametrize("value", ["", "2", "White"])
def test_item_without_truth_is_named(made_up_release, value):
    _edit(made_up_release / RESULTS, "7,3,1", f"7,3,{value}", at=10)
    _assert_refused(made_up_release, RESULTS, "row 11", "column GT", repr(value))


@pytest.mark.parametrize("item", ["3", "../7", ""])
def test_item_twice_or_without_number_is_named(made_up_release, item):
    _edit(made_up_release / RESULTS, "7,3,1", f"{item},3,1", at=10)
    _assert_refused(made_up_release, RESULTS, "row 11", "column Image", repr(item))


def test_row_more_or_less_than_towers(made_up_release):
    lines = (made_up_release / HUMANS).read_text().splitlines()
    (made_up_release / HUMANS).write_text("\n".join(lines[:-1]))
    _assert_refused(made_up_release, HUMANS, "3 rows", "4 towers")


def test_rows_out_of_order(made_up_release):
    lines = (made_up_release / HUMANS).read_text().splitlines()
    (made_up_release / HUMANS).write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]))
    _assert_refused(made_up_release, HUMANS, "row 2", "'1'")


def test_row_with_a_cell_missing(made_up_release):
    path = made_up_release / HUMANS
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0]
    path.write_text("\n".join(lines))
    _assert_refused(made_up_release, HUMANS, "row 4", "5 cells for 6 columns")


def test_two_people_of_one_name(made_up_release):
    _edit(made_up_release / HUMANS, ",0,1,", ",0,0,")
    _assert_refused(made_up_release, HUMANS, "'0'")


def test_missing_column(made_up_release):
    _edit(made_up_release / RESULTS, "GT", "TRUTH")
    _assert_refused(made_up_release, RESULTS, "'GT'")


def test_photograph_without_row(made_up_release):
    (made_up_release / PHOTO).with_name("8.png").write_bytes((made_up_release / PHOTO).read_bytes())
    _assert_refused(made_up_release, "8.png", RESULTS)


def test_files_that_disagree_on_the_truth(made_up_release):
    lines = (made_up_release / BLOCKS).read_text().splitlines()
    (made_up_release / BLOCKS).write_text("\n".join([lines[0], lines[1][:-1] + "0", *lines[2:]]))
    _assert_refused(made_up_release, BLOCKS, "row 2", "image 7")


def test_tower_without_blocks(made_up_release):
    lines = (made_up_release / BLOCKS).read_text().splitlines()
    (made_up_release / BLOCKS).write_text("\n".join(lines[1:]))
    _assert_refused(made_up_release, BLOCKS, "image 3")


def test_png_cut_anywhere_is_named(made_up_release):
    whole = (made_up_release / PHOTO).read_bytes()
    for length in [0, 1, 8, 20, 33, *np.linspace(40, len(whole) - 1, 40).astype(int)]:
        (made_up_release / PHOTO).write_bytes(whole[:length])
        _assert_refused(made_up_release, PHOTO, "PNG")


def test_png_with_a_flipped_byte_is_named(made_up_release):
    whole = (made_up_release / PHOTO).read_bytes()
    for position in np.linspace(0, len(whole) - 13, 40).astype(int):
        (made_up_release / PHOTO).write_bytes(
            whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        )
        _assert_refused(made_up_release, PHOTO)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_png_that_is_not_rgb_is_named(made_up_release, mode):
    Image.open(made_up_release / PHOTO).convert(mode).save(made_up_release / PHOTO)
    _assert_refused(made_up_release, PHOTO, mode)


def test_binary_file_in_place_of_text(made_up_release):
    (made_up_release / HUMANS).write_bytes(b"\xff\xfe\x00\x01")
    _assert_refused(made_up_release, HUMANS)


def test_reader_needs_neither_jax_nor_tensorflow():
    code = "import sys, json, vlmcog.humans.lerer; print(json.dumps([m in sys.modules for m in ('jax', 'tensorflow')]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, False]


def _assert_refused(release: pathlib.Path, *words: str) -> None:
    with pytest.raises(UserError) as raised:
        lerer.read(release)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message
