"""Trials of a built dataset, in random access."""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from vlmcog.datasets.features import Judgment, Trial, decode, judgments_by_trial
from vlmcog.datasets.location import build_command, dataset_dir, is_built
from vlmcog.datasets.specs import DatasetSpec, parse_joined
from vlmcog.errors import UserError, did_you_mean
from vlmcog.humans import judgments
from vlmcog.scenes.labelled import LabelledScene, Outcome
from vlmcog.scenes.scene import Scene
from vlmcog.tasks.perception import PERCEPTION
from vlmcog.tasks.registry import get_task
from vlmcog.tasks.task import Task

CACHE_BYTES = 1 << 30


class Place(NamedTuple):
    """Where a trial is: its record, and the task that is put to the scene in place of the record's own."""

    records: Sequence[dict[str, Any]]
    index: int
    asked: Task | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The record as TFDS reads it."""
        return self.records[self.index]


class TrialSource:
    """The trials of one split, of one set or of several, in a fixed order.

    Decoded trials stay in memory, up to `CACHE_BYTES` of pixels, so that an epoch decodes each image once. Images are
    read-only for that reason. Threads may share a source.
    """

    def __init__(
        self,
        name: str,
        split: str,
        places: Sequence[Place],
        *,
        said: Mapping[tuple[str, str], tuple[Judgment, ...]] | None = None,
    ):
        self.name, self.split = name, split
        self._places, self._said = places, said
        self._cache: dict[int, Trial] = {}
        self._room = CACHE_BYTES

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Trial:
        index = range(len(self))[index]  # negative indices, and IndexError beyond the end
        trial = self._cache.get(index)
        if trial is None:
            trial = self._read(index)
            if trial.image.nbytes <= self._room:
                self._room -= trial.image.nbytes
                self._cache[index] = trial
        return trial

    def _read(self, index: int) -> Trial:
        place = self._places[index]
        try:
            record = place.record
            image = np.asarray(Image.open(io.BytesIO(record["image"])))  # shares the image's memory, so read-only
            trial = decode(record, image)
            trial = trial if place.asked is None else _ask(place.asked, trial)
        except (RuntimeError, OSError) as error:  # how array_record and Pillow report damage
            raise UserError(f"{self} are damaged ({error}); remove the dataset's folder and build it again") from error
        if self._said is None:
            return trial
        return dataclasses.replace(trial, judgments=self._said.get((trial.item, trial.task), ()), aggregate=None)

    def __iter__(self) -> Iterator[Trial]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} trials of {self.name}, split {self.split}>"

    def asked(self) -> set[tuple[str, tuple[str, ...]]]:
        """Returns the questions of the trials, each with its options."""
        return {_question(place) for place in self._places}

    def judged_by(self, table: pd.DataFrame) -> "TrialSource":
        """Returns the same trials with what a judgment table says of them in place of their own judgments.

        Raises:
          UserError: the table says nothing of any of them.
        """
        said = judgments_by_trial(table)
        judged = TrialSource(self.name, self.split, self._places, said=said)
        if not any((trial.item, trial.task) in said for trial in self):
            raise UserError(f"the judgments are of none of {self}; their items and tasks are other ones")
        return judged

    def judgments(self) -> pd.DataFrame:
        """Returns what people said as the judgment table: a row for each person, item and task, excluded or not."""
        rows = [
            {"item": trial.item, "task": trial.task, **dataclasses.asdict(judgment)}
            for trial in self
            for judgment in trial.judgments
        ]
        return judgments.check(pd.DataFrame(rows, columns=list(judgments.COLUMNS)), source=repr(self))


def load(
    dataset: str | DatasetSpec,
    split: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    tasks: tuple[str, ...] | None = None,
    items: int = 0,
) -> TrialSource:
    """Opens one split of a built dataset, or of several: those of their trials that belong to `tasks`.

    The questions of `tasks.perception` belong to no set and can be put to every synthetic scene.

    Args:
      dataset: `NAME/CONFIG`, or several with `+` between.
      split: its name.
      data_dir: the folder of built datasets; None for the default one.
      tasks: the tasks that are asked; None for all that the sets have. Each set has one of them, or more.
      items: how many stimuli of each set, the first ones in the order in which they were made; 0 for all.

    Raises:
      UserError: a set isn't built (with the command that builds it) or is damaged; no such split; no trial of a task.
    """
    specs = parse_joined(dataset) if isinstance(dataset, str) else (dataset,)
    wanted = None if tasks is None else tuple(get_task(task) for task in tasks)
    name, places, found = "+".join(map(str, specs)), list[Place](), set[str]()
    for spec in specs:
        own, names = _places(spec, split, data_dir, wanted, items)
        places, found = places + own, found | names
    for task in wanted or ():
        if task.name not in found:
            raise UserError(f"{name} has no trial of task {task.name!r}; it has {', '.join(sorted(found))}")
    return TrialSource(name, split, places)


def splits(spec: DatasetSpec, data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Returns the names of a built dataset's splits.

    Raises:
      UserError: the set isn't built.
    """
    import tensorflow_datasets as tfds  # slow to import

    return list(tfds.builder_from_directory(_built_dir(spec, data_dir)).info.splits)


