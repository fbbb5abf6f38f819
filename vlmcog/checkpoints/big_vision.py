"""Parameters in big_vision's npz format: one array a parameter, named by its path, such as `params/img/head/bias`.

Layers are stacked, or, as in SigLIP's public files, apart: `encoderblock_0/...`, `encoderblock_1/...`.
"""

import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from vlmcog.checkpoints import placement
from vlmcog.errors import UserError, did_you_mean
from vlmcog.files import atomic_path
from vlmcog.progress import Progress

Params = dict[str, Any]
_ROOT = "params/"
_STACKED, _FIRST = "/encoderblock/", "/encoderblock_0/"


def load(path: str | os.PathLike[str], abstract_params: Mapping[str, Any], *, description: str = "") -> Params:
    """Reads the parameters of a model, one at a time.

    Args:
      path: an npz file; bfloat16, which numpy reads as two raw bytes, is understood.
      abstract_params: the tree of shapes and dtypes to match; a leaf with a sharding is put on its devices, one without
        is a numpy array.
      description: of the progress bar; empty for none.

    Raises:
      UserError: the file is missing or damaged, a parameter is missing, has another shape, or isn't in the model.
    """
    leaves: dict[str, Any] = flatten_dict(abstract_params, sep="/")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            parts = {key: _parts(f"{_ROOT}{key}", leaf.shape, arrays.files) for key, leaf in leaves.items()}
            _check_names(path, {name: shape for each in parts.values() for name, shape in each.items()}, arrays)
            read = {}
            with Progress(len(leaves), description, unit="parameter") as bar:
                for key, leaf in leaves.items():
                    read[key] = placement.place(leaf, _read(path, arrays, parts[key]).reshape(leaf.shape))
                    bar.advance()
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint at {path}; name an existing .npz in big_vision's format") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"cannot read {path}: not a whole .npz of arrays ({error}); fetch or save it again") from error
    return unflatten_dict(read, sep="/")


def describe(path: str | os.PathLike[str]) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Returns dtype and shape of each array in a file, by name, without reading them; bfloat16 is V2.

    Raises:
      UserError: the file is missing or damaged, or holds what isn't an array of numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy"): _header(archive, name) for name in archive.namelist()}
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint at {path}; name an existing .npz in big_vision's format") from error
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"cannot read {path}: not a whole .npz of arrays ({error}); fetch or save it again") from error


def _header(archive: zipfile.ZipFile, name: str) -> tuple[np.dtype, tuple[int, ...]]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(name) as member:
        shape, _, dtype = readers[np.lib.format.read_magic(member)](member)
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects")
    return dtype, shape


def save(path: str | os.PathLike[str], params: Mapping[str, Any], *, description: str = "") -> None:
    """Writes parameters, one at a time, so that `load` and big_vision read them; the file is whole or absent."""
    leaves = flatten_dict(params, sep="/")
    bar = Progress(len(leaves), description, unit="parameter")
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive, bar:
        for key, leaf in leaves.items():
            with archive.open(f"{_ROOT}{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(leaf), allow_pickle=False)
            bar.advance()


def _parts(key: str, shape: tuple[int, ...], found: list[str]) -> dict[str, tuple[int, ...]]:
    """The arrays of a parameter, with their shapes: one, or one a layer where the file has its layers apart."""
    if key in found or key.replace(_STACKED, _FIRST) not in found:
        return {key: shape}
    return {key.replace(_STACKED, f"/encoderblock_{layer}/"): shape[1:] for layer in range(shape[0])}


def _check_names(path, wanted: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray]) -> None:
    missing, extra = sorted(wanted.keys() - arrays.keys()), sorted(arrays.keys() - wanted.keys())
    if missing:
        raise UserError(
            f"{path} lacks {_first(missing)}{did_you_mean(missing[0], extra)}; the model's is "
            f"{list(wanted[missing[0]])}: use a checkpoint of the same family and size"
        )
    if extra:
        raise UserError(
            f"{path} holds {_first(extra)}, {list(arrays[extra[0]].shape)}, which isn't in the model; "
            "use a checkpoint of the same family and size"
        )


def _first(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _read(path, arrays: Mapping[str, np.ndarray], parts: Mapping[str, tuple[int, ...]]) -> np.ndarray:
    read = [_read_one(path, name, arrays[name], shape) for name, shape in parts.items()]
    return read[0] if len(read) == 1 else np.stack(read)


def _read_one(path, name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.dtype == np.dtype("V2"):
        array = array.view(ml_dtypes.bfloat16)
    if array.shape != shape:
        raise UserError(
            f"{path}: {name} has shape {list(array.shape)} but the model's is {list(shape)}; "
            "set model.size, model.image_size and model.vocabulary to the checkpoint's"
        )
    return array
