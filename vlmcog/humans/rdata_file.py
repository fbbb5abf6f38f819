"""Tables from R's .RData files, read as data: nothing in them is evaluated."""

import pathlib
import warnings

import pandas as pd
import rdata

from vlmcog.errors import UserError


def read_table(path: pathlib.Path, name: str) -> pd.DataFrame:
    """Returns the data frame of that name in a file, its rows numbered from 1.

    Raises:
      UserError: no such file, not a whole .RData file, or no data frame of that name in it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            objects = rdata.read_rda(path)
    except FileNotFoundError:
        raise UserError(f"no file {path}; restore it") from None
    except Exception as error:  # rdata says of a damaged file whatever breaks first
        raise UserError(f"{path}: not a whole .RData file ({_first_line(error)}); restore it") from None
    table = objects.get(name)
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"{path}: no data frame {name!r} among {', '.join(map(str, objects))}; restore the file")
    return table.set_axis(range(1, len(table) + 1))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
