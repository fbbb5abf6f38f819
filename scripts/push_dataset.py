"""Sends a built dataset's folder to where others read it, as it is, and checks what arrived.

  python scripts/push_dataset.py NAME/CONFIG /shared/datasets
  python scripts/push_dataset.py NAME/CONFIG gs://bucket/datasets
  python scripts/push_dataset.py NAME/CONFIG hf://USER/REPOSITORY

A folder or a bucket gets TFDS's layout, NAME/CONFIG/VERSION below the path given, and can be named as a data
directory; a Hugging Face dataset repository gets the same tree with the card as its own. `python -m vlmcog.datasets
publish` adds card, metadata, checksums and gallery first; this command insists on them.
"""

import argparse
import hashlib
import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from etils import epath

from vlmcog import command_line
from vlmcog.datasets.location import dataset_dir, default_data_dir
from vlmcog.datasets.publish import CARD, CHECKSUMS, checksums
from vlmcog.datasets.specs import parse
from vlmcog.errors import UserError
from vlmcog.progress import progress

HUGGING_FACE = "hf://"


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME[/CONFIG]", help="a built and published dataset")
    parser.add_argument("destination", help="a folder, a bucket's path, or hf://USER/REPOSITORY")
    parser.add_argument("--data_dir", type=pathlib.Path, help="holds all datasets")
    args = parser.parse_args(argv)
    push(args.name, args.destination, args.data_dir)


def push(name: str, destination: str, data_dir: pathlib.Path | None = None) -> None:
    """Sends a built and published set.

    Raises:
      UserError: the set isn't published or changed since, it can't be written there, or it arrived damaged.
    """
    root = data_dir or default_data_dir()
    folder = dataset_dir(parse(name), root)
    check(folder, name)
    below = folder.relative_to(root).as_posix()
    if destination.startswith(HUGGING_FACE):
        _push_to_hugging_face(folder, below, destination.removeprefix(HUGGING_FACE))
    else:
        _push_to_path(folder, epath.Path(destination) / below)
    print(f"{name} is in {destination}", file=sys.stderr)


def check(folder: pathlib.Path, name: str) -> None:
    """Raises UserError unless the folder's checksums are there and hold."""
    if not (folder / CHECKSUMS).is_file() or not (folder / CARD).is_file():
        raise UserError(f"{folder} isn't published; first: python -m vlmcog.datasets publish {name}")
    lines = "".join(f"{digest}  {file}\n" for file, digest in checksums(folder).items())
    if lines != (folder / CHECKSUMS).read_text():
        raise UserError(f"{folder} isn't as {CHECKSUMS} has it; build it again, or publish it again")


def _push_to_path(folder: pathlib.Path, destination: epath.Path) -> None:
    """Copies every file; dataset_info.json, by which a folder counts as a dataset, last."""
    files = sorted(folder.iterdir(), key=lambda path: path.name == "dataset_info.json")
    try:
        destination.mkdir(parents=True, exist_ok=True)
        for file in progress(files, f"sending to {destination}", unit="file"):
            (destination / file.name).write_bytes(file.read_bytes())
    except (OSError, ImportError) as error:
        raise UserError(f"cannot write {destination}: {error}") from error
    for file, digest in checksums(folder).items():
        if hashlib.sha256((destination / file).read_bytes()).hexdigest() != digest:
            raise UserError(f"{destination / file} arrived damaged; give the same command again")


def _push_to_hugging_face(folder: pathlib.Path, below: str, repository: str) -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError("hf:// needs huggingface_hub: pip install huggingface_hub")
    import huggingface_hub  # pyright: ignore[reportMissingImports]  # not a dependency

    api: Any = huggingface_hub.HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", exist_ok=True)
        settings = {"repo_id": repository, "repo_type": "dataset", "commit_message": f"Add {below}"}
        api.upload_folder(folder_path=str(folder), path_in_repo=below, **settings)
        api.upload_file(path_or_fileobj=str(folder / CARD), path_in_repo=CARD, **settings)
    except Exception as error:  # of several libraries: the network's, the server's, the user's
        raise UserError(f"cannot push to {HUGGING_FACE}{repository}: {error}") from error


if __name__ == "__main__":
    command_line.run(main)
