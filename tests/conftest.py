"""Hostile settings for every test: fake devices, strict dtype and rank promotion, checked shapes, no warnings."""

import csv
import os
import pathlib
import signal

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook
from PIL import Image

ARRAY_MODULES = ("attention", "gemma", "generative", "layers", "paligemma", "processor", "products", "siglip")
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


MADE_UP_ITEMS = ("3", "7", "20", "111")
MADE_UP_PEOPLE = 5


@pytest.fixture
def made_up_release(tmp_path) -> pathlib.Path:
    """Made-up photographs (noise) and judgments (random) in the public release's layout, to run without it."""
    rng = np.random.default_rng(0)
    root = tmp_path / "made_up_release"
    photos = root / "eval/images/lerer100"
    photos.mkdir(parents=True)
    (root / "data").mkdir()
    results = [["Image", "Experiment", "GT", "MODEL", "", ""]]
    results += [[item, experiment, "White", "Beige", "", ""] for experiment in "12" for item in MADE_UP_ITEMS]
    blocks = []
    for index, item in enumerate(MADE_UP_ITEMS):
        results.append([item, "3", index % 2, 1, "", ""])
        blocks.append([item, *range(13), 2, 1, 4 * (index > 0), 3 * (index > 1), index % 2])
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(photos / f"{item}.png")
    humans = [["", *range(MADE_UP_PEOPLE)]]
    humans += [[row, *rng.integers(0, 2, MADE_UP_PEOPLE).astype(float)] for row in range(len(MADE_UP_ITEMS))]
    for name, rows in {"LERER_RESULTS_NEW": results, "tower_human_data": humans}.items():
        with (root / f"data/{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    (root / "eval/blocks_metadata.txt").write_text("\n".join(" ".join(map(str, row)) for row in blocks) + "\n\n")
    return root
