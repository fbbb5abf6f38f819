"""Makes datasets without TensorFlow; what is interrupted leaves nothing that counts as a dataset."""

import contextlib
import errno
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import absl.logging

from vlmcog.datasets import registry, shortcuts, workers
from vlmcog.datasets.location import build_command, dataset_dir, is_built
from vlmcog.datasets.specs import NO_LIMIT, SPLITS, DatasetSpec, parse
from vlmcog.errors import UserError
from vlmcog.files import lock


def build(
    spec: str | DatasetSpec,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    release: str | os.PathLike[str] | None = None,
    frames: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    beam: Sequence[str] = (),
) -> pathlib.Path:
    """Makes a dataset, unless it is there already, and returns its folder.

    A build of scenes that is cut off goes on from what it has made.

    Args:
      spec: the dataset, such as `cubeworld_towers/cubeworld_small-size64`.
      data_dir: the folder that holds all datasets; None is TFDS's default.
      release: a checkout of the public release, for a set that is read from one.
      frames: a folder of pictures, for a set whose release has none: `physion`; by default `frames` in the release.
      workers: processes that make scenes (see `workers.make_all`); a script that gives more than 1 guards its main
        module by `if __name__ == "__main__"`.
      beam: options of an Apache Beam pipeline, such as `runner=DirectRunner`, that makes the scenes instead.

    Raises:
      UserError: an unknown spec, a release that is missing, wrong or not the one that an existing set was made from, a
        folder that can't be written, another build of the same set under way, a shortcut over the spec's limit, or
        options that can't go together.
    """
    spec = parse(spec) if isinstance(spec, str) else spec
    if spec.is_synthetic and release is not None:
        raise UserError(f"{spec} is made from scenes, not from a release; leave out the release {release}")
    _check_options(spec, workers, beam)
    inputs = _inputs(spec, release, frames)
    digest = None if release is None else registry.builder_class(spec.name).read(*inputs).digest()
    directory = dataset_dir(spec, data_dir)
    if is_built(directory):
        _check_same_release(directory, digest)
        _say(f"{spec} is already in {directory}")
        return directory
    if not spec.is_synthetic and release is None:
        repository = registry.builder_class(spec.name).REPOSITORY
        raise UserError(f"{spec} is read from a checkout of {repository}; name it: {build_command(spec, data_dir)}")
    if spec.is_synthetic:
        _check_possible(spec)
    with _sole_writer(directory.parent):
        if spec.is_synthetic and not beam:
            _write_scenes(spec, directory, workers)
        else:
            _write(spec, directory, frames_dir=inputs[1], manual_dir=release, **_beam_settings(beam))
    _say(f"{spec} is in {directory}")
    return directory


def _check_options(spec: DatasetSpec, workers: int | None, beam: Sequence[str]) -> None:
    if not spec.is_synthetic and (workers is not None or beam):
        raise UserError(f"{spec} is read from a release; leave out --workers and --beam")
    if workers is not None and workers < 1:
        raise UserError(f"--workers is {workers}; it must be at least 1")
    is_limited = spec.shortcut_limit < NO_LIMIT
    if beam and (workers is not None or is_limited):
        raise UserError("--beam goes with neither --workers nor --limit; use the command `shortcuts --limit`")
    if beam and importlib.util.find_spec("apache_beam") is None:
        raise UserError("--beam needs Apache Beam: pip install 'vlmcog[beam]'")
    if is_limited:
        shortcuts.binary_tasks(spec)


def _inputs(
    spec: DatasetSpec, release: str | os.PathLike[str] | None, frames: str | os.PathLike[str] | None
) -> tuple[pathlib.Path | None, pathlib.Path | None]:
    """The folders of a release and of its frames."""
    if frames is not None and spec.name not in registry.WITH_FRAMES:
        raise UserError(f"{spec} has its own pictures; leave out the frames {frames}")
    folders = (None if folder is None else pathlib.Path(folder).expanduser() for folder in (release, frames))
    return next(folders), next(folders)


def _check_possible(spec: DatasetSpec) -> None:
    """Refuses scenes that can't be made before anything is written."""
    from vlmcog.scenes.generate import maker  # slow to import

    maker(spec.kind, seed=spec.seed, split=SPLITS[0], split_size=spec.split_size, look=spec.look)


