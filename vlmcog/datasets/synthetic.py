"""Builders of sets made from scenes: read or make their chunks, and ask each task's question about each scene."""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds

from vlmcog.datasets import chunks
from vlmcog.datasets.chunks import Chunk, Item
from vlmcog.datasets.features import NOT_DECODED, encode
from vlmcog.datasets.specs import SPLIT_SIZES, SPLITS, DatasetSpec
from vlmcog.datasets.trial_builder import TrialBuilder
from vlmcog.datasets.trials import item_name, trials
from vlmcog.scenes.looks import LOOKS
from vlmcog.tasks.task import Task


@dataclasses.dataclass(eq=False)
class SyntheticConfig(tfds.core.BuilderConfig):
    """A TFDS config that holds a spec; the config is named after it."""

    spec: DatasetSpec = dataclasses.field(kw_only=True)


def config_of(spec: DatasetSpec) -> SyntheticConfig:
    """Returns the TFDS config of a spec with any options."""
    return SyntheticConfig(
        name=spec.config,
        description=f"{spec.split_size}, {spec.look} look, {spec.image_size} px, seed {spec.seed}",
        spec=spec,
    )


def default_configs(name: str) -> list[SyntheticConfig]:
    """Returns the configs of each look and split size with default options, which `tfds build` offers."""
    return [config_of(DatasetSpec(name, look, size)) for look, size in itertools.product(LOOKS, SPLIT_SIZES)]


class SyntheticBuilder(TrialBuilder, skip_registration=True):
    """Makes the splits train, validation and test of one look and split size.

    Attributes:
      chunk_dir: where the set's chunks are, made beforehand; None makes them now.
    """

    chunk_dir: pathlib.Path | None = None
    _with_beam = False

    HOMEPAGE = "https://arxiv.org/abs/2502.15678"
    LICENSE = "Apache-2.0"
    CITATION = """\
@inproceedings{buschoff2025testing,
  title={Testing the Limits of Fine-Tuning for Improving Visual Cognition in Vision Language Models},
  author={Schulze Buschoff, Luca M. and Voudouris, Konstantinos and Akata, Elif and Bethge, Matthias and
    Tenenbaum, Joshua B. and Schulz, Eric},
  booktitle={International Conference on Machine Learning},
  year={2025},
  note={the study whose design this set follows; arXiv:2502.15678}
}"""
    TASKS: tuple[Task, ...]

    @property
    def spec(self) -> DatasetSpec:
        """The options of this set."""
        assert isinstance(self.builder_config, SyntheticConfig)
        return self.builder_config.spec

    def _download_and_prepare(
        self, dl_manager: tfds.download.DownloadManager, download_config: tfds.download.DownloadConfig | None = None
    ) -> Any:
        """Makes the examples in Beam where the download config names a runner or its options."""
        self._with_beam = bool(download_config and (download_config.beam_runner or download_config.beam_options))
        return super()._download_and_prepare(dl_manager, download_config)  # pyright: ignore[reportArgumentType]

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded
        generate = self._beam_examples if self._with_beam else self._generate_examples
        return {split: generate(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        simulated = rejected = 0
        for chunk in chunks.chunks(self.spec, split):
            for index, item in enumerate(self._items(chunk), chunk.start):
                simulated, rejected = simulated + item.simulated, rejected + item.rejected
                yield from _examples(self.spec, split, index, item, self.TASKS)
        self._note(split, {"simulated": simulated, "rejected": rejected})

    def _items(self, chunk: Chunk) -> Iterable[Item]:
        if self.chunk_dir is None:
            return chunks.make(self.spec, chunk)
        return chunks.read(self.chunk_dir / chunk.file_name)

    def _beam_examples(self, split: str) -> Any:
        import apache_beam as beam  # pyright: ignore[reportMissingImports]  # an extra

        make = functools.partial(_examples_of_chunk, spec=self.spec, tasks=self.TASKS)
        return beam.Create(chunks.chunks(self.spec, split)) | beam.Reshuffle() | beam.FlatMap(make)


def _examples_of_chunk(
    chunk: Chunk, *, spec: DatasetSpec, tasks: Sequence[Task]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, item in enumerate(chunks.make(spec, chunk, threads=1), chunk.start):
        yield from _examples(spec, chunk.split, index, item, tasks)


def _examples(
    spec: DatasetSpec, split: str, index: int, item: Item, tasks: Sequence[Task]
) -> Iterator[tuple[str, dict[str, Any]]]:
    name = item_name(split, index)
    for trial in trials(spec, name, item.labelled, NOT_DECODED, tasks):
        yield f"{name}/{trial.task}", encode(trial, item.png)
