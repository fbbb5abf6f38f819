"""The manifest of an evaluated run: what was evaluated, on which data, by which code."""

import importlib.metadata
import json
import pathlib
import platform
import subprocess
from typing import Any

import vlmcog
from vlmcog import files
from vlmcog.errors import UserError
from vlmcog.evaluation.tables import MANIFEST

PACKAGES = (
    "jax",
    "flax",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "mujoco",
    "tensorflow-datasets",
    "orbax-checkpoint",
)


def read(workdir: pathlib.Path) -> dict[str, Any]:
    """Returns the manifest, with the run's name alone where nothing was evaluated yet.

    A run is called after its folder when it is first evaluated, and keeps the name when the folder is moved.

    Raises:
      UserError: the file is not a manifest.
    """
    path = workdir / MANIFEST
    if not path.exists():
        return {"run": workdir.resolve().name, "evaluations": {}}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return manifest | {"run": str(manifest["run"]), "evaluations": dict(manifest["evaluations"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no manifest ({error!r}); delete it and evaluate again") from None


def update(workdir: pathlib.Path, evaluated_on: str, facts: dict[str, Any]) -> None:
    """Adds facts about one evaluated set to the manifest, and the versions of the code that found them."""
    manifest = read(workdir)
    evaluations = manifest["evaluations"]
    evaluations[evaluated_on] = evaluations.get(evaluated_on, {}) | facts
    manifest |= {"versions": versions_of_code(), "git_revision": git_revision()}
    files.write_text(workdir / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def versions_of_code() -> dict[str, str]:
    """Returns the versions of Python, of this package and of those that its numbers depend on."""
    versions = {"python": platform.python_version(), "vlmcog": vlmcog.__version__}
    return versions | {name: importlib.metadata.version(name) for name in PACKAGES}


def git_revision() -> str:
    """Returns the commit of the checkout that this code runs from, `-dirty` if changed; empty outside a checkout."""
    package = pathlib.Path(vlmcog.__file__).parent
    if not (package.parent / ".git").exists():
        return ""
    command = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git
        return ""