def fingerprint(source: Iterable[Trial]) -> str:
    """Returns a digest of every decoded trial in order: equal for equal data, whatever the bytes of the files."""
    digest = hashlib.sha256()
    for trial in source:
        fields = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial)}
        image = fields.pop("image")
        fields["judgments"] = [dataclasses.astuple(judgment) for judgment in trial.judgments]
        fields["aggregate"] = trial.aggregate and dataclasses.astuple(trial.aggregate)
        digest.update(json.dumps([image.shape, fields]).encode())
        digest.update(image.tobytes())
    return digest.hexdigest()


def sampled_fingerprint(source: TrialSource, most: int = 64) -> str:
    """Returns a digest of the number of trials and of `most` of them, evenly spaced: quick, whatever their number."""
    sample = [source[index] for index in np.linspace(0, len(source) - 1, min(most, len(source)), dtype=int).tolist()]
    return hashlib.sha256(f"{len(source)} {fingerprint(sample)}".encode()).hexdigest()


def _built_dir(spec: DatasetSpec, data_dir: str | os.PathLike[str] | None) -> pathlib.Path:
    directory = dataset_dir(spec, data_dir)
    if not is_built(directory):
        raise UserError(f"{spec} is not in {directory.parent}; make it with: {build_command(spec, data_dir)}")
    return directory


def _places(
    spec: DatasetSpec,
    split: str,
    data_dir: str | os.PathLike[str] | None,
    tasks: tuple[Task, ...] | None,
    items: int,
) -> tuple[list[Place], set[str]]:
    """The trials of one set that are asked for, and the names of all that it asks."""
    import tensorflow_datasets as tfds  # slow to import

    directory = _built_dir(spec, data_dir)
    builder = tfds.builder_from_directory(directory)
    _check_split(spec, list(builder.info.splits), split)
    _check_files(builder.info.splits[split].filepaths, directory)
    decoders = {"image": tfds.decode.SkipDecoding()}  # TFDS's own decoding warns where OpenCV is absent
    records = builder.as_data_source(split=split, decoders=decoders)  # pyright: ignore[reportCallIssue]
    if tasks is None and not items:
        return [Place(records, index) for index in range(len(records))], set()
    asked = _columns(builder, split, "task", "item")
    found = {task for task, _ in asked}
    names = found if tasks is None else {task.name for task in tasks}
    kept = set(sorted({item for _, item in asked})[: items or None])
    places = [Place(records, index) for index, (task, item) in enumerate(asked) if item in kept and task in names]
    anew = [task for task in PERCEPTION if task.name in names - found]
    if anew:
        first = {item: index for index, (_, item) in reversed(list(enumerate(asked))) if item in kept}
        scenes = _columns(builder, split, "scene", "outcome")
        places += _put_anew(spec, anew, records, sorted(first.values()), scenes)
    if not places:
        wanted = " or ".join(map(repr, sorted(names)))
        raise UserError(f"{spec} has no trial of task {wanted}; it has {', '.join(sorted(found))}")
    return places, found | {place.asked.name for place in places if place.asked}


def _put_anew(
    spec: DatasetSpec, tasks: Sequence[Task], records: Any, indices: Iterable[int], scenes: Sequence[tuple[str, ...]]
) -> Iterator[Place]:
    """Tasks that are put to the scenes of those records that they suit."""
    for index in indices:
        if not scenes[index][0]:
            raise UserError(f"{spec} shows photographs, and {tasks[0].name!r} is asked of synthetic scenes alone")
        labelled = _labelled(*scenes[index])
        yield from (Place(records, index, task) for task in tasks if _truth(task, labelled) is not None)


def _ask(task: Task, trial: Trial) -> Trial:
    """The trial with another question."""
    truth = _truth(task, _labelled(trial.scene, trial.outcome))
    assert truth is not None
    return dataclasses.replace(
        trial,
        task=task.name,
        question=task.question,
        options=task.answers.options,
        answer=truth,
        judgments=(),
        aggregate=None,
    )


def _truth(task: Task, labelled: LabelledScene) -> int | None:
    return task.truth(labelled) if task.truth else None


def _labelled(scene: str, outcome: str) -> LabelledScene:
    return LabelledScene(Scene.from_json(scene), Outcome.from_json(outcome))


def _question(place: Place) -> tuple[str, tuple[str, ...]]:
    if place.asked is not None:
        return place.asked.question, place.asked.answers.options
    record = place.record
    return record["question"].decode(), tuple(option.decode() for option in record["options"])


def _columns(builder: Any, split: str, *names: str) -> list[tuple[str, ...]]:
    """Some texts of every record, with nothing else of it decoded: a fifth of the time."""
    import tensorflow_datasets as tfds  # slow to import

    features: Any = tfds.features.FeaturesDict({name: builder.info.features[name] for name in names})
    raw = builder.as_data_source(split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    try:
        decoded = [features.deserialize_example_np(record) for record in raw]
    except RuntimeError as error:  # how array_record reports damage
        raise UserError(
            f"{builder.data_path} is damaged ({error}); remove that folder and build the dataset again"
        ) from error
    return [tuple(record[name].decode() for name in names) for record in decoded]


def _check_split(spec: DatasetSpec, splits: Collection[str], split: str) -> None:
    if split not in splits:
        raise UserError(f"{spec} has no split {split!r}{did_you_mean(split, splits)}; it has {', '.join(splits)}")


def _check_files(files: Sequence[os.PathLike[str]], directory: pathlib.Path) -> None:
    for file in files:
        if not pathlib.Path(file).is_file():
            raise UserError(f"{file} is missing; remove {directory} and build the dataset again")