def _write_scenes(spec: DatasetSpec, directory: pathlib.Path, count: int | None) -> None:
    chunk_dir = directory.with_name(f"chunks.{directory.name}")
    with _emptied_folder(chunk_dir):
        workers.make_all(spec, chunk_dir, count)
        if spec.shortcut_limit < NO_LIMIT:
            train, test = (shortcuts.trials_of_chunks(spec, split, chunk_dir) for split in ("train", "test"))
            shortcuts.check(spec, shortcuts.shortcut_baselines(train, test), spec.shortcut_limit)
        _write(spec, directory, chunk_dir=chunk_dir)
        shutil.rmtree(chunk_dir)


@contextlib.contextmanager
def _emptied_folder(folder: pathlib.Path) -> Iterator[None]:
    """Makes a folder that is gone after the block unless something is in it."""
    folder.mkdir(exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _beam_settings(options: Sequence[str]) -> dict[str, Any]:
    if not options:
        return {}
    from apache_beam.options.pipeline_options import PipelineOptions  # pyright: ignore[reportMissingImports]  # an extra

    return {"beam_options": PipelineOptions(flags=[f"--{option}" for option in options])}


def _write(
    spec: DatasetSpec,
    directory: pathlib.Path,
    *,
    chunk_dir: pathlib.Path | None = None,
    frames_dir: pathlib.Path | None = None,
    **settings: Any,
) -> None:
    import tensorflow_datasets as tfds  # slow to import

    data_dir = directory.parents[2 if spec.config else 1]
    with tempfile.TemporaryDirectory() as downloads, _tfds_quiet():
        builder = registry.builder_class(spec.name)(data_dir=data_dir, **_config_argument(spec))
        builder.chunk_dir, builder.frames_dir = chunk_dir, frames_dir
        config = tfds.download.DownloadConfig(**settings)
        builder.download_and_prepare(download_dir=downloads, download_config=config)
    _say_what_was_left_out(builder.info.metadata)


@contextlib.contextmanager
def _tfds_quiet() -> Iterator[None]:
    """Keeps TFDS from speaking of downloads and custom configs; the builders show their own progress."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        with contextlib.redirect_stdout(None):
            yield
    finally:
        absl.logging.set_verbosity(verbosity)


def _config_argument(spec: DatasetSpec) -> dict:
    if not spec.is_synthetic:
        return {}
    from vlmcog.datasets.synthetic import config_of

    known = spec.config in registry.builder_class(spec.name).builder_configs  # TFDS wants those by name
    return {"config": spec.config if known else config_of(spec)}


def _say_what_was_left_out(metadata: dict) -> None:
    for split in SPLITS:
        if split in metadata:
            simulated, rejected = metadata[split]["simulated"], metadata[split]["rejected"]
            share = rejected / simulated
            _say(f"{split}: {rejected} of {simulated} simulated scenes rejected as ambiguous ({share:.1%})")
    for note in metadata.get("notes", ()):
        _say(note)


def _check_same_release(directory: pathlib.Path, digest: str | None) -> None:
    if digest is None:
        return
    metadata = json.loads((directory / "metadata.json").read_text())
    if metadata["release"] != digest:
        raise UserError(f"{directory} was made from another release; remove that folder, or name another --data_dir")


@contextlib.contextmanager
def _sole_writer(folder: pathlib.Path) -> Iterator[None]:
    """Keeps other builds out of the folder while the block runs, and clears away what a killed build left in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            for leftover in folder.glob("incomplete.*"):
                shutil.rmtree(leftover)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # it stays unless it is empty
                    folder.rmdir()
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}; name another --data_dir") from error
    except RuntimeError as error:  # how array_record reports a full disk
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise UserError(f"no space left to write {folder}; free some, or name another --data_dir") from error


@contextlib.contextmanager
def _lock(folder: pathlib.Path) -> Iterator[None]:
    with lock(folder) as mine:
        if not mine:
            raise UserError(f"another build is writing to {folder}; wait until it has ended")
        yield


def _say(line: str) -> None:
    print(line, file=sys.stderr)
