"""Publishing: card, metadata, checksums and gallery are true to the set; what is pushed arrives as it was."""

import hashlib
import html.parser
import json
import re
import runpy
import shutil
import subprocess
import sys
import types

import pytest

from vlmcog.datasets.build import build
from vlmcog.datasets.factors import factors
from vlmcog.datasets.publish import publish
from vlmcog.datasets.read import fingerprint, load
from vlmcog.errors import UserError
from vlmcog.scenes import render

SPEC = "cubeworld_towers/cubeworld_small-size16-train24-validation6-test12"


@pytest.fixture(scope="module")
def made(tmp_path_factory, quick_render):
    """A data directory with a published set."""
    data_dir = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(render, "render", quick_render)
        build(SPEC, data_dir)
    publish(SPEC, data_dir)
    return data_dir


@pytest.fixture
def published(made, tmp_path):
    """The folder of a copy of it in `tmp_path / "data"`."""
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data" / SPEC / "3.0.0"


class _Outside(html.parser.HTMLParser):
    """Collects whatever a page would load."""

    def __init__(self):
        super().__init__()
        self.addresses, self.pictures = [], 0

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href", "action", "srcset"):
                self.pictures += value.startswith("data:image/webp;base64,")
                self.addresses += [] if value.startswith("data:") else [value]


def test_gallery_stands_alone_and_shows_pictures_factors_balance_and_shortcuts(published):
    page = (published / "index.html").read_text()
    parser = _Outside()
    parser.feed(page)
    assert parser.addresses == []
    assert not re.search(r"url\(|@import|<script", page)
    assert parser.pictures == 12
    assert "prefers-color-scheme: dark" in page
    for text in ("number of blocks", "camera elevation, rad", "colour of the lowest block", "frozen random features"):
        assert text in page
    shares = re.findall(r"<td>(train|validation|test)</td><td>tower_falls</td><td class=\"n\">(\d)</td>", page)
    assert shares == [(split, n) for split in ("train", "validation", "test") for n in "234"]
    assert page.count("0.500</td>") == 9


def test_gallery_truths_are_those_of_the_trials(published, tmp_path):
    page = (published / "index.html").read_text()
    for trial in load(SPEC, "test", tmp_path / "data"):
        assert f"<strong>tower falls: {trial.options[trial.answer]}</strong>{trial.item}" in page


def test_checksums_hold(published):
    listed = dict(line.split("  ")[::-1] for line in (published / "SHA256SUMS").read_text().splitlines())
    assert {"dataset_info.json", "features.json"} < set(listed)
    assert sum("array_record" in name for name in listed) == 3
    for name, digest in listed.items():
        assert hashlib.sha256((published / name).read_bytes()).hexdigest() == digest


def test_card_says_what_a_reader_needs(published):
    card = (published / "README.md").read_text()
    for text in ("license: apache-2.0", "| train | 24 |", "Will this block tower fall?", "@inproceedings", '"seed": 0'):
        assert text in card
    assert "- margin: static margin in block sides" in card


def test_croissant_names_every_file_and_field(published):
    metadata = json.loads((published / "croissant.json").read_text())
    assert metadata["@type"] == "sc:Dataset"
    for key in ("name", "description", "license", "url", "version", "citeAs", "datePublished"):
        assert metadata[key]
    files = {part["name"]: part for part in metadata["distribution"] if part["@type"] == "cr:FileObject"}
    for name, part in files.items():
        assert part["sha256"] == hashlib.sha256((published / name).read_bytes()).hexdigest()
        assert part["contentSize"] == f"{(published / name).stat().st_size} B"
    known = {part["@id"] for part in metadata["distribution"]}
    assert {record["name"] for record in metadata["recordSet"]} == {"train", "validation", "test"}
    features = json.loads((published / "features.json").read_text())["featuresDict"]["features"]
    for field in (field for record in metadata["recordSet"] for field in record["field"]):
        assert field["source"]["fileSet"]["@id"] in known
        assert field["source"]["extract"]["column"] in features


