import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.models.config import ModelConfig
from vlmcog.models.processor import Processor
from vlmcog.models.tokenizer import BOS, EOS, PAD, SentencePieceTokenizer
from vlmcog.tasks.registry import TASKS

IMAGE = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


@pytest.fixture(scope="module")
def processor():
    return Processor(SentencePieceTokenizer(), image_size=8, prefix_length=12, suffix_length=5)


def test_train_example_lays_out_prefix_suffix_and_padding(processor):
    example = processor.train_example(IMAGE, "Will it fall?", "14")
    question, feed = processor.tokenizer.encode("Will it fall?"), processor.tokenizer.encode("\n")
    answer = processor.tokenizer.encode("14")
    prefix, suffix = [BOS, *question, *feed], [*answer, EOS]
    padding = [PAD] * (17 - len(prefix) - len(suffix))
    assert example["text"].tolist() == prefix + suffix + padding
    in_suffix = [0] * len(prefix) + [1] * len(suffix) + [0] * len(padding)
    assert example["mask_ar"].tolist() == example["mask_loss"].tolist() == in_suffix
    assert example["mask_input"].tolist() == [True] * len(prefix + suffix) + [False] * len(padding)
    dtypes = {key: value.dtype.name for key, value in example.items()}
    assert dtypes == {
        "image": "float32",
        "text": "int32",
        "mask_ar": "int32",
        "mask_input": "bool",
        "mask_loss": "bool",
    }


def test_score_example_holds_the_prefix_and_each_option(processor):
    scored = processor.score_example(IMAGE, "Will it fall?", ("no", "14"))
    trained = processor.train_example(IMAGE, "Will it fall?", "14")
    suffix = trained["text"][trained["mask_loss"]].tolist()
    assert (
        scored["text"].tolist()[: scored["mask_input"].sum()] == trained["text"].tolist()[: scored["mask_input"].sum()]
    )
    assert scored["options"].shape == scored["options_mask"].shape == (2, 5)
    assert scored["options"][1][scored["options_mask"][1]].tolist() == suffix


def test_a_batch_of_prefixes_has_one_of_few_lengths(processor):
    long = dataclasses.replace(processor, prefix_length=40)
    for words, length in ((1, 16), (20, 32), (36, 40)):
        questions = ["Falls?", "block " * words]
        batch = long.prefix_batch([IMAGE, IMAGE], questions)
        assert batch["text"].shape == batch["mask_input"].shape == (2, length)
        assert batch["image"].shape == (2, 8, 8, 3)
        for question, text, real in zip(questions, batch["text"], batch["mask_input"], strict=True):
            assert text[real].tolist() == long.prefix(question)


def test_a_fitted_processor_cuts_padding_alone(processor):
    fitted = processor.fitted([("Will it fall?", ("no", "14")), ("Falls?", ("no",))])
    whole, cut = (one.train_example(IMAGE, "Will it fall?", "14") for one in (processor, fitted))
    assert fitted.prefix_length + fitted.suffix_length == cut["mask_input"].sum() == cut["mask_input"].size
    for key in ("text", "mask_ar", "mask_input", "mask_loss"):
        np.testing.assert_array_equal(cut[key], whole[key][: len(cut[key])])
    assert processor.fitted([("block " * 20, ("123456",))]) == processor


def test_an_image_of_the_right_size_is_only_scaled(processor):
    scaled = processor.image(IMAGE)
    np.testing.assert_allclose(scaled, IMAGE / 127.5 - 1, atol=1e-6)
    extremes = processor.image(np.array([[[0] * 3, [255] * 3] * 4] * 8, np.uint8))
    assert (extremes.min(), extremes.max()) == (-1, 1)


def test_resizing_is_antialiased(processor):
    """Shrinking a one-pixel checkerboard gives grey, where plain bilinear sampling gives black or white."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    image = np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)
    np.testing.assert_allclose(processor.image(image), 0, atol=0.02)


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3))])
def test_an_image_of_another_kind_is_refused(processor, image):
    with pytest.raises(UserError, match="uint8"):
        processor.image(image)


def test_too_long_a_text_names_itself_and_the_setting(processor):
    with pytest.raises(UserError, match=r"model\.prefix_length=12; set model\.prefix_length=\d+"):
        processor.train_example(IMAGE, "block " * 20, "yes")
    with pytest.raises(UserError, match=r"'123456' takes 7 tokens but model\.suffix_length=5"):
        processor.train_example(IMAGE, "Will it fall?", "123456")


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_task_fits_the_default_lengths(task):
    config = ModelConfig()
    processor = Processor(SentencePieceTokenizer(), 8, config.prefix_length, config.suffix_length)
    processor.score_example(IMAGE, task.question, task.answers.options)


def test_no_jax_in_input_workers():
    code = (
        "import sys, vlmcog.models.processor, vlmcog.models.tokenizer, vlmcog.models.config; "
        "sys.exit(any(name.split('.')[0] in ('jax', 'flax') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
