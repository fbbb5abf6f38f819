"""The safetensors format: tensors by name, in one file or in shards with an index; knows no model.

A file is the length of its header (8 bytes, little-endian), the header (JSON: dtype, shape and place of each tensor)
and the tensors' bytes, end to end (https://github.com/huggingface/safetensors). Nothing in it is ever executed. Tensors
are read one at a time, and not through a memory map, so that no more than one is in memory.
"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from vlmcog.errors import UserError
from vlmcog.files import atomic_path, write_text

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000
_ALIGNMENT = 8
_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Where a tensor lies and what it is; `start` counts bytes from the beginning of `file`."""

    name: str
    file: pathlib.Path
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int

    @property
    def n_bytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """Returns the tensor.

        Raises:
          UserError: the file can't be read to its end.
        """
        try:
            raw = np.fromfile(self.file, np.uint8, count=self.n_bytes, offset=self.start)
        except OSError as error:
            raise UserError(f"cannot read {self.file}: {error.strerror or error}") from error
        if raw.size != self.n_bytes:
            raise UserError(f"{self.file} ends within {self.name}; fetch it again")
        return raw.view(self.dtype).reshape(self.shape)


def find(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Returns what a checkpoint holds, by name, after checking that every file is whole; reads no tensor.

    Args:
      path: a `.safetensors` file, an index, or a folder that holds `model.safetensors` or an index with its shards.

    Raises:
      UserError: nothing is there, a file is damaged or a pickle, or index and shards contradict each other.
    """
    path = pathlib.Path(path)
    if path.suffix in _PICKLES:
        raise _pickle(path)
    if path.name.endswith(".index.json"):
        return _find_sharded(path)
    if path.is_dir():
        return _find_in_folder(path)
    return _find_in_file(path)


def write(
    folder: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    read: Callable[[str], np.ndarray],
    *,
    shard_bytes: int = 5_000_000_000,
) -> None:
    """Writes tensors as `model.safetensors` or, beyond `shard_bytes`, in shards with an index; one tensor in memory.

    Args:
      folder: where; each file is whole or absent, the index comes last.
      tensors: what, by name: anything with `shape` and `dtype`.
      read: gives a tensor by its name.
      shard_bytes: the most that a shard holds, unless one tensor alone is larger.

    Raises:
      UserError: the folder can't be written.
    """
    shards = _plan(tensors, shard_bytes)
    for index, names in enumerate(shards):
        write_file(pathlib.Path(folder) / _shard_name(index, len(shards)), {n: tensors[n] for n in names}, read)
    if len(shards) > 1:
        files = {name: _shard_name(index, len(shards)) for index, names in enumerate(shards) for name in names}
        total = sum(_n_bytes(tensor) for tensor in tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": files}
        write_text(pathlib.Path(folder) / INDEX, json.dumps(index, indent=2, sort_keys=True) + "\n")


def write_file(path: pathlib.Path, tensors: Mapping[str, Any], read: Callable[[str], np.ndarray]) -> None:
    """Writes one file, which is whole or absent; arguments as of `write`.

    Raises:
      UserError: it can't be written.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # what transformers asks for
    place = 0
    for name, tensor in tensors.items():
        end = place + _n_bytes(tensor)
        code = _CODES[np.dtype(tensor.dtype)]
        header[name] = {"dtype": code, "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        for name, tensor in tensors.items():
            array = np.asarray(read(name), order="C")  # ascontiguousarray would give a scalar an axis
            assert (array.shape, array.dtype) == (tuple(tensor.shape), np.dtype(tensor.dtype)), name
            file.write(array.reshape(-1).view(np.uint8).data)  # whose errors, unlike those of tofile, say why


def _find_in_folder(folder: pathlib.Path) -> dict[str, Tensor]:
    if (folder / INDEX).exists():
        return _find_sharded(folder / INDEX)
    if (folder / SINGLE).exists():
        return _find_in_file(folder / SINGLE)
    pickles = sorted(file for file in folder.iterdir() if file.suffix in _PICKLES)
    if pickles:
        raise _pickle(pickles[0])
    raise UserError(f"{folder} holds neither {SINGLE} nor {INDEX}; name the folder of a checkpoint")


def _find_sharded(index: pathlib.Path) -> dict[str, Tensor]:
    files = _read_index(index)
    shards = {name: _find_in_shard(index, name) for name in sorted(set(files.values()))}
    for name, file in files.items():
        if name not in shards[file]:
            raise UserError(f"{index.parent / file} lacks {name}, which {index.name} places there; fetch both again")
    for file, tensors in shards.items():
        for name in tensors:
            if files.get(name) != file:
                raise UserError(
                    f"{index.parent / file} holds {name}, which {index.name} doesn't place there; fetch both again"
                )
    return {name: shards[file][name] for name, file in files.items()}


def _read_index(index: pathlib.Path) -> dict[str, str]:
    try:
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except OSError as error:
        raise UserError(f"cannot read {index}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{index} is not an index of shards ({error!r}); fetch it again") from error
    if not isinstance(files, dict) or not all(isinstance(file, str) for file in files.values()):
        raise UserError(f"{index}: weight_map must give a file for each tensor; fetch it again")
    return files


def _find_in_shard(index: pathlib.Path, name: str) -> dict[str, Tensor]:
    if pathlib.PurePath(name).name != name:
        raise UserError(f"{index} names the shard {name!r}, outside its folder; fetch the index again")
    if not (index.parent / name).is_file():
        raise UserError(f"{index} names the shard {name}, which is absent; fetch it into {index.parent}")
    if pathlib.PurePath(name).suffix in _PICKLES:
        raise _pickle(index.parent / name)
    return _find_in_file(index.parent / name)


def _find_in_file(path: pathlib.Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if size < _LENGTH_BYTES or not 0 < length <= min(size - _LENGTH_BYTES, _LONGEST_HEADER):
                raise _damaged(path, "its header is cut off")
            header = json.loads(file.read(length))
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint at {path}; name a .safetensors file or a folder that holds one") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header is no JSON") from error
    start = _LENGTH_BYTES + length
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no table")
    tensors = [_parse(path, name, entry, start) for name, entry in header.items() if name != "__metadata__"]
    _check_places(path, tensors, start, size)
    return {tensor.name: tensor for tensor in tensors}


def _parse(path: pathlib.Path, name: str, entry: Any, start: int) -> Tensor:
    try:
        code, shape, (first, last) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, first, last))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{name} is described by {entry!r}") from error
    if code not in _DTYPES:
        raise UserError(
            f"{path}: {name} has dtype {code}, but vlmcog reads {', '.join(_DTYPES)}; fetch the unquantised checkpoint"
        )
    if whole:
        tensor = Tensor(name, path, _DTYPES[code], shape, start + first)
        if tensor.n_bytes == last - first:
            return tensor
    raise _damaged(path, f"{name} is {code}{list(shape)} at bytes {first} to {last}")


