"""The scenes of a set in chunks that any process can make; on disk they outlive a build that is cut off.

Item `i` of a split depends on (seed, split, i) alone, so a chunk is the same whoever makes it, and when.
"""

import concurrent.futures
import dataclasses
import io
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from vlmcog.datasets.specs import SPLITS, DatasetSpec
from vlmcog.errors import UserError
from vlmcog.files import atomic_path
from vlmcog.scenes.labelled import LabelledScene, Outcome
from vlmcog.scenes.scene import Scene

if TYPE_CHECKING:
    from vlmcog.scenes.generate import Made

SCENES_IN_CHUNK = 128


@dataclasses.dataclass(frozen=True)
class Chunk:
    """The scenes `start` to `stop` - 1 of a split."""

    split: str
    start: int
    stop: int

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.split}-{self.start:08d}-{self.stop:08d}.parquet"

    def __len__(self) -> int:
        return self.stop - self.start


@dataclasses.dataclass(frozen=True)
class Item:
    """A labelled scene with its picture, and how many scenes were simulated and rejected to find it."""

    labelled: LabelledScene
    png: bytes
    simulated: int
    rejected: int


def chunks(spec: DatasetSpec, split: str) -> list[Chunk]:
    """Returns the chunks of a split, in order."""
    count = getattr(spec, split)
    starts = range(0, count, SCENES_IN_CHUNK)
    return [Chunk(split, start, min(start + SCENES_IN_CHUNK, count)) for start in starts]


def all_chunks(spec: DatasetSpec) -> list[Chunk]:
    """Returns the chunks of every split."""
    return list(itertools.chain.from_iterable(chunks(spec, split) for split in SPLITS))


def simulate(spec: DatasetSpec, chunk: Chunk, *, threads: int | None = None) -> list["Made"]:
    """Generates and labels the scenes of a chunk in threads: one a core, unless told otherwise."""
    from vlmcog.scenes.generate import maker  # slow to import

    make_one = maker(spec.kind, seed=spec.seed, split=chunk.split, split_size=spec.split_size, look=spec.look)
    with concurrent.futures.ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        return list(pool.map(make_one, range(chunk.start, chunk.stop)))


def rendered(spec: DatasetSpec, made: Sequence["Made"], *, together: int | None = None) -> list[Item]:
    """Takes the scenes' pictures, `together` at a time; None for all."""
    from vlmcog.scenes.render import render  # imports jax

    together = together or len(made)
    images = []
    for start in range(0, len(made), together):
        scenes = [one.labelled.scene for one in made[start : start + together]]
        images.extend(render(scenes, size=spec.image_size))
    return [
        Item(one.labelled, _png(image), one.simulated, one.rejected) for one, image in zip(made, images, strict=True)
    ]


def make(spec: DatasetSpec, chunk: Chunk, *, threads: int | None = None) -> list[Item]:
    """Generates, labels and renders the scenes of a chunk.

    Args:
      spec: the set.
      chunk: which of its scenes.
      threads: threads that simulate and render; None for one a core. MuJoCo and XLA let go of the interpreter.
    """
    return rendered(spec, simulate(spec, chunk, threads=threads), together=threads)


def write(path: pathlib.Path, items: Sequence[Item]) -> None:
    """Writes a chunk, whole or not at all."""
    columns = {
        "scene": [item.labelled.scene.to_json() for item in items],
        "outcome": [item.labelled.outcome.to_json() for item in items],
        "png": [item.png for item in items],
        "simulated": [item.simulated for item in items],
        "rejected": [item.rejected for item in items],
    }
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary)


def read(path: pathlib.Path) -> Iterator[Item]:
    """Yields what `write` wrote.

    Raises:
      UserError: the file is damaged.
    """
    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is damaged; remove it and build again") from error
    for row in rows:
        labelled = LabelledScene(Scene.from_json(row["scene"]), Outcome.from_json(row["outcome"]))
        yield Item(labelled, row["png"], row["simulated"], row["rejected"])


def _png(image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()
