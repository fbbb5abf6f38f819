"""What a user should see of the batches: the first one as text and pictures, and the one that broke a run."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Float

from vlmcog import files
from vlmcog.distributed import is_first
from vlmcog.errors import UserError
from vlmcog.models.boundary import Batch
from vlmcog.models.processor import Processor
from vlmcog.training.input import ITEM
from vlmcog.training.metrics import MetricsWriter, NotFiniteError

MOST_IMAGES, MOST_ITEMS = 16, 8


class Watch:
    """Shows the first batch of a run, and keeps the last two: a loss is known when the next batch is under way.

    Args:
      workdir: the run's folder.
      processor: the model's.
      writer: where pictures go.
    """

    def __init__(self, workdir: pathlib.Path, processor: Processor, writer: MetricsWriter):
        self._workdir, self._processor, self._writer = workdir, processor, writer
        self._recent: dict[int, Batch] = {}

    def take(self, step: int, batch: Batch) -> Batch:
        """Looks at the batch of a step, counted from 1, and hands it on."""
        if step == 1 and is_first() and all(_is_here(leaf) for leaf in batch.values()):
            print(describe(batch, self._processor), file=sys.stderr)
            self._writer.images(step, pictures(batch))
        self._recent = {number: kept for number, kept in self._recent.items() if number == step - 1} | {step: batch}
        return batch

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Saves the batch of a step whose loss is not finite as `not_finite.npz`, and names it and its items.

        Raises:
          UserError: in the place of a `NotFiniteError`.
        """
        try:
            yield
        except NotFiniteError as error:
            of_process = "" if is_first() else f"_{jax.process_index()}"
            batch, path = self._recent[error.step], self._workdir / f"not_finite{of_process}.npz"
            with files.atomic_path(path) as temporary:
                np.savez(temporary, allow_pickle=False, **{name: np.asarray(leaf) for name, leaf in batch.items()})
            raise UserError(f"{error}; its batch{_of_items(batch)} is in {path}") from error


def describe(batch: Batch, processor: Processor) -> str:
    """Returns, of the first example of a batch, what is read and what is learnt, told by the masks themselves."""
    first = {name: np.asarray(leaf[0]) for name, leaf in batch.items()}
    if "mask_loss" in first:
        learnt, real = first["mask_loss"], first["mask_input"]
        read = processor.decode(first["text"][real & ~learnt])
        said = f"learns {processor.decode(first['text'][learnt])!r} ({learnt.sum()} tokens with the one that ends it)"
        return f"first batch: of {len(batch['text'])}, one reads {read!r} and {said}"
    if "options" not in first:
        return f"first batch: {', '.join(batch)}"
    options = [
        processor.decode(ids) for ids, real in zip(first["options"], first["options_mask"], strict=True) if any(real)
    ]
    target = first["target"] if "target" in first else np.eye(len(options))[first["answer"]]
    shares = ", ".join(f"{option!r} {share:.3g}" for option, share in zip(options, target, strict=False))
    return f"first batch: of {len(batch['options'])}, one learns these shares of its options: {shares}"


def pictures(batch: Batch) -> Float[np.ndarray, "n h w 3"]:
    """Returns the batch's first images, scaled to 0 to 1; none where a model takes patches."""
    images = np.asarray(jax.device_get(batch.get("image", np.zeros(0))[:MOST_IMAGES]), np.float32)
    if images.ndim != 4 or images.shape[-1] != 3:
        return np.zeros((0, 1, 1, 3), np.float32)
    return (images - images.min()) / max(float(np.ptp(images)), 1e-6)


def _is_here(leaf: jax.Array | np.ndarray) -> bool:
    """Whether this process can read all of it."""
    return not isinstance(leaf, jax.Array) or leaf.is_fully_addressable


def _of_items(batch: Batch) -> str:
    if ITEM not in batch:
        return ""
    items = [str(item) for item in batch[ITEM]]
    more = f" and {len(items) - MOST_ITEMS} more" if len(items) > MOST_ITEMS else ""
    return f" (items {', '.join(items[:MOST_ITEMS])}{more})"
