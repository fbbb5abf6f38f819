import re

import pytest
import sentencepiece

from vlmcog.errors import UserError
from vlmcog.models import flamingo, siglip
from vlmcog.models.dual_encoder import _clean
from vlmcog.models.tokenizer import BOS, EOS, PAD, UNK, SentencePieceTokenizer, open_tokenizer
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


def test_decode_leaves_out_what_only_the_model_knows(tokenizer):
    """A Flamingo's embedding has two rows after the tokenizer's, Gemma 3's one, and padded ones more."""
    assert tokenizer.decode([tokenizer.vocab_size, *tokenizer.encode("yes"), tokenizer.vocab_size + 7]) == "yes"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.model: No such file"):
        SentencePieceTokenizer(str(tmp_path / "gone.model"))


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "text.model"
    path.write_text("not a model")
    with pytest.raises(UserError, match=r"text\.model is not a SentencePiece model"):
        SentencePieceTokenizer(str(path))


SIGLIP = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}  # as in T5's vocabulary of English C4
LLAMA = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}


def _train(folder, ids):
    lines = [task.question for task in TASKS.values()]
    path = folder / "other.model"
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=file,
            vocab_size=200,
            hard_vocab_limit=False,
            minloglevel=2,
            **ids,
        )
    return str(path)


@pytest.mark.parametrize(
    ("ids", "markers", "wanted"),
    [
        (SIGLIP, siglip._MARKERS, (1, 1, 1)),
        (LLAMA, flamingo._MARKERS, (0, 2, 1)),
        ({"pad_id": 7, "eos_id": 5, "bos_id": 6, "unk_id": 3}, {}, (7, 5, 6)),
    ],
)
def test_markers_are_the_family_s_or_else_the_file_s_own(tmp_path, ids, markers, wanted):
    tokenizer = open_tokenizer(_train(tmp_path, ids), **markers)
    assert (tokenizer.pad, tokenizer.eos, tokenizer.bos) == wanted
    assert tokenizer.decode([*tokenizer.encode("Will it fall?"), tokenizer.eos, 9]) == "Will it fall?"


def test_a_file_without_a_marker_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"other\.model has no marker <pad>; use the tokenizer of this family"):
        SentencePieceTokenizer(_train(tmp_path, LLAMA))
    with pytest.raises(UserError, match=r"other\.model has no marker <bos>; use the tokenizer of this family"):
        SentencePieceTokenizer(_train(tmp_path, SIGLIP))


@pytest.mark.slow
def test_siglip_s_sentences_are_those_of_its_reference(tmp_path):
    transformers = pytest.importorskip("transformers")
    path = _train(tmp_path, SIGLIP)
    theirs = transformers.SiglipTokenizer(path)
    tokenizer = open_tokenizer(path, **siglip._MARKERS)
    for text in ("A photo of 2 towers.", " which  way, will it FALL?", "no"):
        wanted = theirs(text, padding="max_length", max_length=24)["input_ids"]
        ids = [*tokenizer.encode(_clean(text, "canonical")), tokenizer.eos]
        assert ids + [tokenizer.pad] * (24 - len(ids)) == wanted
