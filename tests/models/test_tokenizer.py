import re

import pytest
import sentencepiece

from vlmcog.errors import UserError
from vlmcog.models.tokenizer import BOS, EOS, PAD, UNK, SentencePieceTokenizer
from vlmcog.tasks.registry import TASKS


@pytest.fixture(scope="module")
def tokenizer():
    return SentencePieceTokenizer()


@pytest.mark.parametrize("text", ["Will this block tower fall?", "14", "Fällt er?\nJa, 100 %", "塔", " two  spaces "])
def test_any_text_survives_the_round_trip(tokenizer, text):
    ids = tokenizer.encode(text)
    assert not {PAD, EOS, BOS, UNK} & set(ids)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_a_task_takes_at_most_one_token_a_word_digit_and_mark(tokenizer, task):
    """A number has one more, its space, since digits are split as in Gemma."""
    words = re.findall(r"[A-Za-z]+|\d|[^\w\s]| (?=\d)", task.question)
    assert len(tokenizer.encode(task.question)) <= len(words)


def test_decode_stops_at_eos_and_leaves_markers_out(tokenizer):
    assert tokenizer.decode([BOS, *tokenizer.encode("yes"), EOS, *tokenizer.encode("no"), PAD]) == "yes"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.model: No such file"):
        SentencePieceTokenizer(str(tmp_path / "gone.model"))


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "text.model"
    path.write_text("not a model")
    with pytest.raises(UserError, match=r"text\.model is not a SentencePiece model"):
        SentencePieceTokenizer(str(path))


def test_other_markers_are_refused(tmp_path):
    path = tmp_path / "other"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["one two three", "two three four"]),
        model_prefix=str(path),
        vocab_size=40,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with pytest.raises(UserError, match="has pad, eos, bos, unk at"):
        SentencePieceTokenizer(f"{path}.model")
