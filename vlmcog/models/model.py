"""What every model behind the boundary holds, however it answers."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from vlmcog.models.boundary import Batch, Params
from vlmcog.models.config import ModelConfig
from vlmcog.models.hugging_face import Layout
from vlmcog.models.processor import Processor


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A config made into a module, with its processor and its place in Hugging Face's files; see the boundary."""

    config: ModelConfig
    module: nn.Module
    processor: Processor
    hugging_face: Layout

    @property
    def name(self) -> str:
        """Family and size, such as `paligemma-tiny`."""
        return f"{self.config.family}-{self.config.size}"

    def init(self, rng: PRNGKeyArray) -> Params:
        """Fresh parameters."""
        batch = {key: jnp.asarray(value)[None] for key, value in self.processor.blank_example().items()}
        # The rolled loop makes the same parameters and compiles in a fraction of the time.
        return dict(self.module.clone(scan=True).init(rng, batch, method=self._touch)["params"])

    @staticmethod
    def _touch(module: Any, batch: dict[str, Array]) -> Any:
        """Runs every part of a module that has parameters."""
        raise NotImplementedError

    def _apply(self, method: str, params: Params, *args, rng: PRNGKeyArray | None = None) -> Any:
        rngs = None if rng is None else {"dropout": rng}
        return self.module.apply({"params": params}, *args, method=method, rngs=rngs)


def on_device(batch: Batch) -> dict[str, Array]:
    """The batch as jax arrays, which a caller outside of jit may have left in numpy."""
    return {key: jnp.asarray(value) for key, value in batch.items()}
