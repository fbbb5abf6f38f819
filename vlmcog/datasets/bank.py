"""A bank of labelled scenes as arrays: made once, dressed anew and rendered at every draw, so that no image is stored.

One .npz file holds the renderer's arrays of each scene (see `render.arrays`), stacked, the palette's colour of each
body, and the answer to each task.
"""

import dataclasses
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from vlmcog.datasets import chunks, registry
from vlmcog.datasets.chunks import Chunk
from vlmcog.datasets.specs import DatasetSpec, parse
from vlmcog.errors import UserError
from vlmcog.files import atomic_path
from vlmcog.progress import Progress
from vlmcog.scenes.labelled import LabelledScene
from vlmcog.scenes.looks import get_look

NO_NAME = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Bank:
    """Labelled scenes of the train split of a set.

    Attributes:
      spec: the set that they belong to.
      tasks: the names of its tasks.
      scenes: the renderer's arrays, each with the scenes as first dimension; nested as the renderer has them.
      names: each body's colour as an index into the look's palette, or `NO_NAME`.
      keep_camera: whether a scene has bodies that are placed for its camera.
      answers: the right option of each task.
    """

    spec: DatasetSpec
    tasks: tuple[str, ...]
    scenes: dict[str, Any]
    names: Int[np.ndarray, "n b"]
    keep_camera: Bool[np.ndarray, " n"]
    answers: Int[np.ndarray, "n t"]

    def __len__(self) -> int:
        return len(self.answers)


def make_bank(spec: DatasetSpec, count: int, path: str | os.PathLike[str]) -> None:
    """Samples and simulates the first `count` scenes of the set's train split and writes their bank.

    Raises:
      UserError: a set that isn't made from scenes, no scene asked for, or a file that can't be written.
    """
    if not spec.is_synthetic:
        raise UserError(f"{spec} is not made from scenes; name a synthetic set")
    if count < 1:
        raise UserError(f"--scenes is {count}; it must be at least 1")
    with atomic_path(path) as temporary, Progress(count, f"simulating {spec}", unit="scene") as bar:
        labelled = []
        for start in range(0, count, chunks.SCENES_IN_CHUNK):
            chunk = Chunk("train", start, min(start + chunks.SCENES_IN_CHUNK, count))
            labelled += [made.labelled for made in chunks.simulate(spec, chunk)]
            bar.advance(len(chunk))
        bank = bank_of(spec, labelled)
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **_to_arrays(bank))


def bank_of(spec: DatasetSpec, labelled: list[LabelledScene]) -> Bank:
    """Returns the bank of labelled scenes."""
    from vlmcog.scenes.render import arrays  # imports jax

    tasks = registry.builder_class(spec.name).TASKS  # pyright: ignore[reportAttributeAccessIssue]
    palette = list(get_look(spec.look).palette)
    scenes = _same_bodies([arrays(one.scene) for one in labelled])
    bodies = len(scenes[0]["bodies"]["shape"])
    names = [_names(one, palette, bodies) for one in labelled]
    return Bank(
        spec=spec,
        tasks=tuple(task.name for task in tasks),
        scenes=_stack(scenes),
        names=np.array(names, np.int32),
        keep_camera=np.array([bool(one.scene.drawn) for one in labelled]),
        answers=np.array([[task.truth(one) for task in tasks] for one in labelled], np.int32),
    )


def read_bank(path: str | os.PathLike[str]) -> Bank:
    """Reads what `make_bank` wrote.

    Raises:
      UserError: no such file, or it isn't a bank.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"no bank {path}; make it with: python -m vlmcog.datasets bank NAME/CONFIG --out {path}")
    try:
        with np.load(path) as file:
            return _from_arrays({name: file[name] for name in file.files})
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no bank of scenes, or damaged ({error}); make it again") from error


def _names(labelled: LabelledScene, palette: list[str], count: int) -> list[int]:
    names = [
        NO_NAME if body.fixed or body.colour_name not in palette else palette.index(body.colour_name)
        for body in (*labelled.scene.blocks, *labelled.scene.drawn)
    ]
    return names + [NO_NAME] * (count - len(names))


def _same_bodies(scenes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pads the bodies of every scene to the most of any, with what pads them already."""
    most = max(len(scene["bodies"]["shape"]) for scene in scenes)
    fewer = [scene for scene in scenes if len(scene["bodies"]["shape"]) < most]
    for scene in fewer:
        missing = most - len(scene["bodies"]["shape"])
        scene["bodies"] = {
            name: np.concatenate([rows, np.repeat(rows[-1:], missing, 0)]) for name, rows in scene["bodies"].items()
        }
    return scenes


def _stack(trees: list[Any]) -> Any:
    if isinstance(trees[0], Mapping):
        return {name: _stack([tree[name] for tree in trees]) for name in trees[0]}
    return np.stack(trees)


def _to_arrays(bank: Bank) -> dict[str, np.ndarray]:
    about = json.dumps({"spec": str(bank.spec), "tasks": bank.tasks})
    kept = {"about": np.array(about), "names": bank.names, "keep_camera": bank.keep_camera, "answers": bank.answers}
    return kept | dict(_flat(bank.scenes, "scenes"))


def _flat(tree: Any, name: str) -> list[tuple[str, np.ndarray]]:
    if isinstance(tree, Mapping):
        return [item for key, value in tree.items() for item in _flat(value, f"{name}/{key}")]
    return [(name, tree)]


def _from_arrays(arrays: dict[str, np.ndarray]) -> Bank:
    about = json.loads(str(arrays.pop("about")))
    own = {name: arrays.pop(name) for name in ("names", "keep_camera", "answers")}
    scenes: dict[str, Any] = {}
    for name, value in arrays.items():
        *folders, last = name.split("/")[1:]
        place = scenes
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return Bank(parse(about["spec"]), tuple(about["tasks"]), scenes, **own)
