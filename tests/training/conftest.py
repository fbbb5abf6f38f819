"""A model that conforms to the boundary, compiles in a blink, and learns whether an image is bright."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.datasets.features import Trial
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig
from vlmcog.training import config as config_lib
from vlmcog.training.input import soft_example

SIDE, WIDTH, WORDS = 8, 16, ("no", "yes")


class BrightProcessor:
    """One token an answer: its index in `WORDS`."""

    def train_example(self, image, question, answer, options):
        return {"image": _scaled(image), "answer": np.int32(WORDS.index(answer))}

    def score_example(self, image, question, options):
        tokens = np.array([[WORDS.index(option)] for option in options], np.int32)
        return {"image": _scaled(image), "options": tokens, "options_mask": np.ones((len(options), 1), bool)}


@dataclasses.dataclass(frozen=True)
class BrightModel:
    """Two dense layers on the pixels."""

    name = "bright"
    config = ModelConfig()
    processor = BrightProcessor()
    traced: list = dataclasses.field(default_factory=list)  # grows whenever the loss is traced
    dropout: float = 0.0

    def init(self, rng):
        first, second = jax.random.split(rng)
        return {
            "img": {
                "kernel": 0.1 * jax.random.normal(first, (SIDE * SIDE * 3, WIDTH)),
                "bias": jnp.zeros(WIDTH),
            },
            "llm": {"kernel": 0.1 * jax.random.normal(second, (WIDTH, len(WORDS)))},
        }

    def loss(self, params, batch, rng=None):
        self.traced.append("loss")
        chances = self._log_chances(params, batch, rng)
        right = jnp.take_along_axis(chances, batch["answer"][:, None], axis=1)[:, 0]
        accuracy = (chances.argmax(-1) == batch["answer"]).astype(jnp.float32).mean()
        return -right.mean(), {"loss": -right.mean(), "accuracy": accuracy, "n_tokens": jnp.float32(len(right))}

    def score(self, params, batch):
        scores = jnp.take_along_axis(self._log_chances(params, batch), batch["options"][:, :, 0], axis=1)
        return jnp.where(batch["options_mask"].any(-1), scores, -jnp.inf)

    def _log_chances(self, params, batch, rng=None):
        pixels = batch["image"].reshape(len(batch["image"]), -1)
        hidden = jnp.tanh(pixels @ params["img"]["kernel"] + params["img"]["bias"][None])
        if rng is not None and self.dropout:
            hidden = jnp.where(jax.random.bernoulli(rng, 1 - self.dropout, hidden.shape), hidden, 0.0)
        return jax.nn.log_softmax(hidden @ params["llm"]["kernel"])


def _scaled(image):
    return image.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


def bright_trials(count, *, seed=0, question="Will this block tower fall?"):
    """Noise images, every other one brighter: the answer is yes."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 128, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return [
        Trial(noise[i] + np.uint8(127 * (i % 2)), f"item{i}", "tower_falls", question, WORDS, i % 2)
        for i in range(count)
    ]


@pytest.fixture
def bright_model():
    return BrightModel()


@pytest.fixture
def bright_model_with_dropout():
    return BrightModel(dropout=0.5)


@pytest.fixture(scope="session")
def make_trials():
    return bright_trials


@pytest.fixture(scope="session")
def make_config():
    """The default config, smaller; takes nested dicts of what differs."""

    def make(**changes):
        small = {
            "total_steps": 20,
            "log_every": 5,
            "eval_every": 10,
            "save_every": 10,
            "data": {"batch_size": 8, "augment": (), **changes.pop("data", {})},
            "schedule": {"warmup_steps": 2, **changes.pop("schedule", {})},
            "optimizer": {
                "method": "adamw",
                "decayed": ((".*/bias", False), (".*", True)),
                **changes.pop("optimizer", {}),
            },
        }
        return config_lib.from_config_dict(small | changes)

    return make


@pytest.fixture(scope="session")
def nano():
    """The real architecture in its smallest size, with its parameters."""
    model = registry.build(ModelConfig(size="nano", image_size=16, scan=True))
    return model, jax.jit(model.init, compiler_options={"xla_backend_optimization_level": 0})(jax.random.key(0))


@pytest.fixture(scope="session")
def make_real_batch(nano):
    """Returns nano, its parameters, a batch whose answer is yes, and one with a target over (yes, no)."""
    model, params = nano
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)

    def stacked(examples):
        return {key: np.stack([example[key] for example in examples]) for key in examples[0]}

    def make(target):
        trials = [Trial(image, "i", "tower_falls", "Will it fall?", ("yes", "no"), 0) for image in images]
        hard = [model.processor.train_example(t.image, t.question, "yes") for t in trials]
        soft = [soft_example(t, np.array(target, np.float32), model.processor, 3) for t in trials]
        return model, params, stacked(hard), stacked(soft)

    return make
