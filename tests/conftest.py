"""Hostile settings for every test: fake devices, strict dtype and rank promotion, checked shapes, no warnings."""

import os
import pathlib
import signal

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_force_host_platform_device_count=8"
    " --xla_backend_optimization_level=0"  # tests compile far more than they run: a third less time
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import made_up_releases
import pytest
from jaxtyping import install_import_hook

ARRAY_MODULES = (
    "attention",
    "dual_encoder",
    "encoder",
    "gemma",
    "gemma3",
    "gemma_vlm",
    "generative",
    "hidden_states",
    "image_encoder",
    "images",
    "flamingo",
    "layers",
    "llama",
    "model",
    "norms",
    "paligemma",
    "processor",
    "products",
    "qwen",
    "qwen_vision",
    "resampler",
    "rope",
    "siglip",
    "text_encoder",
)
install_import_hook([f"vlmcog.models.{module}" for module in ARRAY_MODULES], "shape_checker.check")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

hypothesis.settings.register_profile("shared_machine", deadline=None)
hypothesis.settings.load_profile("shared_machine")


@pytest.fixture(scope="session", autouse=True)
def _interruptible():
    """What a shell starts in the background ignores the keyboard, and so would what these tests start or do."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _test_data(name: str) -> pathlib.Path:
    """A folder of real samples that the project doesn't ship: VLMCOG_TEST_DATA names where they are."""
    root = os.environ.get("VLMCOG_TEST_DATA")
    if not root or not (pathlib.Path(root) / name).is_dir():
        pytest.skip(f"set VLMCOG_TEST_DATA to a folder that holds {name}/")
    return pathlib.Path(root) / name


@pytest.fixture(scope="session")
def release() -> pathlib.Path:
    """A checkout, or a sample, of the public release of stimuli and human judgments (lsbuschoff/multimodal)."""
    return _test_data("multimodal_sample")


@pytest.fixture(scope="session")
def big_vision_tiny() -> pathlib.Path:
    """Tiny random-weight PaliGemma checkpoints in big_vision's format, with inputs and outputs."""
    return _test_data("big_vision_tiny")


@pytest.fixture
def made_up_release(tmp_path) -> pathlib.Path:
    """Made-up pictures and judgments in the layout of lsbuschoff/multimodal."""
    made_up_releases.write_multimodal(tmp_path / "made_up_release")
    return tmp_path / "made_up_release"


@pytest.fixture(scope="session")
def physion_release() -> pathlib.Path:
    """A checkout, or a sample, of Physion's public human judgments."""
    return _test_data("physion")


@pytest.fixture
def made_up_physion(tmp_path) -> pathlib.Path:
    """Made-up frames and shares of people in the layout of Physion's release."""
    made_up_releases.write_physion(tmp_path / "made_up_physion")
    return tmp_path / "made_up_physion"
