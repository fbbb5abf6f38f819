"""Puts beside a built set's records what a reader of it needs: card, metadata, checksums and gallery."""

import datetime
import hashlib
import json
import os
import pathlib

from vlmcog.datasets.card import card
from vlmcog.datasets.croissant import croissant
from vlmcog.datasets.gallery import gallery
from vlmcog.datasets.location import dataset_dir
from vlmcog.datasets.specs import DatasetSpec, parse
from vlmcog.files import write_text

CARD, CROISSANT, CHECKSUMS, GALLERY = "README.md", "croissant.json", "SHA256SUMS", "index.html"


def publish(spec: str | DatasetSpec, data_dir: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """Writes README.md, croissant.json, SHA256SUMS and index.html into a built set's folder, and returns it.

    Raises:
      UserError: the set isn't built or is damaged, or its folder can't be written.
    """
    import tensorflow_datasets as tfds  # slow to import

    spec = parse(spec) if isinstance(spec, str) else spec
    directory = dataset_dir(spec, data_dir)
    page = gallery(spec, data_dir)
    info = tfds.builder_from_directory(directory).info
    digests = checksums(directory)
    sizes = {name: (directory / name).stat().st_size for name in digests}
    made = datetime.date.fromtimestamp((directory / "dataset_info.json").stat().st_mtime)
    write_text(directory / GALLERY, page.html)
    write_text(directory / CROISSANT, json.dumps(croissant(spec, info, digests, sizes, made), indent=2) + "\n")
    write_text(directory / CARD, card(spec, info, digests, page.tasks))
    write_text(directory / CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    return directory


def checksums(directory: pathlib.Path) -> dict[str, str]:
    """Returns the SHA-256 of each of the set's own files by its name, in order."""
    added = {CARD, CROISSANT, CHECKSUMS, GALLERY}
    names = sorted(path.name for path in directory.iterdir() if path.is_file() and path.name not in added)
    return {name: _sha256(directory / name) for name in names if not name.startswith(".")}


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
