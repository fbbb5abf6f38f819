"""Rows of metrics: where they are written, and how a step's metrics become one."""

import contextlib
import json
import math
import os
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

import jax
import numpy as np
import tensorboardX
from jaxtyping import Float

from vlmcog import distributed, files, memory
from vlmcog.errors import UserError
from vlmcog.models.boundary import Metrics
from vlmcog.training import devices
from vlmcog.training.workdir import METRICS, TENSORBOARD

Row = Mapping[str, float]
RATES = ("images_per_second", "tflops", "mfu", "data_wait", "memory_gib")
"""What a row says of the machine: these differ between runs that are otherwise the same."""


class NotFiniteError(UserError):
    """The loss or the gradient of a step is NaN or infinite."""

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


class MetricsWriter(Protocol):
    """Somewhere that rows of metrics go."""

    def write(self, step: int, row: Row) -> None:
        """Keeps a row; steps never go back."""
        ...

    def images(self, step: int, images: Float[np.ndarray, "n h w 3"]) -> None:
        """Keeps pictures, from 0 to 1, where there is a place for them."""
        ...

    def close(self) -> None:
        """Finishes."""
        ...


class JsonLines:
    """One JSON object a line, with its step first; on disk as soon as it is written.

    Rows after `last_step` are left from a run that was cut off; they are dropped, since they will be made again.
    """

    def __init__(self, path: pathlib.Path, *, last_step: int):
        if path.exists():
            files.write_text(
                path, "".join(line for line in _whole_lines(path) if json.loads(line)["step"] <= last_step)
            )
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, row: Row) -> None:
        """Appends a row."""
        self._file.write(json.dumps({"step": step, **row}) + "\n")
        self._file.flush()

    def images(self, step: int, images: Float[np.ndarray, "n h w 3"]) -> None:
        """Pictures have no place here."""

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoard:
    """Scalars for TensorBoard, which hides those of a cut-off run after `last_step`."""

    def __init__(self, folder: pathlib.Path, *, last_step: int):
        self._writer = tensorboardX.SummaryWriter(os.fspath(folder), purge_step=last_step + 1)

    def write(self, step: int, row: Row) -> None:
        """Adds each metric as a scalar."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def images(self, step: int, images: Float[np.ndarray, "n h w 3"]) -> None:
        """Adds pictures side by side."""
        if len(images):
            self._writer.add_images("batch", images, step, dataformats="NHWC")

    def close(self) -> None:
        """Writes what is still in memory."""
        self._writer.close()


class Everywhere:
    """Writes each row to several writers; a context manager that closes them."""

    def __init__(self, *writers: MetricsWriter):
        self._writers = writers

    def write(self, step: int, row: Row) -> None:
        """Writes a row to each."""
        for writer in self._writers:
            writer.write(step, row)

    def images(self, step: int, images: Float[np.ndarray, "n h w 3"]) -> None:
        """Hands pictures to each."""
        for writer in self._writers:
            writer.images(step, images)

    def close(self) -> None:
        """Closes each."""
        for writer in self._writers:
            writer.close()

    def __enter__(self) -> "Everywhere":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_writers(workdir: pathlib.Path, *, last_step: int) -> Everywhere:
    """Opens `train.jsonl` and `tensorboard/` of a run that goes on after `last_step`; in the first process alone."""
    if not distributed.is_first():
        return Everywhere()
    return Everywhere(
        JsonLines(workdir / METRICS, last_step=last_step), TensorBoard(workdir / TENSORBOARD, last_step=last_step)
    )


class RunningMetrics:
    """The metrics of the steps since the last row. Those of a step are fetched while the next step runs.

    Attributes:
      flops: model FLOPs of a step; 0 where nobody counted.
    """

    def __init__(self, batch_size: int):
        self.flops = 0.0
        self._batch_size = batch_size
        self._waited = 0.0
        self._pending: tuple[int, Metrics] | None = None
        self._steps: list[dict[str, float]] = []
        self._start: float | None = None
        self._timed = 0

    @property
    def note(self) -> str:
        """The latest loss, for a progress bar."""
        return f"loss {self._steps[-1]['loss']:.3f}" if self._steps else ""

    def add(self, step: int, metrics: Metrics) -> None:
        """Takes the metrics of a step that has been sent off, and waits for the step before it.

        Raises:
          NotFiniteError: the loss or the gradient of the step before is not finite.
        """
        self._fetch()
        self._pending = (step, metrics)

    def summarise(self) -> dict[str, float]:
        """Waits for the last step; returns means (the last learning rate) and `RATES`, and starts anew.

        `tflops` are the model's in 10^12 a second, `mfu` their share of the devices' peak in bfloat16, where that is
        known. `data_wait` is the share of the time that the host waited for batches; devices wait at most that long.
        """
        self._fetch()
        steps, self._steps = self._steps, []
        row = {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}
        row["learning_rate"] = steps[-1]["learning_rate"]
        if self._timed:
            row |= self._rates(time.perf_counter() - (self._start or 0.0))
        self.restart_clock()
        return row

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time in the block as spent on waiting for a batch."""
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start

    def _rates(self, seconds: float) -> dict[str, float]:
        flops = self.flops * self._timed / seconds
        peaks = [devices.peak_flops(device) for device in jax.devices()]
        return {
            "images_per_second": self._timed * self._batch_size / seconds,
            "tflops": flops / 1e12,
            **({} if None in peaks else {"mfu": flops / sum(peak or 0.0 for peak in peaks)}),
            "data_wait": self._waited / seconds,
            "memory_gib": memory.peak_bytes() / (1 << 30),
        }

    def restart_clock(self) -> None:
        """Leaves the time since the last row out of the rate, where it wasn't spent on steps."""
        self._start, self._timed, self._waited = time.perf_counter(), 0, 0.0

    def _fetch(self) -> None:
        if self._pending is None:
            return
        (step, metrics), self._pending = self._pending, None
        self._steps.append({name: float(value) for name, value in jax.device_get(metrics).items()})
        _check_finite(step, self._steps[-1])
        self._timed += 1
        if self._start is None:  # the first step compiles
            self.restart_clock()


def _check_finite(step: int, metrics: Mapping[str, float]) -> None:
    for name in ("loss", "grad_norm"):
        if not math.isfinite(metrics[name]):
            raise NotFiniteError(
                f"{name} is {metrics[name]} at step {step} (learning rate {metrics['learning_rate']:.3g}); "
                "start in a new --workdir with a lower optimizer.learning_rate or more schedule.warmup_steps",
                step,
            )


def _whole_lines(path: pathlib.Path) -> list[str]:
    """The lines of a file without the last one if it was cut off."""
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