@pytest.mark.filterwarnings("ignore::Warning")  # those of its parsers
def test_croissant_is_valid_to_its_own_library(published):
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=published / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert {record.name for record in dataset.metadata.record_sets} == {"train", "validation", "test"}


def test_public_set_is_published_without_an_audit(tmp_path, made_up_release):
    build("lerer_towers", tmp_path, release=made_up_release)
    folder = publish("lerer_towers", tmp_path)
    assert "Not measured" in (folder / "index.html").read_text()
    assert "license: mit" in (folder / "README.md").read_text()


def test_unbuilt_set_is_not_published(tmp_path):
    with pytest.raises(UserError, match=r"make it with: python -m vlmcog\.datasets build"):
        publish(SPEC, tmp_path)


def test_unknown_factors_are_left_out(tmp_path, made_up_release):
    build("lerer_towers", tmp_path, release=made_up_release)
    assert set(factors(load("lerer_towers", "test", tmp_path))) == {"number of blocks"}


@pytest.fixture(scope="module")
def push():
    return runpy.run_path("scripts/push_dataset.py")["push"]


def test_pushed_folder_is_a_data_directory(push, published, tmp_path):
    push(SPEC, str(tmp_path / "shared"), tmp_path / "data")
    assert fingerprint(load(SPEC, "test", tmp_path / "shared")) == fingerprint(load(SPEC, "test", tmp_path / "data"))
    for path in published.iterdir():
        assert (tmp_path / "shared" / SPEC / "3.0.0" / path.name).read_bytes() == path.read_bytes()


def test_push_insists_on_a_published_and_unchanged_set(push, published, tmp_path):
    record = next(published.glob("*test*"))
    record.write_bytes(record.read_bytes() + b"more")
    with pytest.raises(UserError, match="isn't as SHA256SUMS has it"):
        push(SPEC, str(tmp_path / "shared"), tmp_path / "data")
    (published / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match=r"isn't published; first: python -m vlmcog\.datasets publish"):
        push(SPEC, str(tmp_path / "shared"), tmp_path / "data")
    assert not (tmp_path / "shared").exists()


def test_push_to_where_nothing_can_be_written(push, published, tmp_path):
    (tmp_path / "a_file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        push(SPEC, str(tmp_path / "a_file"), tmp_path / "data")


class _FakeHub:
    """Stands in for a Hugging Face repository: a folder."""

    def __init__(self, root):
        self.root = root

    def create_repo(self, repo_id, *, repo_type, exist_ok):
        assert (repo_type, exist_ok) == ("dataset", True)
        (self.root / repo_id).mkdir(parents=True, exist_ok=True)

    def upload_folder(self, *, folder_path, path_in_repo, repo_id, repo_type, commit_message):
        assert repo_type == "dataset"
        assert commit_message
        shutil.copytree(folder_path, self.root / repo_id / path_in_repo)

    def upload_file(self, *, path_or_fileobj, path_in_repo, repo_id, repo_type, commit_message):
        shutil.copy(path_or_fileobj, self.root / repo_id / path_in_repo)


def test_hugging_face_repository_has_the_same_tree_and_the_card(push, published, tmp_path, monkeypatch):
    fake = types.ModuleType("huggingface_hub")
    fake.__spec__ = types.SimpleNamespace()  # pyright: ignore[reportAttributeAccessIssue]
    fake.HfApi = lambda: _FakeHub(tmp_path / "hub")  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    push(SPEC, "hf://people/towers", tmp_path / "data")
    repository = tmp_path / "hub/people/towers"
    assert (repository / "README.md").read_bytes() == (published / "README.md").read_bytes()
    assert fingerprint(load(SPEC, "test", repository)) == fingerprint(load(SPEC, "test", tmp_path / "data"))


def test_push_help_teaches():
    done = subprocess.run([sys.executable, "scripts/push_dataset.py", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "hf://USER/REPOSITORY" in done.stdout
