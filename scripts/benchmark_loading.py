"""Loads a sharded checkpoint of random weights and prints how much host memory that took beyond the parameters.

    python scripts/benchmark_loading.py [--gigabytes 4] [--shards 8] [--folder /tmp]

The checkpoint, a PaliGemma of as many layers as fill it, is written to a temporary folder and removed.
"""

import argparse
import dataclasses
import pathlib
import resource
import tempfile
import threading
import time
from collections.abc import Sequence

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import SingleDeviceSharding

from vlmcog import command_line
from vlmcog.checkpoints import hugging_face, safetensors
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.models.generative import GenerativeModel
from vlmcog.models.paligemma import SIZES


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the checkpoint (default: %(default)s)")
    parser.add_argument("--shards", type=int, default=8, help="files that it is split into (default: %(default)s)")
    parser.add_argument("--folder", default="/tmp", help="where it is written for a while (default: %(default)s)")
    args = parser.parse_args(argv)
    model = _model(args.gigabytes)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        total = _write(pathlib.Path(folder), model, shapes, args.shards)
        shard = max(file.stat().st_size for file in pathlib.Path(folder).glob("*.safetensors"))
        device = SingleDeviceSharding(jax.devices()[0])
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), shapes)
        before, start = _resident(), time.perf_counter()
        with _Peak() as peak:
            params = jax.block_until_ready(hugging_face.load(folder, model.hugging_face, abstract))
        seconds = time.perf_counter() - start
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    beyond = peak.bytes - before - held
    rows = {"checkpoint": total, "largest shard": shard, "parameters": held, "peak beyond them": beyond}
    for name, number in rows.items():
        print(f"{name:17} {number / 1e9:6.2f} GB")
    print(f"{'in shards':17} {beyond / shard:6.2f}")
    print(f"{'time':17} {seconds:6.0f} s")


def _model(gigabytes: float) -> GenerativeModel:
    """The 3B's vision tower, and as many of its decoder's layers, with a small vocabulary."""
    public = SIZES["3b"]
    config = ModelConfig(size="3b", image_size=224, scan=True)
    layer = 4 * (3 * 2048 * 16_384 + 2 * 2048 * 2048 + 2 * 2048 * 256)
    depth = max(round((gigabytes * 1e9 - 1.7e9) / layer) + 1, 1)
    decoder = dataclasses.replace(public.decoder, depth=depth)
    networks = dataclasses.replace(public, decoder=decoder, vocabulary_size=8192)
    return registry.family("paligemma").build(config, networks)  # pyright: ignore[reportReturnType]


def _write(folder: pathlib.Path, model: GenerativeModel, shapes, n_shards: int) -> int:
    pieces = {piece.name: piece for piece in hugging_face.plan(model.hugging_face, flatten_dict(shapes, sep="/"))}
    tensors = {name: jax.ShapeDtypeStruct(piece.their_shape, np.float32) for name, piece in pieces.items()}
    total = 4 * sum(int(np.prod(tensor.shape)) for tensor in tensors.values())
    rng = np.random.default_rng(0)

    def read(name: str) -> np.ndarray:
        return rng.standard_normal(tensors[name].shape, np.float32)

    safetensors.write(folder, tensors, read, shard_bytes=-(-total // n_shards))
    return total


class _Peak:
    """The largest resident memory within the block, by looking every few milliseconds."""

    def __enter__(self) -> "_Peak":
        self.bytes, self._done = _resident(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.bytes = max(self.bytes, _resident())


def _resident() -> int:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    command_line.run(main)
