"""Parameters in big_vision's npz format: one array a parameter, named by its path, such as `params/img/head/bias`."""

import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import ml_dtypes
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from vlmcog.errors import UserError, did_you_mean
from vlmcog.files import atomic_path

Params = dict[str, Any]
_ROOT = "params/"


def load(path: str | os.PathLike[str], abstract_params: Mapping[str, Any]) -> Params:
    """Reads the parameters of a model, as numpy arrays of the dtypes in `abstract_params`.

    Args:
      path: an npz file; bfloat16, which numpy reads as two raw bytes, is understood.
      abstract_params: the tree of shapes and dtypes to match, from `jax.eval_shape(model.init, rng)`.

    Raises:
      UserError: the file is missing or damaged, a parameter is missing, has another shape, or isn't in the model.
    """
    wanted: dict[str, Any] = {f"{_ROOT}{key}": leaf for key, leaf in flatten_dict(abstract_params, sep="/").items()}
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            _check_names(path, wanted, arrays)
            read = {key.removeprefix(_ROOT): _read(path, key, arrays[key], leaf) for key, leaf in wanted.items()}
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint at {path}; name an existing .npz in big_vision's format") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"cannot read {path}: not a whole .npz of arrays ({error}); fetch or save it again") from error
    return unflatten_dict(read, sep="/")


def save(path: str | os.PathLike[str], params: Mapping[str, Any]) -> None:
    """Writes parameters so that `load` and big_vision read them; the file is whole or absent."""
    arrays = {f"{_ROOT}{key}": np.asarray(leaf) for key, leaf in flatten_dict(params, sep="/").items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _check_names(path, wanted: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    missing, extra = sorted(wanted.keys() - arrays.keys()), sorted(arrays.keys() - wanted.keys())
    if missing:
        raise UserError(
            f"{path} lacks {_first(missing)}{did_you_mean(missing[0], extra)}; the model's is "
            f"{list(wanted[missing[0]].shape)}: use a checkpoint of the same family and size"
        )
    if extra:
        raise UserError(
            f"{path} holds {_first(extra)}, {list(arrays[extra[0]].shape)}, which isn't in the model; "
            "use a checkpoint of the same family and size"
        )


def _first(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _read(path, key: str, array: np.ndarray, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    if array.dtype == np.dtype("V2"):
        array = array.view(ml_dtypes.bfloat16)
    if array.shape != leaf.shape:
        raise UserError(
            f"{path}: {key} has shape {list(array.shape)} but the model's is {list(leaf.shape)}; "
            "set model.size, model.image_size and model.vocabulary to the checkpoint's"
        )
    return array.astype(leaf.dtype)
