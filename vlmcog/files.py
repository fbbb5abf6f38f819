"""Files that are whole or absent: nothing is half-written after a crash or a full disk."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from vlmcog.errors import UserError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary sibling of `path` that takes its name when the block ends well and is removed otherwise.

    Raises:
      UserError: the folder can't be made or written, or the disk is full.
    """
    final = pathlib.Path(path)
    temporary = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.stem}-", suffix=final.suffix, dir=final.parent)
        os.close(handle)
        temporary = pathlib.Path(name)
        temporary.chmod(0o644)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
    except OSError as error:
        raise UserError(
            f"cannot write {final}: {error.strerror or error}; free the disk or name another folder"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary sibling of `path`, a folder, that takes its name when the block ends well, or is removed.

    Raises:
      UserError: there is such a folder already, or it can't be made.
    """
    final = pathlib.Path(path)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    except OSError as error:
        raise UserError(f"cannot write {final}: {error.strerror or error}; name another folder") from error
    try:
        temporary.chmod(0o755)
        yield temporary
        temporary.rename(final)
    except OSError as error:
        raise UserError(f"cannot write {final}: {error.strerror or error}; free the disk or name another") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def lock(path: str | os.PathLike[str]) -> Iterator[bool]:
    """Yields whether the file or folder is this process's until the block ends, or another one has it.

    The system lets go of it when the process ends, however it ends.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = True
        except (BlockingIOError, PermissionError):  # the latter from some network file systems
            mine = False
        yield mine
    finally:
        os.close(handle)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes `text` to `path` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
