"""Checkpoints of a run: orbax, in one place."""

import contextlib
import errno
import logging
import pathlib
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jaxtyping import PyTree
from orbax.checkpoint.checkpoint_managers import preservation_policy as preservation

from vlmcog import distributed
from vlmcog.errors import UserError

STATE, DATA = "state", "data"


class DamagedError(UserError):
    """A checkpoint can't be read."""


class Checkpoints:
    """The checkpoints of one run, as a context manager; on leaving it, the last one is whole on disk.

    They are written in the background under another name and get their own when complete, so that a half-written one is
    never picked up.

    Args:
      directory: where they are kept, one folder a step.
      keep: how many; older ones are deleted. None is to read only, which leaves a run that is writing there alone.
      keep_best: whether the one with the lowest validation loss is kept beside them.

    Raises:
      UserError: the directory can't be made.
    """

    def __init__(self, directory: pathlib.Path, *, keep: int | None = None, keep_best: bool = False):
        self._writes = writes = keep is not None
        if writes:
            _make(directory)
            logging.getLogger("absl").addFilter(_is_news)
        policies: list[preservation.PreservationPolicy] = [preservation.LatestN(keep)]
        if keep_best:
            policies.append(preservation.BestN(get_metric_fn=_merit, n=1, keep_checkpoints_without_metrics=False))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=preservation.AnyPreservationPolicy(policies) if writes else None,
            best_fn=_merit if keep_best or not writes else None,
            create=False,
            cleanup_tmp_directories=writes,
        )
        handlers = {STATE: ocp.PyTreeCheckpointHandler(), DATA: ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options, item_handlers=handlers)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        with _interrupts_held(), self._room():
            self._manager.close()
        if self._writes:
            with contextlib.suppress(OSError):  # it isn't empty, unless the run failed before it saved
                pathlib.Path(self._manager.directory).rmdir()

    def latest(self) -> int | None:
        """Returns the step of the newest complete checkpoint, or None."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """Returns the step of the complete checkpoint with the lowest validation loss, or None where none has one."""
        return self._manager.best_step()

    def set_aside(self, step: int) -> pathlib.Path:
        """Moves a checkpoint out of the way, to the folder that is returned."""
        damaged = self._manager.directory / str(step)
        aside = damaged.parent.parent / f"damaged-{step}"
        distributed.wait_for_all("set_aside")  # until each has found it damaged
        if distributed.is_first():
            damaged.rename(aside)
        distributed.wait_for_all("is_aside")
        self._manager.reload()
        return pathlib.Path(aside)

    def save(
        self, step: int, state: PyTree, data: Mapping[str, Any], *, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Copies the state and goes on while it is written.

        Args:
          step: steps done.
          state: a tree of arrays.
          data: the JSON-like place in the input.
          metrics: of a validation at that step, where there was one, with `validation_loss`.

        Raises:
          UserError: the disk is full, as may be found out at the next save or on leaving.
        """
        items = ocp.args.Composite(**{STATE: ocp.args.PyTreeSave(state), DATA: ocp.args.JsonSave(dict(data))})
        with _interrupts_held(), self._room():
            self._manager.save(step, args=items, metrics=dict(metrics) if metrics else None)

    def restore_state(self, step: int, abstract: PyTree) -> PyTree:
        """Returns the state with the shapes, dtypes and shardings of `abstract`, or those of its fields that it names.

        Raises:
          UserError: a parameter is missing on either side or has another shape or dtype; the checkpoint is damaged.
        """
        restore_args = ocp.checkpoint_utils.construct_restore_args(abstract)
        item = ocp.args.PyTreeRestore(abstract, restore_args=restore_args, partial_restore=True)
        with self._whole(step):
            self._check(step, abstract)
            return self._manager.restore(step, args=ocp.args.Composite(**{STATE: item}))[STATE]

    def restore_data(self, step: int) -> dict[str, Any]:
        """Returns the place in the input."""
        with self._whole(step):
            return self._manager.restore(step, args=ocp.args.Composite(**{DATA: ocp.args.JsonRestore()}))[DATA]

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        """Turns a full disk, however deep in orbax's errors, into one line; unfinished checkpoints never count."""
        try:
            yield
        except Exception as error:
            if not _is_full_disk(error):
                raise
            raise UserError(
                f"cannot write a checkpoint to {self._manager.directory}: the disk is full; the checkpoints before it "
                "are whole: free some room and give the same command again"
            ) from error

    @contextlib.contextmanager
    def _whole(self, step: int) -> Iterator[None]:
        """Turns what orbax makes of a damaged file, a bare Exception among it, into one line."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise DamagedError(
                f"{self._manager.directory / str(step)} is damaged ({reason}); to go on from the one before, remove it "
                "or give --skip_damaged"
            ) from error

    def _check(self, step: int, abstract: PyTree) -> None:
        """Orbax would cast another dtype in silence, and report another shape by a page of text."""
        wanted = _describe(abstract)
        fields = {name.partition("/")[0] for name in wanted}
        saved = _describe(self._manager.item_metadata(step)[STATE].tree)
        saved = {name: leaf for name, leaf in saved.items() if name.partition("/")[0] in fields}
        for name in wanted | saved:
            if wanted.get(name) != saved.get(name):
                raise UserError(
                    f"{self._manager.directory / str(step)}: {name} is {saved.get(name, 'absent')} in the checkpoint "
                    f"but {wanted.get(name, 'absent')} in this model; use the config that it was trained with"
                )


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Lets Ctrl-C through only after the block: orbax starts coroutines in it that an exception would strand."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    pressed = threading.Event()
    usual = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if pressed.is_set():
        signal.raise_signal(signal.SIGINT)


def _merit(metrics: Mapping[str, float]) -> float:
    return -metrics["validation_loss"]


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record is to be shown: orbax's threads log pages of traceback for an error that it then raises."""
    return not (record.exc_info and _is_full_disk(record.exc_info[1]))


def _is_full_disk(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _make(directory: pathlib.Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {directory}: {error.strerror}; name another --workdir") from error


def _describe(tree: PyTree) -> dict[str, str]:
    """The dtype and shape of each leaf, by its name."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): _describe_leaf(leaf) for path, leaf in leaves}


def _describe_leaf(leaf: Any) -> str:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # orbax keeps the key's data
        leaf = jax.eval_shape(jax.random.key_data, leaf)
    return f"{leaf.dtype}{list(leaf.shape)}"
