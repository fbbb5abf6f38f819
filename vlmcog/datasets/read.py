"""Trials of a built dataset, in random access."""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from vlmcog.datasets.features import Trial, decode
from vlmcog.datasets.location import build_command, dataset_dir, is_built
from vlmcog.datasets.specs import DatasetSpec, parse
from vlmcog.errors import UserError, did_you_mean
from vlmcog.humans import judgments
from vlmcog.tasks.registry import get_task

CACHE_BYTES = 1 << 30


class TrialSource:
    """The trials of one split in a fixed order.

    Decoded trials stay in memory, up to `CACHE_BYTES` of pixels, so that an epoch decodes each image once. Images are
    read-only for that reason. Threads may share a source.
    """

    def __init__(self, spec: DatasetSpec, split: str, records: Sequence[dict[str, Any]], indices: Sequence[int]):
        self.spec, self.split = spec, split
        self._records, self._indices = records, indices
        self._cache: dict[int, Trial] = {}
        self._room = CACHE_BYTES

    def __len__(self) -> int:
        return len(self._indices)

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
        try:
            record = self._records[self._indices[index]]
            image = np.asarray(Image.open(io.BytesIO(record["image"])))  # shares the image's memory, so read-only
            return decode(record, image)
        except (RuntimeError, OSError) as error:  # how array_record and Pillow report damage
            raise UserError(f"{self} are damaged ({error}); remove the dataset's folder and build it again") from error

    def __iter__(self) -> Iterator[Trial]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} trials of {self.spec}, split {self.split}>"

    def asked(self) -> set[tuple[str, tuple[str, ...]]]:
        """Returns the questions of the trials, each with its options."""
        records = (self._records[index] for index in self._indices)
        return {
            (record["question"].decode(), tuple(option.decode() for option in record["options"])) for record in records
        }

    def judgments(self) -> pd.DataFrame:
        """Returns what people said as the judgment table: a row for each person, item and task, excluded or not."""
        rows = [
            {"item": trial.item, "task": trial.task, **dataclasses.asdict(judgment)}
            for trial in self
            for judgment in trial.judgments
        ]
        return judgments.check(pd.DataFrame(rows, columns=list(judgments.COLUMNS)), source=repr(self))


def load(
    spec: str | DatasetSpec,
    split: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    tasks: tuple[str, ...] | None = None,
) -> TrialSource:
    """Opens one split of a built dataset, or those of its trials that belong to `tasks`.

    Raises:
      UserError: the set isn't built (with the command that builds it) or is damaged; no such split; no trial of a task.
    """
    import tensorflow_datasets as tfds  # slow to import

    spec = parse(spec) if isinstance(spec, str) else spec
    directory = _built_dir(spec, data_dir)
    builder = tfds.builder_from_directory(directory)
    _check_split(spec, list(builder.info.splits), split)
    _check_files(builder.info.splits[split].filepaths, directory)
    decoders = {"image": tfds.decode.SkipDecoding()}  # TFDS's own decoding warns where OpenCV is absent
    records = builder.as_data_source(split=split, decoders=decoders)  # pyright: ignore[reportCallIssue]
    indices = range(len(records)) if tasks is None else _indices_of(tasks, _asked(builder, split), spec)
    return TrialSource(spec, split, records, indices)


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


def _asked(builder: Any, split: str) -> list[str]:
    """The task of every record, with nothing else of it decoded: a fifth of the time."""
    import tensorflow_datasets as tfds  # slow to import

    features: Any = tfds.features.FeaturesDict({"task": builder.info.features["task"]})
    raw = builder.as_data_source(split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    return [features.deserialize_example_np(record)["task"].decode() for record in raw]


def _indices_of(tasks: Sequence[str], asked: Sequence[str], spec: DatasetSpec) -> list[int]:
    for task in tasks:
        if get_task(task).name not in asked:
            raise UserError(f"{spec} has no trial of task {task!r}; it has {', '.join(sorted(set(asked)))}")
    return [index for index, task in enumerate(asked) if task in tasks]


def _check_split(spec: DatasetSpec, splits: Collection[str], split: str) -> None:
    if split not in splits:
        raise UserError(f"{spec} has no split {split!r}{did_you_mean(split, splits)}; it has {', '.join(splits)}")


def _check_files(files: Sequence[os.PathLike[str]], directory: pathlib.Path) -> None:
    for file in files:
        if not pathlib.Path(file).is_file():
            raise UserError(f"{file} is missing; remove {directory} and build the dataset again")