def _check_places(path: pathlib.Path, tensors: Iterable[Tensor], start: int, size: int) -> None:
    """The tensors fill the file from `start` to its end, without gap or overlap."""
    for tensor in sorted(tensors, key=lambda tensor: (tensor.start, tensor.n_bytes)):
        if tensor.start != start:
            raise _damaged(path, f"{tensor.name} starts at byte {tensor.start}, not {start}")
        start += tensor.n_bytes
        if start > size:
            raise _damaged(path, f"it ends at byte {size}, within {tensor.name}, which ends at {start}")
    if start != size:
        raise _damaged(path, f"it goes on after its last tensor, from byte {start} to {size}")


def _damaged(path: pathlib.Path, reason: str) -> UserError:
    return UserError(f"{path} is not a whole .safetensors file ({reason}); fetch it again")


def _pickle(path: pathlib.Path) -> UserError:
    return UserError(
        f"{path} is a pickle, which can run any code when opened, so vlmcog never does; "
        "fetch the checkpoint's .safetensors, or convert it with save_pretrained of transformers"
    )


def _plan(tensors: Mapping[str, Any], shard_bytes: int) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    filled = 0
    for name, tensor in tensors.items():
        size = _n_bytes(tensor)
        if shards[-1] and filled + size > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


def _shard_name(index: int, count: int) -> str:
    return SINGLE if count == 1 else f"model-{index + 1:05d}-of-{count:05d}.safetensors"


def _n_bytes(tensor: Any) -> int:
    return math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize
