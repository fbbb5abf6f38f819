"""What accelerators can do, by their makers' data sheets."""

import dataclasses
import re
from typing import Any


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """One device.

    Attributes:
      memory: in GiB.
      teraflops: the peak of bfloat16 matrix products, dense, in 10^12 operations a second.
      kind: a regular expression for what jax calls it.
    """

    memory: int
    teraflops: int
    kind: str


ACCELERATORS = {
    "a100-40gb": Accelerator(40, 312, "A100.*40GB"),
    "a100-80gb": Accelerator(80, 312, "A100.*80GB"),
    "h100": Accelerator(80, 989, "H100"),
    "h200": Accelerator(141, 989, "H200"),
    "l4": Accelerator(24, 121, r"L4\b"),
    "tpu-v4": Accelerator(32, 275, "TPU v4$"),
    "tpu-v5e": Accelerator(16, 197, "TPU v5 lite|TPU v5e"),
    "tpu-v5p": Accelerator(95, 459, "TPU v5p?$"),
    "tpu-v6e": Accelerator(32, 918, "TPU v6 lite|TPU v6e"),
}


def peak_flops(device: Any) -> float | None:
    """Returns operations a second at the peak of a `jax.Device`, or None where it is none of `ACCELERATORS`."""
    for known in ACCELERATORS.values():
        if re.search(known.kind, device.device_kind):
            return known.teraflops * 1e12
    return None
