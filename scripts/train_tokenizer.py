"""Trains the small vocabulary that ships with the package, from the tasks' own questions and answers.

    python scripts/train_tokenizer.py --output vlmcog/models/assets/cubeworld.model

Any text can be written with it, since unknown words fall back to bytes: a new task needs no new vocabulary,
only a few more tokens a word until the vocabulary is trained again.
"""

import argparse
import io
import string
from collections.abc import Sequence

import sentencepiece

from vlmcog import command_line
from vlmcog.files import atomic_path
from vlmcog.models.processor import SEPARATOR
from vlmcog.models.tokenizer import BOS, EOS, PAD, SHIPPED, UNK
from vlmcog.tasks.registry import TASKS


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default=str(SHIPPED), help="the .model file to write (default: %(default)s)")
    parser.add_argument("--vocab_size", type=int, default=600, help="most pieces (default: %(default)s)")
    args = parser.parse_args(argv)
    model = train(corpus(), args.vocab_size)
    with atomic_path(args.output) as temporary:
        temporary.write_bytes(model)
    size = sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size()
    print(f"{args.output}: {size} pieces")


def corpus() -> list[str]:
    """Every task's question and options, once each."""
    lines = [text for task in TASKS.values() for text in (task.question, *task.answers.options)]
    return list(dict.fromkeys(lines))


def train(lines: list[str], vocab_size: int) -> bytes:
    """Trains with Gemma's choices: byte fallback, split digits, no normalisation, no dummy prefix."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        required_chars=string.ascii_letters + string.digits + string.punctuation,
        user_defined_symbols=[SEPARATOR],
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        pad_id=PAD,
        eos_id=EOS,
        bos_id=BOS,
        unk_id=UNK,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


if __name__ == "__main__":
    command_line.run(main)
