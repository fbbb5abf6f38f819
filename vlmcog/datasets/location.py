"""Where datasets lie: `data_dir/NAME/CONFIG/VERSION`, as TFDS has it."""

import contextlib
import os
import pathlib

from vlmcog.datasets import registry
from vlmcog.datasets.specs import DatasetSpec, parse
from vlmcog.errors import UserError


def default_data_dir() -> pathlib.Path:
    """Returns `$TFDS_DATA_DIR`, or `~/tensorflow_datasets`, as TFDS does."""
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def dataset_dir(spec: DatasetSpec, data_dir: str | os.PathLike[str] | None) -> pathlib.Path:
    """Returns the folder of a dataset, built or not; a `data_dir` of None is the default one."""
    root = default_data_dir() if data_dir is None else pathlib.Path(data_dir).expanduser()
    return root / spec.name / spec.config / str(registry.builder_class(spec.name).VERSION)


def is_built(directory: pathlib.Path) -> bool:
    """Whether a folder holds a whole dataset: it gets its name only when everything in it is written."""
    return (directory / "dataset_info.json").is_file()


def built_specs(data_dir: pathlib.Path) -> list[DatasetSpec]:
    """Returns every dataset, of the present version, that a folder holds."""
    specs = [DatasetSpec(name) for name in registry.PUBLIC]
    for path in sorted(path for name in registry.SYNTHETIC for path in data_dir.glob(f"{name}/*")):
        with contextlib.suppress(UserError):  # a folder that is no config
            specs.append(parse(f"{path.parent.name}/{path.name}"))
    return [spec for spec in specs if is_built(dataset_dir(spec, data_dir))]


def build_command(spec: DatasetSpec, data_dir: str | os.PathLike[str] | None) -> str:
    """Returns the command that makes a dataset, for messages."""
    where = "" if data_dir is None else f" --data_dir {data_dir}"
    release = "" if spec.is_synthetic else " --release CHECKOUT"
    release += " --frames FOLDER" if spec.name in registry.WITH_FRAMES else ""
    return f"python -m vlmcog.datasets build {spec}{where}{release}"
