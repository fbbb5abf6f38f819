import json
import shutil

import pytest

from vlmcog.errors import UserError
from vlmcog.evaluation import manifest


def test_facts_accumulate(tmp_path):
    manifest.update(tmp_path, "a", {"items": 3})
    manifest.update(tmp_path, "a", {"people": 2})
    manifest.update(tmp_path, "b", {"items": 4})
    assert manifest.read(tmp_path)["evaluations"] == {"a": {"items": 3, "people": 2}, "b": {"items": 4}}


def test_it_names_the_versions(tmp_path):
    manifest.update(tmp_path, "a", {})
    versions = json.loads((tmp_path / "manifest.json").read_text())["versions"]
    assert {"python", "vlmcog", "jax", "numpy"} <= set(versions)


def test_a_run_keeps_its_name_when_its_folder_moves(tmp_path):
    first = tmp_path / "first"
    first.mkdir()
    assert manifest.read(first)["run"] == "first"
    manifest.update(first, "a", {})
    shutil.move(first, tmp_path / "second")
    assert manifest.read(tmp_path / "second")["run"] == "first"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run": "r", "evaluations": 3}'])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest.json is no manifest .*delete it"):
        manifest.read(tmp_path)
