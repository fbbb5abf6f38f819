"""Apache Beam makes the same records; where it isn't installed, that is said. See the extra `beam`."""

import importlib.util

import pytest

from vlmcog.datasets.__main__ import main
from vlmcog.datasets.build import build
from vlmcog.datasets.read import fingerprint, load
from vlmcog.datasets.specs import SPLITS
from vlmcog.errors import UserError

SPEC = "cubeworld_towers/cubeworld_small-size16-train6-validation2-test2"


@pytest.mark.filterwarnings("ignore::Warning")  # those of Beam's own dependencies
def test_beam_makes_the_same_records(tmp_path, quick_renderer):
    pytest.importorskip("apache_beam")
    main(["build", SPEC, "--data_dir", str(tmp_path / "beam"), "--beam", "runner=DirectRunner"])
    build(SPEC, tmp_path / "threads")
    for split in SPLITS:
        assert fingerprint(load(SPEC, split, tmp_path / "beam")) == fingerprint(load(SPEC, split, tmp_path / "threads"))


def test_beam_that_is_not_installed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'vlmcog\[beam\]'"):
        build(SPEC, tmp_path / "data", beam=["runner=DirectRunner"])
    assert not (tmp_path / "data").exists()
